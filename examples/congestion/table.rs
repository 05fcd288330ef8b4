//! Table: the courses of docs/congestion.md, printed as they stand there.
//!
//! Links of the ladder that differ in their loss alone are one line here, since the loss is a column.
//!
//! Invariant: a cell depends on its own course and on nothing that was run before.
//!
//! Not here: how a cell is measured (`course`).

use std::time::Duration;

use strew::net::CongestionControl::{self, Cubic, Rate};
use strew::sim::Rung;
use strew::units::Time;

use crate::course::{Course, Outcome, PACKET};
use crate::topology::Loss;
use crate::world::{Flow, World};

/// Shares of packets that are lost.
const LOSSES: [f64; 3] = [0.001, 0.01, 0.02];
/// Packets in a burst: a batch of a sender at a time, as in the ladder.
const BURST: f64 = 8.0;
/// Queues in products; routers have one, cheap switches less.
const QUEUES: [f64; 2] = [0.25, 1.0];
/// A cell runs for a hundred round trips, within these bounds: ten cycles of the controller, and two looks at 10 s.
const ROUND_TRIPS: u32 = 100;
const RUN_MIN: Duration = Duration::from_secs(4);
const RUN_MAX: Duration = Duration::from_secs(25);
/// Two flows are looked at for so long: two-thirds of a minute after they met.
const SHARED: Duration = Duration::from_secs(80);
/// Longer than any transfer here takes with anything but Cubic at much loss.
const PATIENCE: Duration = Duration::from_secs(120);

/// Prints all of it.
pub(crate) fn print() {
    ladder();
    lost_acknowledgements();
    starts();
    fall();
    shares();
    incast();
}

fn losses() -> Vec<(String, Loss)> {
    let random = LOSSES.map(|share| (format!("{} %", share * 100.0), Loss::Random(share)));
    let bursty = LOSSES.map(|rate| (format!("{} %, bursts", rate * 100.0), Loss::Bursty { rate, mean_burst: BURST }));
    [("0".to_owned(), Loss::None)].into_iter().chain(random).chain(bursty).collect()
}

fn ladder() {
    println!("## The ladder\n");
    println!(
        "Goodput as share of the payload rate · median wait in packets and in percent of the round trip · dropped by the queue\n"
    );
    let mut seen = Vec::new();
    let heads: Vec<String> = losses().into_iter().map(|(name, _)| name).collect();
    println!("| link | queue | control | {} |", heads.join(" | "));
    println!("| --- | --- | --- |{}", " --- |".repeat(heads.len()));
    for rung in Rung::all() {
        let line = (rung.rate.0, rung.round_trip, rung.jitter);
        if seen.contains(&line) {
            continue;
        }
        seen.push(line);
        let name = rung.name.split("-loss").next().unwrap_or(rung.name);
        for queue in QUEUES {
            for control in [Cubic, Rate] {
                let cells = losses().into_iter().map(|(_, loss)| cell(&Course::of(&rung, queue).losing(loss), control));
                println!("| {name} | {queue} | {} | {} |", word(control), cells.collect::<Vec<_>>().join(" | "));
            }
        }
    }
}

fn cell(course: &Course, control: CongestionControl) -> String {
    let time = (course.round_trip * ROUND_TRIPS).clamp(RUN_MIN, RUN_MAX);
    show(course, &course.run(&[control], time))
}

fn show(course: &Course, outcome: &Outcome) -> String {
    let wait = outcome.wait.as_secs_f64();
    let packets = wait * course.rate as f64 / PACKET;
    let share = 100.0 * wait / course.round_trip.as_secs_f64();
    format!("{:.3} · {packets:.0} p {share:.0} % · {:.1} %", outcome.total(), outcome.dropped * 100.0)
}

fn lost_acknowledgements() {
    println!("\n## Lost acknowledgements alone\n\nocean, one product of queue\n");
    for share in [0.01, 0.1] {
        let loss_back = Loss::Random(share);
        for control in [Cubic, Rate] {
            let course = Course { loss_back, ..ocean(1.0) };
            println!("* {} % of them, {}: {}", share * 100.0, word(control), cell(&course, control));
        }
    }
}

fn starts() {
    println!("\n## Whole transfers over ocean, handshake and start included: share of the payload rate\n");
    println!("| loss | queue | control | 256 MiB | 16 MiB |\n| --- | --- | --- | --- | --- |");
    for loss in [0.0, 0.001, 0.01] {
        for queue in QUEUES {
            for control in [Cubic, Rate] {
                let course = ocean(queue).losing(if loss > 0.0 { Loss::Random(loss) } else { Loss::None });
                let [large, small] = [256, 16].map(|mib| course.transfer(control, mib << 20, PATIENCE));
                println!("| {} % | {queue} | {} | {large:.2} | {small:.2} |", loss * 100.0, word(control));
            }
        }
    }
}

fn fall() {
    println!("\n## A line that falls from 200 to 50 Mbit/s after 6 s and recovers 6 s later (ocean, half seconds)\n");
    for control in [Cubic, Rate] {
        let (wide, mut steps) = (ocean(1.0), Vec::new());
        let narrow = Course { rate: wide.rate / 4, ..wide };
        let mut world = World::new(&[Flow { control, starts: Time::ZERO, bytes: None }], wide.links(), wide.seed);
        world.run(Time::ZERO + Duration::from_secs(6));
        for course in [narrow, wide] {
            world.change(course.links()[0]);
            for _ in 0..12 {
                let outcome = course.measure(&mut world, Duration::from_millis(500));
                steps.push(format!("{:.2} ({:.0} ms)", outcome.total(), outcome.wait.as_secs_f64() * 1000.0));
            }
        }
        println!("* {}: {}\n  | {}", word(control), steps[..12].join(" "), steps[12..].join(" "));
    }
}

fn shares() {
    println!(
        "\n## Two flows on one line, the second begins 5 s later: their shares in the second half of {} s\n",
        SHARED.as_secs()
    );
    for (link, queue) in [("metro", 1.0), ("ocean", 1.0), ("ocean", 2.0)] {
        let Some(rung) = Rung::named(link) else { continue };
        let course = Course::of(&rung, queue);
        for pair in [[Rate, Rate], [Rate, Cubic], [Cubic, Rate], [Cubic, Cubic]] {
            let starts = [Time::ZERO, Time::ZERO + Duration::from_secs(5)];
            let flows: Vec<Flow> =
                pair.into_iter().zip(starts).map(|(control, starts)| Flow { control, starts, bytes: None }).collect();
            let mut world = World::new(&flows, course.links(), course.seed);
            world.run(Time::ZERO + SHARED / 2);
            let outcome = course.measure(&mut world, SHARED / 2);
            let [first, second] = pair.map(word);
            println!(
                "* {link}, queue {queue}: {first} {:.2}, {second} {:.2}, wait {:.0} ms",
                outcome.goodput[0],
                outcome.goodput[1],
                outcome.wait.as_secs_f64() * 1000.0
            );
        }
    }
}

fn incast() {
    println!("\n## Many near senders into one line of 200 Mbit/s, 0.4 ms\n");
    println!("| queue | senders | control | goodput | least share | dropped |\n| --- | --- | --- | --- | --- | --- |");
    for queue in [64 << 10, 256 << 10] {
        for senders in [4, 16] {
            for control in [Cubic, Rate] {
                let course = Course { queue, ..Course::new(25_000_000, Duration::from_micros(400), 1.0) };
                let outcome = course.run(&vec![control; senders], Duration::from_secs(6));
                let least = outcome.goodput.iter().fold(f64::MAX, |least, share| least.min(*share));
                let (word, total, dropped) = (word(control), outcome.total(), outcome.dropped * 100.0);
                println!("| {} KiB | {senders} | {word} | {total:.2} | {least:.3} | {dropped:.1} % |", queue >> 10);
            }
        }
    }
}

fn ocean(queue: f64) -> Course {
    Course::new(25_000_000, Duration::from_millis(100), queue)
}

const fn word(control: CongestionControl) -> &'static str {
    match control {
        CongestionControl::Auto => "auto",
        Cubic => "cubic",
        Rate => "rate",
    }
}
