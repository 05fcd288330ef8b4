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
fn a_registry_is_told_the_address_of_choice_or_that_of_the_way_there() {
    let registry = |line: &str| {
        let args = Args::read(line.split_whitespace().map(Into::into)).map_err(|e| e.to_string())?;
        args.transfer.lists.registry().map_err(|e| e.to_string())
    };
    let url = "-src /x -peer-registry-heartbeat-url http://reg/beat";
    let usual = registry(url).unwrap().unwrap();
    assert_eq!((usual.endpoint, usual.interval), (SelfEndpoint::Auto, Duration::from_secs(5)));
    let all = "-peer-registry-self-endpoint node7 -peer-registry-heartbeat-interval 1s -peer-registry-timeout 2s";
    let chosen = registry(&format!("{url} {all}")).unwrap().unwrap();
    assert_eq!(chosen.endpoint, SelfEndpoint::Named("node7:10090".parse().unwrap()));
    assert_eq!((chosen.interval, chosen.timeout), (Duration::from_secs(1), Duration::from_secs(2)));
    assert_eq!(registry("-src /x -peer-registry-self-endpoint node7"), Ok(None), "as p2pcp has it");
    for (words, part) in [
        ("-peer-registry-self-endpoint :1", "or write auto"),
        ("-peer-registry-heartbeat-interval 0s", "--peer-registry-heartbeat-interval"),
        ("-peer-registry-timeout 0", "--peer-registry-timeout"),
    ] {
        assert!(registry(&format!("{url} {words}")).unwrap_err().contains(part), "{words}");
    }
    assert!(registry("-src /x -peer-registry-heartbeat-url reg").unwrap_err().contains("no URL"));
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
fn a_token_is_for_the_registry_and_else_for_where_the_list_is() {
    let environment = Environment { registry_token: Some(Zeroizing::new("secret".into())), ..Environment::default() };
    let (registry, list): (HttpUrl, HttpUrl) = ("http://reg/beat".parse().unwrap(), "http://list/".parse().unwrap());
    let provider = Provider::Url(list.clone());
    let owner = |registry: Option<&HttpUrl>, list: Option<&Provider>| {
        let settings = ListArgs::default().http(&environment, registry, list).unwrap();
        settings.token.map(|(owner, _)| owner)
    };
    assert_eq!(owner(Some(&registry), Some(&provider)), Some(registry.origin()));
    assert_eq!(owner(None, Some(&provider)), Some(list.origin()));
    assert_eq!(owner(None, None), None);
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
