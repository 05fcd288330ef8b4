//! What command lines mean, from the words to the configuration.

use super::super::Args;
use super::super::environment::Environment;
use super::*;
use crate::discovery::{HttpSettings, Lists, Provider, Registration, SelfEndpoint};
use crate::node::{Compression, Expect};
use crate::units::BytesPerSecond;
use crate::wire::PackLevel;

/// The configuration of a command line, or its error's text.
fn config(line: &str) -> Result<Config, String> {
    let args = Args::read(line.split_whitespace().map(Into::into)).map_err(|e| e.to_string())?;
    Config::from_args(&args.transfer).map_err(|e| e.to_string())
}

fn good(line: &str) -> Config {
    config(line).unwrap_or_else(|e| panic!("{line:?} is refused: {e}"))
}

#[test]
fn flags_decide_the_task() {
    let (source, destination) = (PathBuf::from("/a"), PathBuf::from("/b"));
    assert_eq!(good("--src /a").node.task, Task::Publish { src: source.clone() });
    assert_eq!(good("-dst /b -peer-list x").node.task, Task::Pull { dst: destination.clone() });
    assert_eq!(good("-src=/a --dst /b").node.task, Task::Copy { src: source, dst: destination });
    assert!(config("").unwrap_err().contains("--src DIR"));
    assert!(config("--peer-list a").unwrap_err().contains("nothing to do"));
}

#[test]
fn defaults_are_those_of_the_help() {
    let config = good("--src /a");
    let Config { node, .. } = &config;
    assert_eq!(node.listen.to_string(), "[::]:10090");
    assert_eq!(node.memory, Bytes(256 << 20));
    assert_eq!(node.peer_wait_timeout, Duration::from_secs(20));
    assert_eq!(node.transfer_idle_timeout, Some(Duration::from_secs(30)));
    assert_eq!((node.seed_idle_timeout, node.chunk_size, node.zone.as_deref()), (None, None, None));
    assert_eq!((node.upload_limit, node.download_limit), (None, None));
    assert_eq!(node.trace, None);
    assert_eq!((node.expect, node.digest), (Expect::default(), DigestKind::Blake3));
    assert_eq!((node.symlinks, config.output), (SymlinkPolicy::Refuse, Output::Text));
    assert!(!node.exit_complete && !node.verify_on_complete && !config.statistics && !config.verbose);
}

#[test]
fn every_flag_reaches_the_configuration() {
    let pin = format!("-expect id:{} --digest=xxh3", "ab".repeat(32));
    let config = good(&format!(
        "{pin} -dst local:/b -peer-list a,10.0.0.1 --peer-list [::1]:7,a -listen-addr 127.0.0.1:0 -exit-complete \
         -chunk-size 1048576 -verify-on-complete=TRUE -transfer-idle-timeout 1m30s -peer-wait-timeout=5s \
         -seed-idle-timeout 1h -statistics -verbose --output json --key-file - --symlinks skip --zone eu-1 --memory 1GiB \
         -trace run.trace -congestion=cubic -upload-limit 80Mbit/s --download-limit 10MiB/s \
         -compress-type zstd --compress-level 3 -peer-list-url file:peers.csv -peer-list-dns-server 10.0.0.10 \
         -peer-list-poll-interval 10s -peer-registry-heartbeat-url http://reg/beat -peer-num-concurrent=4",
    ));
    let peers: Vec<String> = config.node.peers.iter().map(ToString::to_string).collect();
    let expected = Config {
        node: NodeConfig {
            task: Task::Pull { dst: "/b".into() },
            peers: config.node.peers.clone(),
            lists: Lists {
                provider: Provider::from_url("file:peers.csv").ok(),
                dns_server: "10.0.0.10:53".parse().ok(),
                interval: Duration::from_secs(10),
                http: HttpSettings::default(),
            },
            registry: Some(Registration::new("http://reg/beat".parse().unwrap(), SelfEndpoint::Auto)),
            listen: "127.0.0.1:0".parse().unwrap(),
            chunk_size: Some(Bytes(1 << 20)),
            expect: Expect { id: "ab".repeat(32).parse().ok(), root: None },
            digest: DigestKind::Xxh3,
            symlinks: SymlinkPolicy::Skip,
            zone: Some("eu-1".into()),
            memory: Bytes(1 << 30),
            upload_limit: BytesPerSecond::new(10_000_000),
            download_limit: BytesPerSecond::new(10 << 20),
            compress: Compression::Zstd,
            compress_level: PackLevel::new(3).unwrap(),
            window_max: Some(4),
            tell_files: false,
            trace: Some("run.trace".into()),
            congestion: CongestionControl::Cubic,
            verify_on_complete: true,
            exit_complete: true,
            peer_wait_timeout: Duration::from_secs(5),
            transfer_idle_timeout: Some(Duration::from_secs(90)),
            seed_idle_timeout: Some(Duration::from_secs(3600)),
            seed_until: None,
        },
        key_file: Some("-".into()),
        output: Output::Json,
        health: Health::Beside,
        statistics: true,
        hooks: None,
        notices: Vec::new(),
        verbose: true,
    };
    assert_eq!(config, expected);
    assert_eq!(peers, ["a:10090", "10.0.0.1:10090", "[::1]:7"]);
}

#[test]
fn zero_turns_a_timeout_off_only_where_that_makes_sense() {
    let config = good("--dst /b --transfer-idle-timeout 0 --seed-idle-timeout 0s");
    assert_eq!((config.node.transfer_idle_timeout, config.node.seed_idle_timeout), (None, None));
    assert!(self::config("--dst /b --peer-wait-timeout 0").unwrap_err().contains("such as 20s"));
}

#[test]
fn switches_take_the_values_of_go() {
    for (word, value) in [("", true), ("=1", true), ("=T", true), ("=false", false), ("=F", false), ("=0", false)] {
        assert_eq!(good(&format!("-src /a -exit-complete{word}")).node.exit_complete, value, "{word}");
    }
    assert!(config("--src /a --verbose=yes").unwrap_err().contains("--verbose is true or false, not 'yes'"));
}

#[test]
fn listen_addresses_are_understood_as_go_does() {
    for (text, address) in [
        (":7", "[::]:7"),
        ("0.0.0.0:10090", "0.0.0.0:10090"),
        ("[::1]:0", "[::1]:0"),
        ("10.0.0.1", "10.0.0.1:10090"),
        ("::1", "[::1]:10090"),
        ("[::1]", "[::1]:10090"),
    ] {
        assert_eq!(good(&format!("--src /a --listen-addr {text}")).node.listen.to_string(), address);
    }
    for text in ["localhost:1", ":", ":65536", "10.0.0.1:", "7"] {
        assert!(config(&format!("--src /a --listen-addr {text}")).unwrap_err().contains("--listen-addr"), "{text}");
    }
}

#[test]
fn refusals_name_the_flag_and_the_remedy() {
    for (line, flag, remedy) in [
        ("--src=", "--src", "a value is required"),
        ("--src local:", "--src", "give it a path"),
        ("--dst s3:bucket", "--dst", "local:s3:bucket"),
        ("--src https://x/y", "--src", "local:https://x/y"),
        ("--src /a --key-file=", "--key-file", "a value is required"),
        ("--src /a --chunk-size 1000", "--chunk-size", "1.0 KiB to 128.0 MiB"),
        ("--src /a --chunk-size 0", "--chunk-size", "1.0 KiB to 128.0 MiB"),
        ("--src /a --chunk-size 129MiB", "--chunk-size", "1.0 KiB to 128.0 MiB"),
        ("--src /a --chunk-size 16parsecs", "--chunk-size", "--chunk-size 16MiB"),
        ("--src /a --memory 256", "--memory", "256MiB?"),
        ("--src /a --memory 0", "--memory", "no unit"),
        ("--src /a --memory 1MiB", "--memory", "64.0 MiB to"),
        ("--src /a --memory 100MiB --chunk-size 64MiB", "--memory", "at least 128.0 MiB"),
        ("--dst /b --transfer-idle-timeout 30", "--transfer-idle-timeout", "--transfer-idle-timeout 20s"),
        ("--dst /b --seed-idle-timeout -5s", "--seed-idle-timeout", "does not start with a number"),
        ("--dst /b --peer-list a,", "--peer-list", "a comma too many"),
        ("--dst /b --peer-list a,b:x", "--peer-list", "\"b:x\""),
        ("--dst /b --expect id:12", "--expect", "--expect id:HEX"),
        ("--dst /b --digest md5", "--digest", "blake3, xxh3"),
        ("--src /a --zone a/b", "--zone", "letters, digits"),
    ] {
        let error = config(line).expect_err(line);
        assert!(error.contains(flag) && error.contains(remedy), "{line:?} gives {error:?}");
    }
}

#[test]
fn flags_of_p2pcp_without_a_purpose_are_taken_and_said() {
    let config = good("-src /a -local-num-concurrent 8 -files-per-chunk=-1 -sync-interval 2s");
    let named = ["--local-num-concurrent", "--files-per-chunk", "--sync-interval"];
    assert_eq!(config.notices.len(), named.len());
    assert!(
        config.notices.iter().zip(named).all(|(notice, flag)| notice.starts_with(&format!("{flag} has no effect")))
    );
    assert_eq!(Config { notices: Vec::new(), ..config }, good("-src /a"));
    for line in ["-local-num-concurrent x", "-sync-interval 2", "-peer-num-concurrent 0", "-peer-num-concurrent 65"] {
        assert!(self::config(&format!("-src /a {line}")).unwrap_err().contains("-concurrent") || line.contains("sync"));
    }
}

#[test]
fn a_path_with_a_colon_is_a_path() {
    assert_eq!(good("--src /a:b --dst c:d").node.task, Task::Copy { src: "/a:b".into(), dst: "c:d".into() });
    assert_eq!(good("--src local:s3:x").source(), Some(Path::new("s3:x")));
}

#[test]
fn words_without_a_flag_are_refused_with_a_hint() {
    for (line, hint) in
        [("-verbose true -dst /x", "--verbose=true"), ("-src /a /b", "--src '/b'"), ("/data", "--src '/data'")]
    {
        let error = config(line).expect_err(line);
        assert!(error.contains(hint), "{line:?} gives {error:?}");
    }
}

#[test]
fn flags_of_later_features_are_unknown() {
    for flag in ["--wait-host=a:1", "--wait-host-timeout=1s"] {
        assert!(config(&format!("-src /a {flag}")).unwrap_err().contains("unexpected argument"), "{flag}");
    }
}

#[test]
fn a_flag_without_its_value_does_not_take_the_next_flag_for_it() {
    assert!(config("-src -dst /x").unwrap_err().contains("--src <DIR>"));
}

#[test]
fn a_zone_comes_from_the_flag_else_from_the_environment() {
    let zone = |line: &str, named: Option<&str>| {
        let environment = Environment { zone: named.map(Into::into), ..Environment::default() };
        let args = Args::read(line.split(' ').map(Into::into)).unwrap();
        Config::from_args(&args.transfer).and_then(|config| config.in_zone_of(&environment)).map(|c| c.node.zone)
    };
    assert_eq!(zone("--dst /a --zone eu", Some("us")), Ok(Some("eu".into())));
    assert_eq!(zone("--dst /a", Some("us")), Ok(Some("us".into())));
    assert_eq!(zone("--dst /a", Some("")), Ok(None), "a template without a value names no zone");
    assert_eq!(zone("--dst /a", None), Ok(None));
    let refused = zone("--dst /a", Some("a b")).unwrap_err().to_string();
    assert!(refused.contains("STREW_ZONE"), "{refused}");
}
