//! Medians, and what counts as reached.

use super::*;

fn run(makespan: f64, copies: f64) -> Record {
    let wave = Wave {
        bound: 10.0,
        makespan: Some(makespan),
        efficiency_wire: Some(10.0 / makespan),
        efficiency: Some(10.5 / makespan),
        peers: [makespan - 0.5, makespan - 0.2, makespan],
        spread: Some(0.5 / makespan),
    };
    Record {
        v: 1,
        scenario: "s".into(),
        calm: false,
        data: "file",
        contender: "strew".into(),
        run: 1,
        began: 0,
        bytes: 1,
        judged: 1,
        payload_share: 0.95,
        payload_formula: String::new(),
        problem: None,
        waves: vec![wave],
        copies_counted: copies + 0.1,
        copies_told: Some(copies),
        crossings_counted: None,
        crossings_told: None,
        repeated: None,
        cpu_per_gb: 1.0,
        cost: Cost::default(),
        memory: 1,
        control: 0.0,
        dropped: 0.0,
        busy: 0.5,
        cpu_bound: false,
        late: None,
        hosts: Vec::new(),
    }
}

fn cell<'a>(runs: &'a [Record], calm: &'a [Record]) -> Cell<'a> {
    Cell { title: "cell".into(), runs: runs.iter().collect(), calm: calm.iter().collect() }
}

#[test]
fn the_median_is_in_the_middle_of_odd_and_even_numbers_of_figures() {
    let median = |figures: &[f64]| Spread::of(figures.to_vec()).unwrap().median;
    assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
    assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
    assert_eq!(Spread::of(Vec::new()), None);
}

#[test]
fn an_aim_is_missed_by_the_median_and_not_by_one_run() {
    let runs = [run(10.6, 1.0), run(10.7, 1.01), run(30.0, 2.0)];
    let aims = Aims { efficiency: Some(0.95), copies: Some(1.03), ..Aims::default() };
    assert_eq!(cell(&runs, &[]).missed(&aims), Vec::<String>::new());
    let strict = Aims { efficiency: Some(0.99), copies: Some(1.001), ..Aims::default() };
    assert_eq!(cell(&runs, &[]).missed(&strict).len(), 2);
}

#[test]
fn a_run_that_failed_gives_no_figure_and_fails_the_cell() {
    let mut runs = [run(10.6, 1.0), run(1.0, 0.0)];
    runs[1].problem = Some("the copy of peer-1 is not the source".into());
    let cell = cell(&runs, &[]);
    assert_eq!(cell.missed(&Aims::default()), ["1 of 2 runs failed"]);
    assert!(cell.lines(&Aims::default()).contains("the copy of peer-1 is not the source"));
    assert_eq!(cell.typical(), Some(0));
}

#[test]
fn faults_cost_what_runs_without_them_did_not_need() {
    let (runs, calm) = ([run(11.5, 1.0)], [run(10.0, 1.0)]);
    assert!((cell(&runs, &calm).cost().unwrap() - 1.5).abs() < 1e-9);
}

#[test]
fn a_later_wave_that_takes_longer_is_a_rise() {
    let wave = |makespan| Wave { makespan: Some(makespan), ..run(1.0, 1.0).waves[0].clone() };
    assert!((rise(&[wave(10.0), wave(9.0), wave(9.9)]).unwrap() - 0.1).abs() < 1e-9);
    assert_eq!(rise(&[wave(10.0)]), None);
}

#[test]
fn what_it_costs_beside_another_is_a_share_of_medians() {
    let of = |cpu: f64, gbit: f64| {
        let cost = Cost { gbit, seeder: cpu / 2.0, ..Cost::default() };
        Record { cpu_per_gb: cpu, cost, ..run(10.0, 1.0) }
    };
    let (ours, theirs) = ([of(3.0, 4.0), of(9.0, 1.0), of(3.0, 4.0)], [of(2.0, 8.0)]);
    let said = cell(&ours, &[]).beside(&cell(&theirs, &[])).unwrap();
    assert!(said.ends_with("CPU 1.50, throughput 0.50, seeder's CPU per GB sent 1.50"), "{said}");
    assert_eq!(cell(&[], &[]).beside(&cell(&theirs, &[])), None);
}
