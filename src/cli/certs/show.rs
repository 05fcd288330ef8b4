//! `strew certs show`: what certificates say, for people or for programs.
//!
//! Not here: whether anybody would accept them; a node says that when it starts.

use std::io::{self, Write};

use serde::Serialize;

use super::super::args::OutputWord;
use super::super::report::printable;
use super::args::ShowArgs;
use super::{CertsError, read};
use crate::identity::{Description, Role, describe, read_file};

/// One certificate, as it stands on a line.
#[derive(Serialize)]
struct Line<'a> {
    file: String,
    subject: &'a str,
    issuer: &'a str,
    serial: &'a str,
    names: &'a [String],
    authority: bool,
    role: Option<String>,
    identity: &'a str,
    sha256: &'a str,
    not_before: i64,
    not_after: i64,
    days_left: i64,
}

/// Prints every certificate of every file.
pub(super) fn run(args: &ShowArgs, out: &mut dyn Write, now: u64) -> Result<(), CertsError> {
    for path in &args.files {
        let text = read(path, "", read_file)?;
        let found = describe(text.as_bytes());
        let found = found.map_err(|source| CertsError::Describe { path: path.clone(), source })?;
        for one in &found {
            let file = path.display().to_string();
            match args.output {
                OutputWord::Text => print(out, &file, one, now),
                OutputWord::Json => print_json(out, file, one, now),
            }
            .map_err(CertsError::Print)?;
        }
    }
    out.flush().map_err(CertsError::Print)
}

fn print_json(out: &mut dyn Write, file: String, one: &Description, now: u64) -> io::Result<()> {
    let line = Line {
        file,
        subject: &one.subject,
        issuer: &one.issuer,
        serial: &one.serial,
        names: &one.names,
        authority: one.authority,
        role: role(one).map(|role| role.to_string()),
        identity: &one.identity,
        sha256: &one.fingerprint,
        not_before: one.not_before,
        not_after: one.not_after,
        days_left: days_left(one, now),
    };
    serde_json::to_writer(&mut *out, &line)?;
    writeln!(out)
}

fn print(out: &mut dyn Write, file: &str, one: &Description, now: u64) -> io::Result<()> {
    let role = match (one.role, role(one)) {
        (Some(role), _) => role.to_string(),
        (None, Some(role)) => format!("{role} (it names none)"),
        (None, None) => "none: an authority".to_owned(),
    };
    let left = days_left(one, now);
    let when = match left {
        _ if one.not_after < i64::try_from(now).unwrap_or(i64::MAX) => "expired".to_owned(),
        1 => "1 day left".to_owned(),
        days => format!("{days} days left"),
    };
    let [from, to] = &one.validity;
    writeln!(out, "{}", printable(file))?;
    for (name, value) in [
        ("subject", one.subject.as_str()),
        ("issuer", &one.issuer),
        ("serial", &one.serial),
        ("names", &one.names.join(", ")),
        ("role", &role),
        ("identity", &one.identity),
        ("sha256", &one.fingerprint),
        ("valid", &format!("{from} to {to}, {when}")),
    ] {
        // A certificate may come from a stranger, and must not command a terminal nor forge a line.
        writeln!(out, "  {name:<9} {}", printable(value))?;
    }
    Ok(())
}

/// What it allows; an authority allows nothing by itself.
fn role(one: &Description) -> Option<Role> {
    if one.authority { None } else { Some(one.role.unwrap_or(Role::Peer)) }
}

/// Whole days until it ends; negative when it is over.
fn days_left(one: &Description, now: u64) -> i64 {
    const DAY: i64 = 86_400;
    (one.not_after - i64::try_from(now).unwrap_or(i64::MAX)).div_euclid(DAY)
}
