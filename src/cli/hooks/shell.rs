//! Shell: a hook's line for a shell (`--exec-shell`), with values by environment only.
//!
//! p2pcp pasted values into the text of the line, so that a file's name could be a command. Here a placeholder becomes a reference to a
//! variable, quoted as its place asks for, and the shell never parses a value. Where it is not certain how the shell reads that place,
//! the line is refused.
//!
//! Invariant: the text of a line is the same for all files.
//!
//! Not here: running it (`process`), and what a line does with a value once it has it: whoever hands it to `eval` or to another shell as
//! text is on his own.

use super::template::{LineError, value_at};
use super::values::Occasion;

/// The line with references in place of its placeholders.
pub(super) fn convert(line: &str, occasion: Occasion) -> Result<String, LineError> {
    if line.trim().is_empty() {
        return Err(LineError::Empty);
    }
    let (mut rest, mut out) = (line, String::with_capacity(line.len()));
    let (mut quote, mut unsure, mut values) = (None, None, 0u32);
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("%%{") {
            out.push_str("%{");
            rest = after;
            continue;
        }
        if let Some(after) = rest.strip_prefix("%{") {
            let (value, after) = value_at(after, occasion)?;
            values += 1;
            match quote {
                None => out.push_str(&format!("\"${{{}}}\"", value.variable())),
                Some('"') => out.push_str(&format!("${{{}}}", value.variable())),
                // A reference would be plain text there.
                Some(_) => unsure = Some("single quotes around it"),
            }
            rest = after;
            continue;
        }
        unsure = unsure.or_else(|| puzzle(quote, rest));
        out.push(c);
        rest = &rest[c.len_utf8()..];
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None | Some('"'), '\\') => {
                let kept = rest.chars().next();
                out.extend(kept);
                rest = &rest[kept.map_or(0, char::len_utf8)..];
            }
            _ => {}
        }
    }
    match (values, unsure, quote) {
        (0, ..) | (_, None, None) => Ok(out),
        (_, Some(what), _) => Err(LineError::Unsure(what)),
        (_, None, Some(open)) => Err(LineError::Unclosed(open)),
    }
}

/// What begins here and makes quotes mean something else than this reader knows.
fn puzzle(quote: Option<char>, rest: &str) -> Option<&'static str> {
    match quote {
        Some('"') if rest.starts_with("$(") || rest.starts_with('`') => Some("a command within double quotes"),
        Some('"') if rest.starts_with("${") => Some("an expansion within double quotes"),
        None if rest.starts_with("<<") => Some("a document in the line (<<)"),
        None if rest.starts_with("$'") => Some("a $'…' quote"),
        None if rest.starts_with('#') => Some("a comment or another '#'"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(line: &str) -> String {
        convert(line, Occasion::File).unwrap_or_else(|e| panic!("{line:?} {e}"))
    }

    #[test]
    fn a_placeholder_becomes_a_quoted_reference() {
        for (line, out) in [
            ("sha256sum %{file_path} >> sums", r#"sha256sum "${STREW_FILE_PATH}" >> sums"#),
            ("echo \"%{file_path} has %{file_size}\"", "echo \"${STREW_FILE_PATH} has ${STREW_FILE_SIZE}\""),
            (r#"echo a\"%{file_size} 'it''s'"#, r#"echo a\""${STREW_FILE_SIZE}" 'it''s'"#),
            ("x=$(stat %{file_path}) && echo $x", r#"x=$(stat "${STREW_FILE_PATH}") && echo $x"#),
            ("echo '%%{file_path}'", "echo '%{file_path}'"),
        ] {
            assert_eq!(converted(line), out);
        }
    }

    #[test]
    fn a_line_without_placeholders_is_left_alone() {
        for line in ["cat <<E\n'\nE", "echo \"$(date)\" # it's", "printf '%s' \"$STREW_FILE_PATH\""] {
            assert_eq!(converted(line), line);
        }
    }

    #[test]
    fn a_value_is_refused_where_a_shell_might_read_it_otherwise() {
        for line in [
            "echo '%{file_path}'",
            "echo \"$(cat %{file_path})\"",
            "echo \"`cat %{file_path}`\"",
            "echo \"${x:-%{file_path}}\"",
            "cat <<E\n%{file_path}\nE",
            "echo $'\\'' %{file_path}",
            "echo %{file_path} # it's",
        ] {
            assert!(matches!(convert(line, Occasion::File), Err(LineError::Unsure(_))), "{line}");
        }
        assert_eq!(convert("echo \"%{file_path}", Occasion::File), Err(LineError::Unclosed('"')));
        assert_eq!(convert(" \n", Occasion::File), Err(LineError::Empty));
        assert!(matches!(convert("echo %{file_count}", Occasion::File), Err(LineError::Unknown { .. })));
    }
}
