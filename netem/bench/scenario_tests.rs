//! What a scenario file may say and what not.

use super::*;

const SMALL: &str = r#"
about = "two peers"
hosts = [
    { role = "seeder", up = "20Mbit", down = "200Mbit", zone = "a" },
    { count = 2, up = "200Mbit", down = "200Mbit", zone = "b" },
]
"#;

fn refused(more: &str) -> String {
    Scenario::parse("small", &format!("{SMALL}{more}")).unwrap_err().to_string()
}

#[test]
fn machines_are_numbered_in_the_order_of_the_file() {
    let scenario = Scenario::parse("small", SMALL).unwrap();
    let names: Vec<String> = scenario.machines().into_iter().map(|machine| machine.name).collect();
    assert_eq!(names, ["seeder", "peer-1", "peer-2"]);
    assert_eq!((scenario.runs, scenario.size.0, scenario.waves()), (5, 256 << 20, 1));
}

#[test]
fn faults_are_written_as_what_and_when() {
    let text = format!(
        "{SMALL}\nfaults = [\n\
         {{ hosts = [\"peer-1\"], when = {{ share = 0.5 }}, what = \"kill\" }},\n\
         {{ hosts = [\"peer-2\"], when = {{ after = \"2s\" }}, what = {{ freeze = \"3s\" }} }},\n\
         {{ hosts = [\"seeder\"], when = {{ copies = 1.0 }}, what = {{ rate = {{ up = \"1Mbit\", down = \"1Mbit\" }} }} }},\n]"
    );
    let scenario = Scenario::parse("small", &text).unwrap();
    assert_eq!(scenario.faults.len(), 3);
    assert!(matches!(scenario.faults[1].what, What::Freeze(span) if span.0 == Duration::from_secs(3)));
    assert!(scenario.calm().faults.is_empty());
}

#[test]
fn what_is_named_must_exist() {
    for (more, says) in [
        ("closed = [\"c\"]", "no host is in the zone \"c\""),
        ("between = [{ zones = [\"a\", \"c\"] }]", "no host is in the zone \"c\""),
        (
            "faults = [{ hosts = [\"peer-3\"], when = { share = 0.5 }, what = \"kill\" }]",
            "\"peer-3\", which is not there",
        ),
        ("faults = [{ hosts = [\"peer-1\"], when = { share = 1.5 }, what = \"kill\" }]", "1.5 is no share"),
        ("faults = [{ hosts = [\"peer-1\"], when = { wave = 2 }, what = \"kill\" }]", "there is no wave 2"),
        ("colour = \"red\"", "unknown field `colour`"),
        ("runs = 0", "must not be nothing"),
    ] {
        let said = refused(more);
        assert!(said.contains(says), "{said:?} does not say {says:?}");
    }
}

#[test]
fn refuses_a_scenario_in_which_nobody_begins_or_ends() {
    let seeder = "{ role = \"seeder\", up = \"1Mbit\", down = \"1Mbit\" }";
    let peer = |more: &str| format!("{{ up = \"1Mbit\", down = \"1Mbit\"{more} }}");
    for (hosts, says) in [
        (peer(""), "must be the seeder"),
        (format!("{seeder}, {seeder}, {}", peer("")), "there is one seeder"),
        (seeder.to_owned(), "wave 1 has no judged peer"),
        (format!("{seeder}, {}", peer(", judged = false")), "wave 1 has no judged peer"),
        (format!("{seeder}, {}, {}", peer(""), peer(", wave = 3")), "wave 2 has no judged peer"),
    ] {
        let said = Scenario::parse("x", &format!("about = \"\"\nhosts = [{hosts}]")).unwrap_err().to_string();
        assert!(said.contains(says), "{said:?} does not say {says:?}");
    }
}

#[test]
fn every_scenario_of_the_project_is_well_formed() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("netem/scenarios");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        Scenario::read(&file).unwrap();
    }
}
