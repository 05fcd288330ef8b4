use super::*;

const ALL: Room = Room { all: 8, gossip: 8, near: 8, far: 8 };

/// Room for so many, wherever they are.
fn room(all: usize, gossip: usize) -> Room {
    Room { all, gossip, near: all, far: all }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn at(millis: u64) -> Time {
    Time::ZERO + Duration::from_millis(millis)
}

/// Candidates of the peer list and the chance for what they do at random.
fn listed(ports: std::ops::RangeInclusive<u16>) -> (Candidates, Rng) {
    let mut candidates = Candidates::default();
    ports.for_each(|port| candidates.add(address(port), Origin::Listed, at(0)));
    (candidates, Rng::with_seed(1))
}

impl Candidates {
    /// What is dialled, without where it comes from.
    fn pick(&mut self, room: Room, now: Time, rng: &mut Rng) -> Vec<SocketAddr> {
        self.dial(room, now, rng).into_iter().map(|(address, _)| address).collect()
    }

    fn next(&self) -> Option<Time> {
        self.deadline(Time::ZERO, ALL)
    }
}

#[test]
fn a_failing_address_is_tried_less_and_less_often() {
    let (mut candidates, mut rng) = listed(1..=1);
    let (mut now, mut pauses) = (at(0), Vec::new());
    for _ in 0..8 {
        assert_eq!(candidates.pick(ALL, now, &mut rng), [address(1)]);
        assert_eq!(candidates.pick(ALL, now, &mut rng), [], "it is being dialled already");
        assert_eq!(candidates.next(), None, "nothing is to be done before the attempt ends");
        candidates.failed(address(1), now, &mut rng);
        let due = candidates.next().unwrap();
        pauses.push(due - now);
        now = due;
    }
    assert!(pauses[0] >= Duration::from_millis(400) && pauses[0] <= Duration::from_millis(600));
    assert!(pauses[4] > pauses[1]);
    assert!(pauses.iter().all(|p| *p <= BACKOFF_MAX.mul_f64(1.2)));
}

#[test]
fn an_address_that_is_not_listed_any_more_is_not_dialled_any_more() {
    let (mut candidates, mut rng) = listed(1..=3);
    candidates.unlist(&[address(1)]);
    let mut dialled = candidates.pick(ALL, at(0), &mut rng);
    dialled.sort_unstable();
    assert_eq!(dialled, [address(2), address(3)]);
    candidates.unlist(&[address(2), address(3)]);
    candidates.connected(address(3), at(1));
    candidates.failed(address(2), at(1), &mut rng);
    candidates.failed(address(3), at(100_000), &mut rng);
    assert_eq!(candidates.next(), None, "neither the failed attempt nor the lost neighbour is tried again");
    assert_eq!(candidates.pick(ALL, at(200_000), &mut rng), []);
    assert_eq!(candidates.unanswered().count(), 0);
}

#[test]
fn an_address_that_comes_back_to_the_list_is_dialled_like_a_new_one() {
    let (mut candidates, mut rng) = listed(1..=1);
    assert_eq!(candidates.pick(ALL, at(0), &mut rng), [address(1)]);
    candidates.unlist(&[address(1)]);
    candidates.add(address(1), Origin::Listed, at(1));
    candidates.failed(address(1), at(2), &mut rng);
    assert_eq!(candidates.pick(ALL, at(60_000), &mut rng), [address(1)]);
    candidates.bar(address(1), at(60_000));
    candidates.unlist(&[address(1)]);
    candidates.failed(address(1), at(60_001), &mut rng);
    candidates.add(address(1), Origin::Listed, at(60_002));
    assert_eq!(candidates.pick(ALL, at(120_000), &mut rng), [], "whoever is barred stays so, listed or not");
}

#[test]
fn what_was_never_tried_comes_before_what_failed() {
    let (mut candidates, mut rng) = listed(1..=20);
    let tried = candidates.pick(room(19, 0), at(0), &mut rng);
    tried.iter().for_each(|address| candidates.failed(*address, at(0), &mut rng));
    let next = candidates.pick(room(2, 0), at(60_000), &mut rng);
    assert!(!tried.contains(&next[0]));
}

#[test]
fn connected_and_barred_addresses_are_left_alone() {
    let (mut candidates, mut rng) = listed(1..=3);
    candidates.bar(address(1), at(0));
    assert_eq!(candidates.pick(ALL, at(0), &mut rng).len(), 2);
    candidates.connected(address(2), at(0));
    candidates.failed(address(3), at(0), &mut rng);
    candidates.failed(address(1), at(0), &mut rng);
    assert_eq!(candidates.pick(ALL, at(60_000), &mut rng), [address(3)]);
}

#[test]
fn a_peer_that_comes_and_goes_is_asked_less_and_less_often() {
    let (mut candidates, mut rng) = listed(1..=1);
    let mut now = at(0);
    let mut knock = |candidates: &mut Candidates, stays: Duration| {
        assert_eq!(candidates.pick(ALL, now, &mut rng), [address(1)]);
        candidates.connected(address(1), now);
        let lost = now + stays;
        candidates.failed(address(1), lost, &mut rng);
        now = candidates.next().unwrap();
        now - lost
    };
    let pauses: Vec<Duration> = (0..6).map(|_| knock(&mut candidates, Duration::from_millis(3))).collect();
    assert!(pauses[5] > BACKOFF_MAX / 2, "{pauses:?}");
    assert!(knock(&mut candidates, STABLE) < BACKOFF_FIRST * 2, "a neighbour that stayed is looked for at once");
}

#[test]
fn whoever_has_no_room_is_not_asked_again_soon() {
    let (mut candidates, mut rng) = listed(1..=1);
    candidates.pick(ALL, at(0), &mut rng);
    candidates.connected(address(1), at(0));
    candidates.turned_away(address(1), at(60_000), &mut rng);
    assert!(candidates.next().unwrap() - at(60_000) > Duration::from_secs(6));
}

#[test]
fn a_list_has_failed_when_every_entry_but_ourselves_has() {
    let (mut candidates, mut rng) = (Candidates::default(), Rng::with_seed(1));
    assert!(!candidates.all_listed_failed());
    candidates.add(address(1), Origin::Listed, at(0));
    candidates.add(address(2), Origin::Listed, at(0));
    candidates.bar(address(2), at(0));
    assert!(!candidates.all_listed_failed());
    candidates.pick(ALL, at(0), &mut rng);
    assert_eq!(candidates.unanswered().collect::<Vec<_>>(), [address(1)]);
    candidates.failed(address(1), at(0), &mut rng);
    assert!(candidates.all_listed_failed());
}

#[test]
fn gossip_can_neither_fill_the_memory_nor_keep_newer_gossip_out() {
    let (mut candidates, mut rng) = listed(1..=10);
    for port in 11..=u16::try_from(KNOWN_MAX).unwrap() + 1000 {
        candidates.add(address(port), Origin::Gossip, at(u64::from(port)));
        assert!(candidates.known.len() <= KNOWN_MAX);
    }
    assert!((1..=10).all(|port| candidates.known.contains_key(&address(port))), "the peer list stays");
    let last = address(u16::try_from(KNOWN_MAX).unwrap() + 1000);
    assert!(candidates.known.contains_key(&last), "the newest stays");
    // Among many of one age, the failing one goes first.
    let hopeless = address(3500);
    candidates.failed(hopeless, at(60_000), &mut rng);
    (20_000..20_100).for_each(|port| candidates.add(address(port), Origin::Gossip, at(60_000)));
    assert!(!candidates.known.contains_key(&hopeless));
}

#[test]
fn half_of_the_attempts_belong_to_the_peer_list_however_much_gossip_there_is() {
    let (mut candidates, mut rng) = listed(1..=10);
    let all: Vec<SocketAddr> = candidates.pick(room(10, 0), at(0), &mut rng);
    // They all failed once, and nothing that was heard has.
    all.iter().for_each(|address| candidates.failed(*address, at(0), &mut rng));
    (100..200).for_each(|port| candidates.add(address(port), Origin::Gossip, at(0)));
    let origins = |chosen: Vec<(SocketAddr, Origin)>| chosen.iter().filter(|(_, o)| *o == Origin::Listed).count();
    assert_eq!(origins(candidates.dial(ALL, at(10_000), &mut rng)), 4);
    assert_eq!(origins(candidates.dial(room(8, 1), at(10_000), &mut rng)), 6, "all that were left");
    let singly: usize = (0..60).map(|_| candidates.dial(room(1, 1), at(10_000), &mut rng)).map(origins).sum();
    assert_eq!(singly, 0, "the list is being dialled already");
}

#[test]
fn gossip_waits_for_its_turn_without_waking_anybody() {
    let mut candidates = Candidates::default();
    candidates.add(address(1), Origin::Gossip, at(0));
    assert_eq!(candidates.deadline(at(125), ALL), Some(at(125)));
    candidates.add(address(2), Origin::Listed, at(50));
    assert_eq!(candidates.deadline(at(125), ALL), Some(at(50)));
}

#[test]
fn hearsay_is_forgotten_when_it_fails_or_when_nobody_repeats_it() {
    let (mut candidates, mut rng) = listed(1..=1);
    let minute = |n: u64| at(60_000 * n);
    [2, 3, 4].into_iter().for_each(|port| candidates.add(address(port), Origin::Gossip, at(0)));
    (0..HOPELESS).for_each(|_| candidates.failed(address(1), at(0), &mut rng));
    (0..HOPELESS).for_each(|_| candidates.failed(address(2), at(0), &mut rng));
    candidates.connected(address(4), at(0));
    let known = |candidates: &Candidates| candidates.known.keys().map(SocketAddr::port).collect::<Vec<_>>();
    candidates.expire(minute(1));
    assert_eq!(known(&candidates), [1, 2, 3, 4]);
    candidates.expire(minute(3));
    assert_eq!(known(&candidates), [1, 3, 4]);
    candidates.expire(minute(31));
    assert_eq!(known(&candidates), [1, 4], "neither the list nor a neighbour is forgotten");
}

#[test]
fn a_lie_about_somebody_who_left_costs_half_a_second_once() {
    let (mut candidates, mut rng) = listed(1..=1);
    candidates.left(address(1), at(0), &mut rng);
    let due = candidates.next().unwrap();
    (0..100).for_each(|n| candidates.left(address(1), at(n), &mut rng));
    assert_eq!(candidates.next(), Some(due));
    assert!(due <= at(600));
}

#[test]
fn whoever_follows_another_content_is_left_alone_for_long_however_often_it_answered() {
    let (mut candidates, mut rng) = listed(1..=1);
    assert!(!candidates.all_listed_tried());
    candidates.pick(ALL, at(0), &mut rng);
    candidates.connected(address(1), at(0));
    candidates.failed(address(1), at(40_000), &mut rng);
    candidates.put_off(address(1), at(40_000), &mut rng);
    assert!(candidates.all_listed_tried());
    assert_eq!(candidates.pick(ALL, at(55_000), &mut rng), []);
    assert_eq!(candidates.pick(ALL, at(65_000), &mut rng), [address(1)]);
}

#[test]
fn near_and_far_addresses_are_dialled_as_each_are_wanted() {
    let (mut candidates, mut rng) = (Candidates::default(), Rng::with_seed(1));
    for port in 1..=10 {
        candidates.add(address(port), Origin::Listed, at(0));
        candidates.place(address(port), port > 5);
    }
    let far = |dialled: &[SocketAddr]| dialled.iter().filter(|a| a.port() > 5).count();
    let chosen = candidates.pick(Room { all: 5, gossip: 0, near: 3, far: 2 }, at(0), &mut rng);
    assert_eq!((chosen.len(), far(&chosen)), (5, 2));
    let none = Room { all: 4, gossip: 0, near: 4, far: 0 };
    assert_eq!(candidates.pick(none, at(0), &mut rng).len(), 2, "those that are near and left");
    assert_eq!(candidates.deadline(at(0), none), None, "nobody who is far is waited for");
    assert_eq!(candidates.deadline(at(0), ALL), Some(at(0)));
    assert!(candidates.may_be_near(), "they may answer yet");
}
