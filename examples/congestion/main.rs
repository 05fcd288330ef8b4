//! Congestion: what the congestion controllers make of the ladder of links, in virtual time.
//!
//! ```console
//! $ cargo run --release --example congestion -- table                      # the figures of docs/congestion.md, minutes
//! $ cargo run --release --example congestion -- watch ocean rate 1% 0.25   # one connection, step by step
//! $ cargo run --release --example congestion -- watch ocean rate+cubic 0 1 # two that share the line
//! ```
//!
//! Invariant: prints the same whenever and wherever it runs, a change of the code aside.
//!
//! Not here: real sockets (`netem/`).

#![allow(clippy::print_stdout, clippy::cast_precision_loss)] // a program that prints figures

mod course;
mod end;
#[allow(dead_code)] // shared with the emulator, which uses all of it
#[path = "../../netem/link.rs"]
mod link;
mod table;
#[allow(dead_code)] // the same
#[path = "../../netem/topology.rs"]
mod topology;
mod world;

use std::process::ExitCode;
use std::time::Duration;

use strew::net::CongestionControl;
use strew::sim::{Rung, read_loss};
use strew::units::Time;

use course::{Course, loss_of};
use world::{Flow, World};

/// Steps of two round trips that `watch` shows: the start and the first look at the empty path on a line of 100 ms.
const STEPS: u32 = 60;
/// The shortest step, so that a near path has some packets in each.
const STEP_MIN: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let is_done = match words[..] {
        ["table"] => {
            table::print();
            true
        }
        ["watch", link, controls, loss, queue] => watch(link, controls, loss, queue).is_some(),
        _ => false,
    };
    if !is_done {
        println!(
            "congestion table\ncongestion watch LINK CONTROL[+CONTROL] LOSS QUEUE    as in: watch ocean rate 1% 0.25"
        );
        return ExitCode::from(2);
    }
    ExitCode::SUCCESS
}

/// Shows connections over a line step by step; `None` for words that cannot be used.
fn watch(link: &str, controls: &str, loss: &str, queue: &str) -> Option<()> {
    let course = Course::of(&Rung::named(link)?, queue.parse().ok()?).losing(loss_of(read_loss(loss)?));
    let controls = controls.split('+').map(control).collect::<Option<Vec<_>>>()?;
    let flow = |control: &CongestionControl| Flow { control: *control, starts: Time::ZERO, bytes: None };
    let flows: Vec<Flow> = controls.iter().map(flow).collect();
    let mut world = World::new(&flows, course.links(), course.seed);
    println!("      s  goodput       windows kB    wait ms   dropped");
    for _ in 0..STEPS {
        let outcome = course.measure(&mut world, (course.round_trip * 2).max(STEP_MIN));
        let windows: Vec<u64> = (0..flows.len()).map(|flow| world.window(flow) / 1000).collect();
        let (now, wait) = (world.now().since(Time::ZERO).as_secs_f64(), outcome.wait.as_secs_f64() * 1000.0);
        println!("{now:7.2}  {:.3?}  {windows:?}  {wait:.1}  {:.4}", outcome.goodput, outcome.dropped);
    }
    Some(())
}

fn control(word: &str) -> Option<CongestionControl> {
    match word {
        "auto" => Some(CongestionControl::Auto),
        "cubic" => Some(CongestionControl::Cubic),
        "rate" => Some(CongestionControl::Rate),
        _ => None,
    }
}
