//! The efficiency table, as far as it is quick: the median of five seeds in each cell, against the reference.
//!
//! All of it is printed by `cargo run --release --example simulate -- table`, which exits with 1 when a cell is below.
//!
//! Not here: the references themselves (`strew::sim::cells`).

use strew::sim::{Cell, Report, SEEDS, Shape, cells};

/// Runs the cells that are wanted with the named seeds and asserts that each reaches what it has to.
fn assert_reached(wanted: impl Fn(&Cell) -> bool) {
    let mut below = Vec::new();
    let single =
        |cell: &Cell| !matches!(cell.shape, Shape::TwoPublishers | Shape::FourPublishers | Shape::PublisherDies);
    let wanted: Vec<Cell> = cells(false).into_iter().filter(|cell| single(cell) && wanted(cell)).collect();
    assert!(!wanted.is_empty(), "the table has such cells");
    for cell in wanted {
        let reports: Vec<Report> = SEEDS.iter().map(|seed| cell.run(*seed)).collect();
        let measured = Cell::measure(&reports);
        assert!(reports.iter().all(|report| report.efficiency() <= 1.0), "nothing beats the bound: {cell:?}");
        if !cell.is_reached(&measured) {
            below.push(format!(
                "{measured:.3?} in {cell:?}; repeat with: cargo run --release --example simulate -- table --shape {} --peers {}",
                cell.shape.name(),
                cell.peers
            ));
        }
    }
    assert!(below.is_empty(), "below the reference:\n{}", below.join("\n"));
}

#[test]
#[ignore = "a minute without optimisation: cargo test --release --test simulation -- --include-ignored"]
fn eight_peers_are_within_two_points_of_every_reference() {
    assert_reached(|cell| cell.peers == 8);
}

#[test]
#[ignore = "minutes without optimisation: cargo test --release --test simulation -- --include-ignored"]
fn thirty_two_peers_are_within_two_points_of_every_reference_at_large_chunks() {
    assert_reached(|cell| cell.peers == 32 && cell.chunk.0 == super::MIB);
}

#[test]
#[ignore = "minutes without optimisation: cargo test --release --test simulation -- --include-ignored"]
fn a_hundred_and_twenty_eight_peers_are_within_two_points_of_the_reference_at_large_chunks() {
    let hardest = [Shape::Homogeneous, Shape::Slow, Shape::DyingThird];
    assert_reached(|cell| cell.peers == 128 && cell.chunk.0 == super::MIB && hardest.contains(&cell.shape));
}

#[test]
fn equal_links_are_used_to_within_two_points_of_the_reference_by_eight_peers() {
    assert_reached(|cell| cell.peers == 8 && cell.shape == Shape::Homogeneous && cell.chunk.0 == super::MIB);
}

#[test]
fn no_second_copy_leaves_a_publisher_in_its_first_pass_and_little_is_sent_in_vain() {
    for (seed, chunk) in [(11, super::MIB), (23, 256 * super::KIB)] {
        let mut wanted = cells(false).into_iter();
        let cell = wanted.find(|c| c.shape == Shape::Homogeneous && c.peers == 8 && c.chunk.0 == chunk);
        let report = cell.expect("the table has this cell").run(seed);
        assert!(report.first_pass_copies.is_some_and(|copies| copies <= 1.01), "{:?}", report.first_pass_copies);
        assert!(report.waste <= 0.005, "{:.2} % was sent in vain", 100.0 * report.waste);
        assert!(report.control.0 * 1000 <= 8 * super::GIB, "{} of control traffic", report.control);
    }
}
