//! Congestion control in virtual time: a handful of the cells that `examples/congestion` prints in full.
//!
//! quinn-proto's real state machines exchange real packets over a computed line, so minutes pass in seconds, and a busy machine changes
//! nothing. What is asserted is what docs/congestion.md promises, with its own figures well inside.
//!
//! Invariant: no test waits, and none looks at a clock.
//!
//! Not here: real sockets (`netem/scenarios/ocean-*.toml`).

#![allow(clippy::cast_precision_loss)] // shares of rates

#[allow(dead_code)] // the example uses all of it
#[path = "../examples/congestion/course.rs"]
mod course;
#[path = "../examples/congestion/end.rs"]
mod end;
#[allow(dead_code)] // the emulator uses all of it
#[path = "../netem/link.rs"]
mod link;
#[allow(dead_code)] // the same
#[path = "../netem/topology.rs"]
mod topology;
#[allow(dead_code)] // the example uses all of it
#[path = "../examples/congestion/world.rs"]
mod world;

use std::time::Duration;

use strew::net::CongestionControl::{Auto, Cubic, Rate};
use strew::units::Time;

use course::Course;
use topology::Loss;
use world::{Flow, World};

const SECOND: Duration = Duration::from_secs(1);

/// 200 Mbit/s over 100 ms.
fn ocean(queue: f64) -> Course {
    Course::new(25_000_000, Duration::from_millis(100), queue)
}

/// 200 Mbit/s over 20 ms.
fn metro(queue: f64) -> Course {
    Course::new(25_000_000, Duration::from_millis(20), queue)
}

#[test]
fn random_loss_takes_its_own_share_and_no_more() {
    for (course, share) in [(ocean(1.0), 0.01), (ocean(0.25), 0.02), (metro(0.25), 0.02)] {
        let goodput = course.losing(Loss::Random(share)).run(&[Auto], 8 * SECOND).total();
        assert!(goodput > 0.94, "{goodput} at {share}");
    }
}

#[test]
fn bursts_of_loss_are_not_taken_for_a_full_queue() {
    let goodput = metro(1.0).losing(Loss::Bursty { rate: 0.02, mean_burst: 8.0 }).run(&[Rate], 8 * SECOND).total();
    assert!(goodput > 0.92, "{goodput}");
}

#[test]
fn a_line_without_loss_is_full_and_its_queue_is_not() {
    for course in [ocean(1.0), metro(1.0)] {
        let outcome = course.run(&[Rate], 8 * SECOND);
        assert!(outcome.total() > 0.97 && outcome.dropped < 0.01, "{outcome:?}");
        assert!(outcome.wait < course.round_trip / 5, "{outcome:?}");
    }
}

#[test]
fn a_transfer_over_an_ocean_fills_the_line_its_start_included() {
    for loss in [Loss::None, Loss::Random(0.01)] {
        let share = ocean(0.25).losing(loss).transfer(Auto, 256 << 20, 60 * SECOND);
        assert!(share > 0.87, "{share} at {loss:?}");
    }
}

#[test]
fn lost_acknowledgements_cost_nothing() {
    let goodput = Course { loss_back: Loss::Random(0.1), ..ocean(1.0) }.run(&[Rate], 8 * SECOND).total();
    assert!(goodput > 0.95, "{goodput}");
}

#[test]
fn two_flows_that_met_late_share_their_line() {
    let course = metro(1.0);
    let flow = |starts| Flow { control: Rate, starts, bytes: None };
    let mut world = World::new(&[flow(Time::ZERO), flow(Time::ZERO + 2 * SECOND)], course.links(), course.seed);
    world.run(Time::ZERO + 8 * SECOND);
    let shares = course.measure(&mut world, 12 * SECOND).goodput;
    assert!(shares.iter().all(|share| *share > 0.35) && shares.iter().sum::<f64>() > 0.95, "{shares:?}");
}

#[test]
fn a_cubic_flow_beside_it_is_not_starved() {
    // It keeps 0.14 here (docs/congestion.md), which is less than fair.
    let shares = metro(1.0).run(&[Rate, Cubic], 24 * SECOND).goodput;
    assert!(shares[1] > 0.1, "{shares:?}");
}

#[test]
fn a_line_that_becomes_narrower_has_a_short_queue_again_within_three_seconds() {
    let wide = ocean(1.0);
    let narrow = Course { rate: wide.rate / 4, ..wide };
    let mut world = World::new(&[Flow { control: Rate, starts: Time::ZERO, bytes: None }], wide.links(), 1);
    world.run(Time::ZERO + 4 * SECOND);
    world.change(narrow.links()[0]);
    world.run(Time::ZERO + 7 * SECOND);
    let outcome = narrow.measure(&mut world, 2 * SECOND);
    assert!(outcome.total() > 0.9 && outcome.wait < narrow.round_trip / 4, "{outcome:?}");
}

#[test]
fn cubic_gives_up_where_loss_is_not_its_doing() {
    let goodput = ocean(1.0).losing(Loss::Random(0.01)).run(&[Cubic], 8 * SECOND).total();
    assert!(goodput < 0.2, "{goodput}: the line does not lose what it should, so the other tests prove nothing");
}

#[test]
fn equal_seeds_give_equal_outcomes_and_others_give_others() {
    let course = metro(0.25).losing(Loss::Random(0.01));
    let outcome = |seed| Course { seed, ..course }.run(&[Rate], 2 * SECOND);
    assert_eq!(outcome(1), outcome(1));
    assert_ne!(outcome(1), outcome(2));
}
