//! Whatever comes in, also what no honest neighbour would send, nothing breaks.

use proptest::test_runner::RngSeed;

use super::*;

/// An input with small numbers, so that they often meet.
fn input() -> impl Strategy<Value = Input> {
    let source = || (0u32..5).prop_map(SourceId);
    let request = || (0u64..12).prop_map(RequestId);
    let id = || (0..COUNT).prop_map(chunk);
    prop_oneof![
        source().prop_map(|source| Input::Left { source }),
        (source(), any::<u8>())
            .prop_map(|(source, bits)| Input::Holds { source, chunks: set((0..COUNT).filter(|i| bits >> i & 1 == 1)) }),
        (source(), id()).prop_map(|(source, chunk)| Input::Haves { source, chunks: vec![chunk] }),
        (source(), 0u64..8, 0u32..4, any::<bool>()).prop_map(|(source, id, stamp, reaches)| Input::Members {
            source,
            members: vec![Member { id, stamp, reaches }]
        }),
        (source(), request(), id(), any::<bool>()).prop_map(|(source, request, chunk, exact)| Input::Requested {
            source,
            request,
            chunk,
            exact
        }),
        request().prop_map(|request| Input::Withdrawn { request }),
        request().prop_map(|request| Input::Written { request }),
        (request(), any::<bool>()).prop_map(|(request, good)| {
            Input::Sent { request, outcome: if good { Outcome::Delivered } else { Outcome::Aborted } }
        }),
        (source(), id(), id()).prop_map(|(source, asked, chunk)| Input::Arriving { source, asked, chunk }),
        (source(), id(), id(), 0u32..8).prop_map(|(source, asked, chunk, waiting)| Input::Fetched {
            source,
            asked,
            chunk,
            waiting
        }),
        (source(), id()).prop_map(|(source, asked)| Input::Refused { source, asked }),
        (source(), id()).prop_map(|(source, chunk)| Input::Verified { source, chunk }),
        (source(), id()).prop_map(|(source, chunk)| Input::Corrupt { source, chunk }),
        id().prop_map(|chunk| Input::Mixed { chunk }),
        id().prop_map(|chunk| Input::Lost { chunk }),
        any::<u8>().prop_map(|bits| Input::Withheld { chunks: set((0..COUNT).filter(|i| bits >> i & 1 == 1)) }),
        id().prop_map(|chunk| Input::Released { chunk }),
        Just(Input::Tick),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_sequence_of_inputs_breaks_an_invariant(
        publisher: bool,
        zone in 0u32..2,
        have in any::<u8>(),
        inputs in proptest::collection::vec((0u64..3000, input()), 0..120),
    ) {
        let config = Config { publisher, order: 1, zone: Zone(zone), uploads_at_once: 2, window_start: 2, ..Config::default() };
        let mut stage = Stage::new(set((0..COUNT).filter(|i| have >> i & 1 == 1)), config);
        let mut here = [false; 5];
        let mut used = std::collections::BTreeSet::new();
        for (millis, input) in inputs {
            stage.pass(Duration::from_millis(millis));
            match input {
                // Ids are the owner's, who does not use one twice.
                Input::Requested { request, .. } if !used.insert(request) => continue,
                Input::Left { source } => here[source.0 as usize] = false,
                Input::Holds { source, .. } if !here[source.0 as usize] => {
                    here[source.0 as usize] = true;
                    stage.tell(Input::Joined { source, profile: Profile { publisher: source.0 < 2, order: u64::from(source.0) + 2, zone: Zone(source.0 % 3), ..Profile::default() } });
                }
                _ => {}
            }
            stage.tell(input);
            stage.tell(Input::Tick);
            prop_assert!(stage.swarm.deadline().is_none_or(|due| due > stage.now), "a tick does what is due");
        }
    }
}
