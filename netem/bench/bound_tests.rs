//! Bounds that can be computed by hand.

use super::*;

/// A megabyte, so that a link of 8 Mbit/s takes a second for it.
const BYTES: u64 = 1_000_000;

fn bound(text: &str, wave: usize) -> f64 {
    let scenario: Scenario = toml::from_str(&format!("about = \"\"\n{text}")).unwrap();
    of_wave(&scenario, wave, BYTES).as_secs_f64()
}

fn assert_near(found: f64, wanted: f64) {
    assert!((found - wanted).abs() < 1e-6, "{found} instead of {wanted}");
}

fn hosts(seeder: u32, peers: u32, count: u32) -> String {
    format!(
        "hosts = [{{ role = \"seeder\", up = \"{seeder}Mbit\", down = \"{seeder}Mbit\" }}, \
         {{ count = {count}, up = \"{peers}Mbit\", down = \"{peers}Mbit\" }}]"
    )
}

#[test]
fn the_thinnest_of_seeder_downlink_and_all_uplinks_decides() {
    assert_near(bound(&hosts(8, 8, 4), 1), 1.0);
    assert_near(bound(&hosts(2, 8, 4), 1), 4.0);
    assert_near(bound(&hosts(80, 8, 4), 1), 1.0);
    // Four copies from uplinks of 8 + 4 x 1 Mbit/s, although downlinks would take them in a second.
    let slow_up = "hosts = [{ role = \"seeder\", up = \"8Mbit\", down = \"8Mbit\" }, \
                   { count = 4, up = \"1Mbit\", down = \"8Mbit\" }]";
    assert_near(bound(slow_up, 1), 32.0 / 12.0);
}

#[test]
fn a_thin_link_into_a_zone_without_the_seeder_decides() {
    let zoned = |seeder: &str| {
        format!(
            "hosts = [{{ role = \"seeder\", up = \"8Mbit\", down = \"8Mbit\", zone = \"{seeder}\" }}, \
             {{ up = \"8Mbit\", down = \"8Mbit\", zone = \"b\" }}]\n\
             between = [{{ zones = [\"a\", \"b\"], rate = \"2Mbit\" }}]"
        )
    };
    assert_near(bound(&zoned("a"), 1), 4.0);
    assert_near(bound(&zoned("b"), 1), 1.0);
}

#[test]
fn earlier_waves_are_sources_and_a_seeder_that_left_is_none() {
    let waves = "hosts = [{ role = \"seeder\", up = \"8Mbit\", down = \"8Mbit\" }, \
                 { count = 2, up = \"8Mbit\", down = \"80Mbit\" }, { up = \"8Mbit\", down = \"80Mbit\", wave = 2 }]";
    assert_near(bound(waves, 1), 1.0);
    assert_near(bound(waves, 2), 1.0 / 3.0);
    let leaves = "faults = [{ hosts = [\"seeder\"], when = { wave = 1 }, what = \"leave\" }]";
    assert_near(bound(&format!("{waves}\n{leaves}"), 1), 1.0);
    assert_near(bound(&format!("{waves}\n{leaves}"), 2), 0.5);
}

#[test]
fn peers_that_are_not_judged_help_and_do_not_delay() {
    let slow = "hosts = [{ role = \"seeder\", up = \"8Mbit\", down = \"8Mbit\" }, \
                { up = \"8Mbit\", down = \"8Mbit\" }, { up = \"8kbit\", down = \"8kbit\", judged = false }]";
    assert_near(bound(slow, 1), 1.0);
}

#[test]
fn the_share_of_payload_is_that_of_a_full_frame() {
    // 1448 of 1514 bytes, and 1442 of 1514.
    assert_near(Transport::Tcp.payload_share(1500), 1448.0 / 1514.0);
    assert_near(Transport::Quic.payload_share(1500), 1442.0 / 1514.0);
    let frames = Traffic { bytes: 1514 * 100, packets: 100 };
    assert_near(Transport::Quic.payload(frames), 144_200.0);
    assert_near(Transport::Tcp.payload(Traffic { bytes: 66 * 100, packets: 100 }), 0.0);
}
