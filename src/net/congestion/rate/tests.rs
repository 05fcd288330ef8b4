use super::*;

const MS: Duration = Duration::from_millis(1);
const PACKET: u64 = 1452;

/// A path that delivers a packet every millisecond after 50 ms, driven by the window alone.
struct Drill {
    rate: Rate,
    now: Instant,
    /// When packets left that are on the way, oldest first.
    away: std::collections::VecDeque<(Instant, Instant)>,
}

impl Drill {
    fn new() -> Self {
        let now = Instant::now();
        Self { rate: Rate::new(now, 256 << 10, 1452), now, away: std::collections::VecDeque::new() }
    }

    /// So many milliseconds pass; `more` says whether there is always something to send.
    fn pass(&mut self, milliseconds: u32, more: bool) {
        for _ in 0..milliseconds {
            self.now += MS;
            if let Some((left, _)) = self.away.front().copied().filter(|(_, arrives)| *arrives <= self.now) {
                self.away.pop_front();
                self.rate.path.arrived(self.now, left, PACKET);
                self.rate.on_end_acks(self.now, self.in_flight(), !more, None);
            }
            while more && self.in_flight() + PACKET < self.rate.window() {
                // One leaves the path every millisecond, after all before it.
                let last = self.away.back().map_or(self.now, |(_, arrives)| *arrives + MS);
                self.away.push_back((self.now, last.max(self.now + 50 * MS)));
                self.rate.on_sent(self.now, PACKET, 0);
            }
        }
    }

    fn in_flight(&self) -> u64 {
        self.away.len() as u64 * PACKET
    }
}

#[test]
fn the_window_settles_a_little_above_the_product_of_rate_and_round_trip() {
    let mut drill = Drill::new();
    drill.pass(4000, true);
    let packets = drill.rate.window() / PACKET;
    assert!((50..85).contains(&packets), "{packets} packets for a path of 50");
}

#[test]
fn loss_alone_does_not_lower_the_window() {
    let mut drill = Drill::new();
    drill.pass(4000, true);
    let before = drill.rate.window();
    let (now, left) = (drill.now, drill.now - 60 * MS);
    drill.rate.on_congestion_event(now, left, false, 2 * PACKET);
    assert_eq!(drill.rate.window(), before);
}

#[test]
fn a_mark_lowers_the_window_once_a_round() {
    let mut drill = Drill::new();
    drill.pass(4000, true);
    let before = drill.rate.window();
    let (now, left) = (drill.now, drill.now - 60 * MS);
    drill.rate.on_congestion_event(now, left, false, 0);
    let after = drill.rate.window();
    drill.rate.on_congestion_event(now, left, false, 0);
    assert!(after < before);
    assert_eq!(drill.rate.window(), after);
}

#[test]
fn a_pause_of_the_program_leaves_the_estimate_as_it_is() {
    let mut drill = Drill::new();
    drill.pass(4000, true);
    let before = drill.rate.path.rate();
    drill.pass(3000, false);
    assert!((drill.rate.path.rate() - before).abs() < 1.0);
}

#[test]
fn after_a_path_was_gone_it_is_explored_anew_from_few_packets() {
    let mut drill = Drill::new();
    drill.pass(4000, true);
    let (now, left) = (drill.now, drill.now - 60 * MS);
    drill.rate.on_congestion_event(now, left, true, 50 * PACKET);
    assert_eq!(drill.rate.window(), RESTART_PACKETS * PACKET);
    drill.pass(2000, true);
    assert!(drill.rate.window() / PACKET >= 50, "{}", drill.rate.window());
}

#[test]
fn the_first_window_holds_jumbo_packets_whatever_was_asked() {
    let rate = Rate::new(Instant::now(), 12_000, 60_000);
    assert!(rate.window() >= 240_000);
}
