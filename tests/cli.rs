//! The real program as a black box: what it prints where, and with which code it ends.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

/// The program, with nothing of this environment that it would look at.
fn strew(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strew"));
    command.args(words).stdin(Stdio::null());
    for name in ["STREW_KEY", "STREW_KEY_FILE", "STREW_CERTS_DIR", "STREW_BUNDLE", "STREW_LOG"] {
        command.env_remove(name);
    }
    command
}

fn run(words: &[&str]) -> Output {
    strew(words).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Asserts that this command line is refused as wrong usage, with all of `parts` in the message and nothing on standard output.
fn refused(words: &[&str], parts: &[&str]) {
    let output = run(words);
    let message = stderr(&output);
    assert_eq!((code(&output), stdout(&output).as_str()), (2, ""), "{words:?}: {message}");
    for part in parts {
        assert!(message.contains(part), "{words:?}: {part:?} is not in {message:?}");
    }
}

#[test]
fn help_goes_to_standard_output_and_names_flags_examples_and_exit_codes() {
    for word in ["--help", "-help", "-h"] {
        let output = run(&[word]);
        assert_eq!((code(&output), stderr(&output).as_str()), (0, ""), "{word}");
        let text = stdout(&output);
        for part in ["--src", "--peer-list", "--exit-complete", "10090", "strew key new", "Exit codes:", "143"] {
            assert!(text.contains(part), "{word}: {part} is missing in {text}");
        }
    }
}

#[test]
fn help_fits_a_terminal_of_eighty_columns() {
    for words in [&["--help"][..], &["key", "new", "--help"], &["demo", "--help"]] {
        let output = strew(words).env("COLUMNS", "80").output().unwrap();
        for line in stdout(&output).lines() {
            assert!(line.chars().count() <= 100, "{line:?} is too long");
        }
    }
}

#[test]
fn the_version_goes_to_standard_output() {
    for word in ["--version", "-version", "-V"] {
        let output = run(&[word]);
        assert_eq!((code(&output), stdout(&output)), (0, format!("strew {}\n", env!("CARGO_PKG_VERSION"))), "{word}");
    }
}

#[test]
fn wrong_usage_is_refused_with_code_2_and_the_remedy() {
    refused(&[], &["--src DIR", "--dst DIR"]);
    refused(&["--frobnicate"], &["--frobnicate"]);
    refused(&["-no-such-flag", "x", "-src", "/a"], &["--no-such-flag"]);
    refused(&["--src", "/a", "--chunk-size", "1"], &["--chunk-size", "1.0 KiB to 128.0 MiB"]);
    refused(&["--src", "/a", "--memory", "256"], &["--memory", "256MiB"]);
    refused(&["-dst", "/a", "-peer-list-url", "http://a/", "-peer-list-a", "b"], &["-peer-list-url and --peer-list-a"]);
    refused(&["-dst", "/a", "-peer-list-url", "ftp://a/"], &["--peer-list-url", "http://", "file:PATH"]);
    refused(&["-dst", "/a", "--peer-list", "file:peers"], &["--peer-list-url file:peers"]);
    refused(&["-dst", "/a", "-peer-list-dns-server", "ns"], &["--peer-list-dns-server", "10.0.0.10:53"]);
    refused(&["-dst", "/a", "-peer-registry-heartbeat-url", "reg"], &["--peer-registry-heartbeat-url"]);
    refused(&["registry", "--tls-cert", "a"], &["--tls-key"]);
    refused(&["registry", "--listen-addr", "here"], &["--listen-addr"]);
}

/// p2pcp panicked for pauses of zero, and for peers without anything to do.
#[test]
fn pauses_of_zero_and_peers_without_a_task_are_wrong_usage() {
    refused(&["-dst", "/a", "-peer-list-a", "b", "-peer-list-poll-interval", "0s"], &["--peer-list-poll-interval"]);
    let registry = ["-src", "/a", "-peer-registry-heartbeat-url", "http://reg/"];
    for flag in ["-peer-registry-heartbeat-interval", "-peer-registry-timeout"] {
        refused(&[&registry[..], &[flag, "0"]].concat(), &[flag]);
    }
    refused(&["-peer-list", "b"], &["nothing to do"]);
    refused(&["-peer-list-a", "b"], &["nothing to do"]);
    refused(&["--dst", "/b", "--peer-list", "a,,b"], &["--peer-list", "comma"]);
    refused(&["--dst", "/b", "--symlinks", "follow"], &["--symlinks", "refuse", "keep", "skip"]);
    refused(&["-verbose", "true", "-dst", "/x"], &["'true'", "--verbose=true"]);
    refused(&["/data"], &["'/data'", "--src"]);
    refused(&["key"], &["new", "id"]);
}

#[test]
fn both_spellings_mean_the_same() {
    let usual = run(&["--dst", "/b", "--peer-list=a:0", "--exit-complete", "--verbose=false"]);
    let ours = run(&["-dst", "/b", "-peer-list=a:0", "-exit-complete", "-verbose=false"]);
    assert_eq!((code(&usual), stderr(&usual)), (code(&ours), stderr(&ours)));
    assert!(stderr(&ours).contains("invalid port"), "{}", stderr(&ours));
}

#[test]
fn without_a_key_and_a_terminal_nothing_starts() {
    for words in [&["--src", "/"][..], &["--dst", "/b", "--peer-list", "localhost"], &["key", "id"]] {
        refused(words, &["no swarm key", "strew key new"]);
    }
}

#[test]
fn a_new_key_is_one_line_and_its_id_can_be_shown() {
    let made = run(&["key", "new"]);
    let key = stdout(&made);
    assert_eq!(code(&made), 0);
    assert!(key.starts_with("strew1-") && key.lines().count() == 1, "not one key line");
    assert!(stderr(&made).contains("--key-file") && !stderr(&made).contains(key.trim()));
    assert_ne!(stdout(&run(&["key", "new"])), key);

    let id = strew(&["key", "id"]).env("STREW_KEY", key.trim()).output().unwrap();
    assert_eq!((code(&id), stdout(&id).lines().count()), (0, 1), "{}", stderr(&id));
    assert!(!stdout(&id).contains("strew1-"), "the id shows the key");

    let mut child =
        strew(&["key", "id", "-key-file", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(key.as_bytes()).unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, id.stdout, "standard input gives the same id");
}

#[test]
fn a_key_file_is_written_once_and_private() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("swarm.key");
    let words = ["key", "new", "--out", path.to_str().unwrap()];
    let made = run(&words);
    assert_eq!((code(&made), stdout(&made).as_str()), (0, ""), "{}", stderr(&made));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    refused(&words, &["exists already"]);

    let id = |name: &str| strew(&["key", "id"]).env(name, &path).output().unwrap();
    let by_file = id("STREW_KEY_FILE");
    assert_eq!(code(&by_file), 0, "{}", stderr(&by_file));
    assert!(stderr(&made).contains(stdout(&by_file).trim()), "another swarm's id was shown when the key was made");

    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let exposed = id("STREW_KEY_FILE");
    assert_eq!(code(&exposed), 2);
    assert!(stderr(&exposed).contains("chmod 600"), "{}", stderr(&exposed));
}

#[test]
fn a_mistyped_key_is_told_and_not_shown() {
    let key = stdout(&run(&["key", "new"]));
    let typo = format!("{}q", &key.trim()[..key.trim().len() - 2]);
    let output = strew(&["key", "id"]).env("STREW_KEY", &typo).output().unwrap();
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("STREW_KEY") && !stderr(&output).contains(&typo), "{}", stderr(&output));
}

#[test]
fn a_directory_that_cannot_be_written_is_an_error_of_this_machine() {
    let output = run(&["key", "new", "--out", "/nonexistent/swarm.key"]);
    assert_eq!(code(&output), 5, "{}", stderr(&output));
    assert!(stderr(&output).contains("/nonexistent/swarm.key: No such file"), "{}", stderr(&output));
}

#[test]
fn closed_streams_do_not_crash_it() {
    let script = "\"$0\" key new >&- 2>&-; echo $?; \"$0\" --nonsense 2>&-; echo $?; \"$0\" --help >&-; echo $?";
    let output = Command::new("sh").args(["-c", script, env!("CARGO_BIN_EXE_strew")]).output().unwrap();
    let codes: Vec<String> = stdout(&output).lines().map(String::from).collect();
    assert_eq!(codes.len(), 3, "{output:?}");
    assert!(codes.iter().all(|code| ["0", "2", "5"].contains(&code.as_str())), "{codes:?}");
}

#[test]
fn a_key_that_could_not_be_printed_is_an_error() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = strew(&["key", "new"]).stdout(full).output().unwrap();
    assert_eq!(code(&output), 5, "{}", stderr(&output));
    assert!(stderr(&output).contains("standard output: No space left"), "{}", stderr(&output));
}

#[test]
fn a_log_filter_that_cannot_be_read_is_wrong_usage() {
    let output = strew(&["--src", "/"]).env("STREW_LOG", "strew=loud").output().unwrap();
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("STREW_LOG"), "{}", stderr(&output));
}
