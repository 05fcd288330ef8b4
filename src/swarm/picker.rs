//! Picker: which chunk to ask of a source.
//!
//! The rarest of a few that are drawn at random. Rarest-first over everything would need an ordered index that every have of every
//! neighbour updates, and would send equal requests from everybody who sees the same counts; a draw of eight comes within 0.6 points
//! of it (simulated) and spreads by itself.
//!
//! Invariant: what is picked is known to the source, is not taken, is open if the source is in another zone, and is not part of another
//! request to the same source.
//!
//! Not here: whether the source should be asked at all (`requester`).

use crate::chunk::ChunkId;
use crate::swarm::board::Board;
use crate::swarm::source::Source;
use crate::units::Rng;

/// Chunks drawn per choice: see the head of this file.
const DRAWS: u32 = 8;

/// The chunk to ask of `source`, or `None` when it has nothing for us.
pub(super) fn pick(board: &Board, source: &Source, rng: &mut Rng) -> Option<ChunkId> {
    let words = board.layout().count().div_ceil(64);
    // A publisher is asked for its own share, which it would send anyway.
    let (publishers, before) = if source.profile.publisher { board.publishers(source.profile.order) } else { (1, 0) };
    let mut best: Option<((u16, bool), ChunkId)> = None;
    let mut consider = |chunk: ChunkId| {
        let rank = (board.copies(chunk), chunk.index() % publishers.max(1) != before);
        if best.is_none_or(|(least, _)| rank < least) && !source.is_busy_with(chunk) {
            best = Some((rank, chunk));
        }
    };
    if source.want <= DRAWS {
        // Few candidates: look at all of them, from a random place on so that equals are chosen at random.
        let start = if words == 0 { 0 } else { rng.u32(0..words) };
        let mut from = Cursor { word: start, mask: u64::MAX, left: words };
        // There are no more than this, so nobody need walk to the end for another.
        for _ in 0..source.want {
            let Some(chunk) = next(board, source, &mut from) else { break };
            consider(chunk);
        }
    } else {
        for _ in 0..DRAWS {
            let at = rng.u32(0..board.layout().count());
            let mut from = Cursor { word: at / 64, mask: u64::MAX << (at % 64), left: words + 1 };
            // Where one walk finds nothing, no other will.
            let Some(chunk) = next(board, source, &mut from) else { break };
            consider(chunk);
        }
    }
    best.map(|(_, chunk)| chunk)
}

/// A place in a circular walk over the words of the sets.
struct Cursor {
    word: u32,
    /// The bits of this word that are still ahead.
    mask: u64,
    /// Words still to be visited.
    left: u32,
}

/// The next candidate at or after the cursor, which moves beyond it.
fn next(board: &Board, source: &Source, cursor: &mut Cursor) -> Option<ChunkId> {
    let layout = board.layout();
    let (known, taken) = (source.known.words(), board.taken().words());
    let open = board.border().filter(|_| source.far).map(|border| border.open().words());
    while cursor.left > 0 {
        let at = cursor.word as usize;
        let candidates = known[at] & !taken[at] & cursor.mask & open.map_or(u64::MAX, |open| open[at]);
        if candidates != 0 {
            let bit = candidates.trailing_zeros();
            cursor.mask = candidates & (candidates - 1);
            return layout.chunk(cursor.word * 64 + bit);
        }
        cursor.left -= 1;
        cursor.mask = u64::MAX;
        cursor.word = if at + 1 == known.len() { 0 } else { cursor.word + 1 };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bitfield::Bitfield;
    use crate::chunk::Layout;
    use crate::swarm::config::Config;
    use crate::swarm::event::{Profile, SourceId};
    use crate::units::Time;

    const COUNT: u32 = 200;

    fn board(neighbours: &[&[u32]]) -> Board {
        let layout = Layout::new(u64::from(COUNT) * 1024, 1024).unwrap();
        let mut board = Board::new(Bitfield::none(layout), None);
        for (id, chunks) in (0..).map(SourceId).zip(neighbours) {
            board.join(id, Source::new(layout, Profile::default(), &Config::default(), Time::ZERO));
            for index in *chunks {
                board.learn(id, layout.chunk(*index).unwrap());
            }
        }
        board
    }

    #[test]
    fn rarest_chunk_is_picked_among_few() {
        let board = board(&[&[3, 70, 199], &[3, 199], &[3, 199]]);
        for seed in 0..20 {
            let picked = pick(&board, board.source(SourceId(0)).unwrap(), &mut Rng::with_seed(seed)).unwrap();
            assert_eq!(picked.index(), 70);
        }
    }

    #[test]
    fn equally_rare_chunks_are_all_picked_sometimes() {
        let board = board(&[&[3, 70, 150, 199]]);
        let mut seen: Vec<u32> = (0..200)
            .map(|seed| pick(&board, board.source(SourceId(0)).unwrap(), &mut Rng::with_seed(seed)).unwrap().index())
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [3, 70, 150, 199]);
    }

    #[test]
    fn a_source_without_news_is_not_asked() {
        let board = board(&[&[], &[1]]);
        assert_eq!(pick(&board, board.source(SourceId(0)).unwrap(), &mut Rng::with_seed(1)), None);
    }

    #[test]
    fn every_pick_among_many_is_a_candidate() {
        let all: Vec<u32> = (0..COUNT).filter(|i| i % 3 == 0).collect();
        let board = board(&[&all]);
        let mut rng = Rng::with_seed(7);
        for _ in 0..1000 {
            assert_eq!(pick(&board, board.source(SourceId(0)).unwrap(), &mut rng).unwrap().index() % 3, 0);
        }
    }
}
