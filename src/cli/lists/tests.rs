use super::*;
use crate::cli::Args;

/// What a command line says about lists, or its error's text.
fn lists(line: &str) -> Result<Lists, String> {
    let args = Args::read(line.split_whitespace().map(Into::into)).map_err(|e| e.to_string())?;
    args.transfer.lists.lists().map_err(|e| e.to_string())
}

#[test]
fn flags_of_p2pcp_mean_what_they_meant() {
    let shown = |line: &str| lists(line).unwrap().provider.unwrap().to_string();
    assert_eq!(shown("-dst /x -peer-list-url http://lists.example/peers"), "http://lists.example/peers");
    assert_eq!(shown("-dst /x -peer-list-srv=_strew._udp.fleet"), "SRV _strew._udp.fleet");
    assert_eq!(shown("-dst /x --peer-list-a fleet"), "A fleet:10090");
    let lists =
        lists("-dst /x -peer-list-a fleet -peer-list-dns-server 10.0.0.10 -peer-list-poll-interval 500ms").unwrap();
    assert_eq!((lists.dns_server, lists.interval), ("10.0.0.10:53".parse().ok(), Duration::from_millis(500)));
    assert_eq!(super::tests::lists("-dst /x").unwrap(), Lists::default());
    let empty =
        super::tests::lists("-dst /x -peer-list-url= -peer-list-srv= -peer-list-a=fleet -peer-list-dns-server=");
    assert_eq!(empty.unwrap().provider.unwrap().to_string(), "A fleet:10090", "an empty value is none");
}

#[test]
fn two_lists_that_change_are_refused() {
    let error = lists("-dst /x --peer-list-a fleet --peer-list-url file:peers").unwrap_err();
    assert!(error.contains("--peer-list-url and --peer-list-a"), "{error}");
}

/// p2pcp panicked for pauses of zero.
#[test]
fn a_pause_that_would_be_a_flood_is_refused() {
    for value in ["0", "0s", "99ms", "-1s", "soon"] {
        let error = lists(&format!("-dst /x -peer-list-a fleet --peer-list-poll-interval={value}")).unwrap_err();
        assert!(error.contains("--peer-list-poll-interval"), "{error}");
    }
}

#[test]
fn name_servers_are_addresses() {
    for (text, address) in
        [("::1", "[::1]:53"), ("[::1]", "[::1]:53"), ("[::1]:5353", "[::1]:5353"), ("1.2.3.4:7", "1.2.3.4:7")]
    {
        let lists = lists(&format!("-dst /x --peer-list-dns-server {text}")).unwrap();
        assert_eq!(lists.dns_server, address.parse().ok(), "{text}");
    }
    for text in ["ns.example", "1.2.3.4:0", "1.2.3.4:x"] {
        let error = lists(&format!("-dst /x --peer-list-dns-server {text}")).unwrap_err();
        assert!(error.contains("--peer-list-dns-server") && error.contains("10.0.0.10:53"), "{error}");
    }
}

#[test]
fn a_token_comes_from_a_file_before_the_environment_and_is_never_shown() {
    let environment = Environment { registry_token: Some(Zeroizing::new("outside".into())), ..Environment::default() };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "inside\n").unwrap();
    assert_eq!(token(Some(&path), &environment).unwrap(), Token::parse("inside").ok());
    assert_eq!(token(None, &environment).unwrap(), Token::parse("outside").ok());
    assert_eq!(token(None, &Environment::default()).unwrap(), None);
    std::fs::write(&path, "two secrets").unwrap();
    let error = token(Some(&path), &environment).unwrap_err().to_string();
    assert!(error.contains("token is 1 to") && !error.contains("secrets"), "{error}");
    assert!(token(Some(&folder.path().join("none")), &environment).unwrap_err().to_string().contains("none"));
    assert!(!format!("{:?}", Token::parse("inside")).contains("inside"));
}
