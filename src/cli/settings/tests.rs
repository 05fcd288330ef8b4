//! Levels of settings, from words, variables and a file to arguments.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::super::Args;
use super::super::args::Refusal;
use super::*;

/// A file of settings with this mode.
fn file(text: &str, mode: u32) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strew.toml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

/// The arguments, or the message that refuses them.
fn read(line: &str, variables: &[(&str, &str)]) -> Result<(Args, Settings), String> {
    let environment =
        |name: &str| variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| OsString::from(value));
    Args::read_with(line.split_whitespace().map(Into::into), &environment).map_err(|refusal| match refusal {
        Refusal::Words(error) => error.to_string(),
        Refusal::Settings(error) => error.to_string(),
    })
}

fn good(line: &str, variables: &[(&str, &str)]) -> Args {
    read(line, variables).unwrap_or_else(|error| panic!("{error}")).0
}

#[test]
fn a_flag_counts_before_a_variable_and_that_before_the_file() {
    let (_folder, path) = file("chunk-size = '3MiB'\nmemory = '3GiB'\nsymlinks = 'skip'\nverbose = true\n", 0o644);
    let variables = [("STREW_CHUNK_SIZE", "2MiB"), ("STREW_MEMORY", "2GiB"), ("STREW_SRC", "/v")];
    let args = good(&format!("--chunk-size 1MiB --config {path}"), &variables).transfer;
    assert_eq!(args.chunk_size.as_deref(), Some("1MiB"));
    assert_eq!(args.memory.as_deref(), Some("2GiB"));
    assert_eq!(args.symlinks, Some(super::super::args::SymlinkWord::Skip));
    assert_eq!((args.src, args.verbose), (Some("/v".into()), true));
    let args = good("--src /a", &[("STREW_CONFIG", &path), ("STREW_VERBOSE", "false")]).transfer;
    assert_eq!((args.memory.as_deref(), args.verbose), (Some("3GiB"), false));
}

#[test]
fn every_flag_has_a_variable_and_a_line() {
    use clap::CommandFactory;
    let command = Args::command();
    let mut count = 0;
    for arg in flags(&command).filter(|arg| name_of(arg) != FILE_FLAG) {
        let (name, value) = (name_of(arg), sample(arg));
        let matches = Args::command().try_get_matches_from(["strew"]).unwrap();
        let word = OsString::from(format!("--{name}={value}"));
        let (_folder, path) = file(&format!("{name} = '{value}'\n"), 0o600);
        let by_file =
            Settings::find(&command, &matches, &|asked| (asked == "STREW_CONFIG").then(|| OsString::from(&path)));
        assert_eq!(by_file.unwrap().words, std::slice::from_ref(&word), "{name}");
        if !READ_THERE.contains(&name) {
            let by_variable =
                Settings::find(&command, &matches, &|asked| (asked == variable(name)).then(|| OsString::from(&value)));
            assert_eq!(by_variable.unwrap().words, std::slice::from_ref(&word), "{name}");
        }
        Args::read([word]).unwrap_or_else(|error| panic!("{name}: {error}"));
        count += 1;
    }
    assert!(count > 20);
}

/// A value that the flag takes.
fn sample(arg: &Arg) -> String {
    let first = arg.get_possible_values().into_iter().next();
    first.map_or_else(|| "1".to_owned(), |value| value.get_name().to_owned())
}

#[test]
fn a_list_of_the_file_repeats_its_flag() {
    let (_folder, path) = file("peer-list = ['a', 'b,c']\nseed-idle-timeout = 0\n", 0o644);
    let args = good(&format!("--dst /d --config {path}"), &[]).transfer;
    assert_eq!((args.peer_list, args.seed_idle_timeout.as_deref()), (vec!["a".into(), "b,c".into()], Some("0")));
    let (_folder, path) = file("dst = ['a', 'b']\n", 0o644);
    assert!(read(&format!("--config {path}"), &[]).err().unwrap().contains("takes one value"));
}

#[test]
fn an_unknown_key_is_refused_and_the_nearest_is_named() {
    for (text, parts) in [
        ("chunk_size = 1\n", &["\"chunk_size\"", "is it \"chunk-size\""][..]),
        ("peerlist = 'a'\n", &["is it \"peer-list\""]),
        ("[transfer]\ndst = 'a'\n", &["\"transfer\"", "names are those of the flags"]),
        ("config = 'x'\n", &["\"config\""]),
        ("qqq = 1\n", &["there is no setting \"qqq\"; the names"]),
        ("dst = 1979-05-27\n", &["dst must be text"]),
        ("dst = 'a'\ndst = \n", &["line 2"]),
    ] {
        let (_folder, path) = file(text, 0o600);
        let refusal = read(&format!("--config {path}"), &[]).err().unwrap();
        assert!(parts.iter().all(|part| refusal.contains(part)) && refusal.contains(&path), "{text}: {refusal}");
    }
    let missing = read("--config /nowhere/x", &[]).err().unwrap();
    assert!(missing.contains("/nowhere/x") && missing.contains("No such file"), "{missing}");
}

#[test]
fn a_secret_is_taken_only_from_a_private_file_and_never_shown() {
    for text in ["key = 'strew1-secret'\n", "peer-list = 'https://me:secret@host/x'\n", "zone = 'strew1-secret'\n"] {
        let (_folder, path) = file(text, 0o644);
        let refusal = read(&format!("--dst /d --config {path}"), &[]).err().unwrap();
        assert!(
            refusal.contains("chmod 600") && !refusal.contains("secret@") && !refusal.contains("-secret"),
            "{refusal}"
        );
        let (_folder, path) = file(text, 0o640);
        assert!(read(&format!("--dst /d --config {path}"), &[]).is_ok(), "{text}");
    }
    let (_folder, path) = file("key = 'strew1-secret\n", 0o600);
    let refusal = read(&format!("--config {path}"), &[]).err().unwrap();
    assert!(refusal.contains("line 1") && !refusal.contains("strew1-secret"), "{refusal}");
}

#[test]
fn with_what_a_node_proves_itself_is_said_by_the_highest_level_alone() {
    let (_folder, path) = file("key = 'strew1-k'\nzone = 'z'\n", 0o600);
    let key = |line: &str, variables: &[(&str, &str)]| {
        let settings = read(&format!("{line} --config {path}"), variables).unwrap().1;
        settings.key.is_some()
    };
    assert!(key("--dst /d", &[]));
    for variables in [[("STREW_KEY", "k")], [("STREW_KEY_FILE", "k")], [("STREW_BUNDLE", "b")]] {
        assert!(!key("--dst /d", &variables), "{variables:?}");
    }
    assert!(!key("--dst /d --certs-dir c", &[]));
    let (_folder, path) = file("bundle = 'b'\n", 0o600);
    let args = good(&format!("--dst /d --certs-dir c --config {path}"), &[]).transfer;
    assert_eq!((args.certificates.bundle, args.certificates.certs_dir), (None, Some("c".into())));
}

#[test]
fn a_wrong_value_is_told_with_where_it_is_from() {
    let refusal = read("--dst /d", &[("STREW_SYMLINKS", "follow")]).err().unwrap();
    assert!(refusal.contains("STREW_SYMLINKS") && refusal.contains("refuse, keep, skip"), "{refusal}");
    let (_folder, path) = file("exit-complete = 'maybe'\n", 0o644);
    let refusal = read(&format!("--dst /d --config {path}"), &[]).err().unwrap();
    assert!(refusal.contains(&path) && refusal.contains("--exit-complete is true or false"), "{refusal}");
    let settings = read("--dst /d --memory 1GiB", &[("STREW_CHUNK_SIZE", "x"), ("STREW_MEMORY", "y")]).unwrap().1;
    let told = settings.explain("--chunk-size: x is too much for --memory; --chunk-size-x");
    assert_eq!(
        told,
        "--chunk-size: x is too much for --memory; --chunk-size-x (--chunk-size is from STREW_CHUNK_SIZE)"
    );
    assert_eq!(settings.explain("--chunk-sizes"), "--chunk-sizes");
}

#[test]
fn the_congestion_control_comes_from_the_flag_else_from_its_variable() {
    use super::super::args::CongestionWord::{self, Auto, Cubic, Rate};
    let control = |line: &str, named: &str| -> Option<CongestionWord> {
        good(line, &[("STREW_CONGESTION", named)]).transfer.congestion
    };
    assert_eq!(control("--dst /a", "rate"), Some(Rate));
    assert_eq!(control("--dst /a --congestion cubic", ""), Some(Cubic));
    assert_eq!(control("--dst /a", ""), None, "a template without a value names none");
    let unset = super::super::config::Config::from_args(&good("--dst /a", &[]).transfer).unwrap();
    assert_eq!(unset.node.congestion, crate::net::CongestionControl::Auto);
    assert_eq!(control("--dst /a --congestion auto", "cubic"), Some(Auto), "what is typed counts");
    let refused = read("--dst /a", &[("STREW_CONGESTION", "bbr")]).err().unwrap();
    assert!(refused.contains("STREW_CONGESTION") && refused.contains("cubic"), "{refused}");
}

#[test]
fn a_subcommand_is_not_touched_by_settings_of_a_transfer() {
    let args = good("key new", &[("STREW_SRC", "/a"), ("STREW_CONFIG", "/nowhere")]);
    assert!(args.command.is_some() && args.transfer.src.is_none());
    assert!(good("--dst /d", &[("STREW_SRC", "")]).transfer.src.is_none(), "a variable without a value is none");
}
