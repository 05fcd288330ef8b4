//! What may go wrong goes wrong: machines that die, come back, freeze and lie, late ones and slow ones, and publishers that go.
//!
//! Not here: what each of these costs on its own (`table`).

use std::time::Duration;

use strew::sim::{self, Host, Lie, Outage, Rate, Scenario, Shape};
use strew::units::Bytes;

/// What may pass beside the transfers after the last change: the longest pause before neighbours are looked for again, a fifth longer by
/// chance. A quarantine takes a minute, so nobody may have waited for one.
const PATIENCE: Duration = Duration::from_secs(15);

/// Every honest machine that is up at the end has everything, unless it was lost with all who held it; nobody honest was banned; and it
/// did not take much longer than it has to.
fn assert_converge(seeds: std::ops::Range<u64>) {
    let mut lost = 0;
    for seed in seeds.clone() {
        let repeat = format!("repeat with: cargo run --release --example simulate -- seed {seed}");
        let scenario = Scenario::random(seed);
        let run = std::panic::catch_unwind(|| sim::run(&scenario, seed));
        let report = run.unwrap_or_else(|_| panic!("an invariant broke; {repeat}"));
        assert!(report.converged(), "{}; {repeat}", report.shortfall());
        let publisher_stays = scenario.hosts.iter().any(|host| host.publisher && !host.goes_for_good());
        assert!(report.lost == 0 || !publisher_stays, "a publisher stays, so nothing can be lost; {repeat}");
        lost += u64::from(report.lost > 0);
        let most = last_change(&scenario) + 4 * report.bound + PATIENCE;
        assert!(report.lost > 0 || report.makespan <= most, "{:?} instead of {most:?}; {repeat}", report.makespan);
    }
    let runs = seeds.end - seeds.start;
    assert!(10 * lost <= runs, "{lost} of {runs} runs show nothing, as chunks were lost in them");
}

/// When the last machine came, went, froze or went on.
pub(super) fn last_change(scenario: &Scenario) -> Duration {
    let changes = |host: &Host| {
        let ends = host.outages.iter().map(|outage| outage.until.unwrap_or(outage.at));
        ends.chain([host.joins]).max().unwrap_or_default()
    };
    scenario.hosts.iter().map(changes).max().unwrap_or_default()
}

#[test]
fn every_random_run_converges_with_every_invariant_checked() {
    assert_converge(0..50);
}

#[test]
#[ignore = "minutes without optimisation: cargo test --release --test simulation -- --include-ignored"]
fn a_thousand_random_runs_converge_with_every_invariant_checked() {
    assert_converge(0..1000);
}

/// Two of sixteen peers die and two freeze for good in the middle, and the others become complete at most a second and three hundredths
/// of the bound later than when nobody does.
#[test]
#[ignore = "most of a minute without optimisation: cargo test --release --test simulation -- --include-ignored"]
fn peers_that_freeze_and_die_delay_the_others_by_a_second_at_most() {
    for seed in sim::SEEDS {
        for chunk in [256 * super::KIB, super::MIB] {
            let run = |shape| sim::run(&Scenario::shaped(shape, 16, Bytes(super::GIB), Bytes(chunk), seed), seed);
            let (plain, failing) = (run(Shape::Homogeneous), run(Shape::Freezing));
            assert!(failing.incomplete.is_empty(), "{}", failing.shortfall());
            let most = plain.makespan + Duration::from_secs(1) + plain.bound.mul_f64(0.03);
            assert!(failing.makespan <= most, "{:?} beside {:?}", failing.makespan, plain.makespan);
        }
    }
}

#[test]
fn each_kind_of_liar_is_seen_through_and_nobody_waits_for_it() {
    for lie in [Lie::Corrupts, Lie::CorruptsSecond, Lie::Refuses, Lie::Silent] {
        for seed in 0..10 {
            let mut hosts = vec![Host::new(Rate(50 * super::MIB)); 8];
            hosts[0].publisher = true;
            hosts[3].lie = Some(lie);
            hosts[6].lie = Some(lie);
            let mut scenario = Scenario::new(Bytes(64 * super::MIB), Bytes(super::MIB), hosts);
            scenario.check = true;
            let report = sim::run(&scenario, seed);
            assert!(report.converged() && report.lost == 0, "{lie:?}, seed {seed}: {}", report.shortfall());
            // Twice the patience with a request that is not answered, and no quarantine's minute.
            let most = report.bound + Duration::from_secs(4);
            assert!(report.makespan < most, "{lie:?}, seed {seed}: {:?}", report.makespan);
        }
    }
}

#[test]
fn a_hundred_peers_keep_every_invariant_while_a_third_dies() {
    for shape in [Shape::DyingThird, Shape::Freezing] {
        let mut scenario = Scenario::shaped(shape, 128, Bytes(4 * super::MIB), Bytes(64 * super::KIB), 1);
        scenario.check = true;
        let report = sim::run(&scenario, 1);
        assert!(report.converged() && report.lost == 0, "{shape:?}: {}", report.shortfall());
    }
}

#[test]
#[ignore = "a minute without optimisation: cargo test --release --test simulation -- --include-ignored"]
fn a_thousand_peers_converge_while_a_third_dies_with_invariants_sampled() {
    let mut scenario = Scenario::shaped(Shape::DyingThird, 1000, Bytes(4 * super::MIB), Bytes(64 * super::KIB), 1);
    scenario.check = true;
    let report = sim::run(&scenario, 1);
    assert!(report.converged() && report.lost == 0, "{}", report.shortfall());
}

#[test]
fn a_peer_that_freezes_again_and_again_becomes_complete_and_delays_nobody_else() {
    let mut hosts = vec![Host::new(Rate(20 * super::MIB)); 8];
    hosts[0].publisher = true;
    let quarter = |n: u64| Duration::from_millis(250 * n);
    hosts[4].outages = (0..8).map(|n| Outage::freeze(quarter(2 * n + 1)).until(quarter(2 * n + 2))).collect();
    let mut scenario = Scenario::new(Bytes(64 * super::MIB), Bytes(super::MIB), hosts);
    scenario.check = true;
    let report = sim::run(&scenario, 1);
    assert!(report.converged(), "{}", report.shortfall());
    assert!(report.makespan < Duration::from_secs(8), "half of the time it is there: {:?}", report.makespan);
}

#[test]
fn a_publisher_that_freezes_for_a_while_goes_on_where_it_stopped() {
    for lasts in [Duration::from_secs(2), Duration::from_secs(30)] {
        let mut hosts = vec![Host::new(Rate(20 * super::MIB)); 6];
        hosts[0].publisher = true;
        let at = Duration::from_secs(1);
        hosts[0].outages = vec![Outage::freeze(at).until(at + lasts)];
        let mut scenario = Scenario::new(Bytes(64 * super::MIB), Bytes(super::MIB), hosts);
        scenario.check = true;
        let report = sim::run(&scenario, 1);
        assert!(report.converged() && report.lost == 0, "{}", report.shortfall());
        // The longest pause between two attempts to find a neighbour is 15 s and a fifth.
        assert!(report.makespan < at + lasts + Duration::from_secs(18 + 6), "{:?}", report.makespan);
        assert!(report.publisher_copies < 1.4, "it sends anew only what did not arrive: {}", report.publisher_copies);
    }
}
