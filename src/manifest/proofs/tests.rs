//! Which digests count, on whose word.

use super::*;
use crate::manifest::key::DatasetKey;
use crate::units::Rng;

const CONTENT: ContentId = ContentId([9; 32]);

fn layout(count: u32) -> Layout {
    Layout::new(u64::from(count) << 10, 1 << 10).unwrap()
}

/// A publisher: its key, and what it thinks that the chunks contain (`version` changes that).
struct Publisher {
    key: DatasetKey,
    layout: Layout,
}

impl Publisher {
    fn new(seed: u8, count: u32) -> Self {
        Self { key: DatasetKey::from_seed(&[seed; 32]), layout: layout(count) }
    }

    fn endorsement(&self, time: u64) -> Endorsement {
        let (key, signature) = (self.key.id(), vec![1]);
        Endorsement { content: CONTENT, key, time, scheme: 0x0807, signature, chain: vec![vec![2]] }
    }

    fn batch(&self, indices: impl IntoIterator<Item = u32>, version: u8) -> SignedBatch {
        let entry = |index| (self.layout.chunk(index).unwrap(), digest(index, version));
        let entries: Vec<(ChunkId, Digest)> = indices.into_iter().map(entry).collect();
        SignedBatch::sign(&self.key, CONTENT, &entries)
    }

    fn root(&self, version: u8) -> ContentRoot {
        let root = Digest::of_list(self.layout.chunks().map(|chunk| digest(chunk.index(), version)));
        ContentRoot::sign(&self.key, CONTENT, root)
    }
}

fn digest(index: u32, version: u8) -> Digest {
    let mut bytes = [version; 32];
    bytes[..4].copy_from_slice(&index.to_le_bytes());
    Digest(bytes)
}

/// Proofs of `count` chunks with publishers of these seeds, endorsed one second after another.
fn proofs(count: u32, seeds: &[u8]) -> (Proofs, Vec<Publisher>) {
    let mut proofs = Proofs::new(CONTENT, layout(count));
    let publishers: Vec<Publisher> = seeds.iter().map(|seed| Publisher::new(*seed, count)).collect();
    for (time, publisher) in (100..).zip(&publishers) {
        assert_eq!(proofs.endorse(publisher.endorsement(time)), Ok(true));
    }
    (proofs, publishers)
}

fn indices(chunks: &[ChunkId]) -> Vec<u32> {
    chunks.iter().map(|chunk| chunk.index()).collect()
}

fn spoiled(batch: &SignedBatch) -> SignedBatch {
    let mut raw = batch.as_bytes().to_vec();
    *raw.last_mut().unwrap() ^= 1;
    SignedBatch::parse(&raw).unwrap()
}

#[test]
fn a_signed_digest_proves_its_chunk_and_no_other_bytes() {
    let (mut proofs, publishers) = proofs(10, &[1]);
    let update = proofs.insert_batch(&publishers[0].batch([2, 5], 0)).unwrap();
    assert_eq!((indices(&update.proven), update.kept), (vec![2, 5], true));
    let chunk = |index| layout(10).chunk(index).unwrap();
    assert_eq!(proofs.check(chunk(2), &digest(2, 0)), Check::Proven);
    assert_eq!(proofs.check(chunk(2), &digest(2, 1)), Check::Wrong);
    assert_eq!(proofs.check(chunk(3), &digest(3, 0)), Check::Unknown);
}

#[test]
fn a_root_learnt_elsewhere_is_held_against_all_digests_and_against_what_is_signed() {
    let (mut proofs, publishers) = proofs(4, &[1]);
    let [expected, other] = [0, 1].map(|version| publishers[0].root(version).root);
    assert_eq!(proofs.check_root(&expected), Check::Unknown);
    proofs.insert_batch(&publishers[0].batch(0..3, 0)).unwrap();
    assert_eq!(proofs.check_root(&expected), Check::Unknown);
    proofs.insert_root(&publishers[0].root(0)).unwrap();
    assert_eq!((proofs.check_root(&expected), proofs.check_root(&other)), (Check::Unknown, Check::Unknown));
    proofs.insert_batch(&publishers[0].batch([3], 0)).unwrap();
    assert_eq!((proofs.check_root(&expected), proofs.check_root(&other)), (Check::Proven, Check::Wrong));
}

#[test]
fn batches_of_keys_that_nobody_endorsed_do_not_count() {
    let (mut proofs, _) = proofs(10, &[1]);
    let stranger = Publisher::new(7, 10);
    assert_eq!(proofs.insert_batch(&stranger.batch([1], 0)), Err(ProofError::UnknownKey(stranger.key.id())));
    assert_eq!(proofs.insert_root(&stranger.root(0)), Err(ProofError::UnknownKey(stranger.key.id())));
    assert!(proofs.known().is_empty());
}

#[test]
fn broken_signatures_other_contents_and_chunks_beyond_the_last_do_not_count() {
    let (mut proofs, publishers) = proofs(10, &[1]);
    let key = publishers[0].key.id();
    assert_eq!(proofs.insert_batch(&spoiled(&publishers[0].batch([1], 0))), Err(ProofError::Signature(key)));
    let beyond = Publisher::new(1, 11).batch([3, 10], 0);
    assert_eq!(proofs.insert_batch(&beyond), Err(ProofError::NoSuchChunk(10)));
    let other = ContentId([8; 32]);
    let entries = [(layout(10).chunk(0).unwrap(), digest(0, 0))];
    let foreign = SignedBatch::sign(&publishers[0].key, other, &entries);
    assert_eq!(proofs.insert_batch(&foreign), Err(ProofError::OtherContent(other)));
    assert!(proofs.known().is_empty());
}

#[test]
fn a_forged_contradiction_blames_nobody_but_its_sender() {
    let (mut proofs, publishers) = proofs(10, &[1]);
    proofs.insert_batch(&publishers[0].batch([1], 0)).unwrap();
    let forged = spoiled(&publishers[0].batch([1], 1));
    assert_eq!(proofs.insert_batch(&forged), Err(ProofError::Signature(publishers[0].key.id())));
}

#[test]
fn one_key_that_contradicts_itself_is_fatal() {
    let (mut proofs, publishers) = proofs(10, &[1]);
    proofs.insert_batch(&publishers[0].batch([1, 4], 0)).unwrap();
    let error = proofs.insert_batch(&publishers[0].batch([3, 4], 1)).unwrap_err();
    assert_eq!(error, ProofError::Conflict { key: publishers[0].key.id(), chunk: 4 });
    assert!(error.is_fatal());
}

#[test]
fn a_batch_that_says_nothing_new_is_neither_verified_nor_kept() {
    let (mut proofs, publishers) = proofs(10, &[1]);
    let batch = publishers[0].batch([1, 2, 3], 0);
    assert!(proofs.insert_batch(&batch).unwrap().kept);
    assert_eq!(proofs.insert_batch(&batch), Ok(Update::default()));
    assert_eq!(proofs.insert_batch(&spoiled(&publishers[0].batch([1, 2], 0))), Ok(Update::default()));
    // One that would be kept is verified, even though it says nothing new.
    proofs.insert_batch(&publishers[0].batch([4], 0)).unwrap();
    let larger = publishers[0].batch([1, 2, 3, 4], 0);
    assert!(matches!(proofs.insert_batch(&spoiled(&larger)), Err(ProofError::Signature(_))));
    assert_eq!(proofs.insert_batch(&larger), Ok(Update { kept: true, ..Update::default() }));
}

#[test]
fn the_largest_batch_is_the_one_to_show_and_covered_ones_go() {
    let (mut proofs, publishers) = proofs(64, &[1]);
    for index in 0..64 {
        proofs.insert_batch(&publishers[0].batch([index], 0)).unwrap();
    }
    assert_eq!(proofs.batches().len(), 64);
    let large = publishers[0].batch(0..60, 0);
    proofs.insert_batch(&large).unwrap();
    assert_eq!(proofs.batch_of(layout(64).chunk(10).unwrap()), Some(&large));
    assert_eq!(proofs.batches().len(), 5);
    assert_eq!(proofs.books[0].bytes(), large.as_bytes().len() + 4 * publishers[0].batch([0], 0).as_bytes().len());
}

#[test]
fn two_publishers_who_agree_both_count() {
    let (mut proofs, publishers) = proofs(10, &[1, 2]);
    proofs.insert_batch(&publishers[0].batch(0..5, 0)).unwrap();
    let update = proofs.insert_batch(&publishers[1].batch(3..10, 0)).unwrap();
    assert_eq!(indices(&update.proven), [5, 6, 7, 8, 9]);
    assert!(proofs.known().is_full());
    assert!(proofs.insert_root(&publishers[1].root(0)).unwrap().kept);
    assert!(proofs.is_closed());
}

#[test]
fn of_two_publishers_who_disagree_the_later_is_dropped_whoever_speaks_first() {
    for senior_first in [true, false] {
        let (mut proofs, publishers) = proofs(10, &[1, 2]);
        let (senior, junior) = (publishers[0].batch([0, 1, 2], 0), publishers[1].batch([2, 3], 1));
        let (first, second) = if senior_first { (&senior, &junior) } else { (&junior, &senior) };
        proofs.insert_batch(first).unwrap();
        let update = proofs.insert_batch(second).unwrap();
        assert_eq!(update.dropped, [publishers[1].key.id()]);
        let (proven, revoked) = if senior_first { (vec![], vec![]) } else { (vec![0, 1], vec![2, 3]) };
        assert_eq!((indices(&update.proven), indices(&update.revoked), update.kept), (proven, revoked, !senior_first));
        assert_eq!(proofs.known().iter().map(ChunkId::index).collect::<Vec<_>>(), [0, 1, 2]);
        let disputed = layout(10).chunk(2).unwrap();
        assert_eq!(proofs.digest(disputed), Some(digest(2, 0)));
        let was = [0, 1].map(|version| proofs.was_vouched_for(disputed, &digest(2, version)));
        assert_eq!(was, [false, !senior_first], "what was believed once is remembered");
        let again = proofs.insert_batch(&publishers[1].batch([7], 0));
        assert_eq!(again, Err(ProofError::DroppedKey(publishers[1].key.id())));
        assert_eq!(proofs.endorse(publishers[1].endorsement(1)), Ok(false));
    }
}

#[test]
fn the_time_of_the_endorsement_decides_and_not_the_order_of_its_arrival() {
    let (mut proofs, publishers) = proofs(10, &[1]);
    let earlier = Publisher::new(2, 10);
    proofs.endorse(earlier.endorsement(99)).unwrap();
    proofs.insert_batch(&publishers[0].batch([3], 1)).unwrap();
    let update = proofs.insert_batch(&earlier.batch([3], 0)).unwrap();
    assert_eq!(update.dropped, [publishers[0].key.id()]);
    assert_eq!(proofs.digest(layout(10).chunk(3).unwrap()), Some(digest(3, 0)));
}

#[test]
fn a_renewed_endorsement_takes_the_place_of_the_old_one_and_keeps_its_seniority() {
    let (mut proofs, publishers) = proofs(10, &[1, 2]);
    assert_eq!(proofs.endorse(publishers[0].endorsement(500)), Ok(true));
    for old in [100, 500] {
        assert_eq!(proofs.endorse(publishers[0].endorsement(old)), Ok(false), "time {old}");
    }
    let of_first = proofs.endorsements().filter(|one| one.key == publishers[0].key.id());
    assert_eq!(of_first.map(|one| one.time).collect::<Vec<_>>(), [500]);
    proofs.insert_batch(&publishers[0].batch([3], 0)).unwrap();
    let update = proofs.insert_batch(&publishers[1].batch([3], 1)).unwrap();
    assert_eq!(update.dropped, [publishers[1].key.id()]);
}

#[test]
fn a_list_that_was_full_with_other_digests_is_closed_by_the_root_of_the_new_ones() {
    let (mut proofs, publishers) = proofs(4, &[1, 2]);
    proofs.insert_batch(&publishers[1].batch(0..4, 1)).unwrap();
    let update = proofs.insert_batch(&publishers[0].batch(0..4, 0)).unwrap();
    assert_eq!((indices(&update.revoked), update.kept), (vec![0, 1, 2, 3], true));
    proofs.insert_root(&publishers[0].root(0)).unwrap();
    assert!(proofs.is_closed());
}

#[test]
fn a_batch_of_equal_size_does_not_displace_another() {
    let (mut proofs, publishers) = proofs(10, &[1]);
    let first = publishers[0].batch([1, 2], 0);
    proofs.insert_batch(&first).unwrap();
    proofs.insert_batch(&publishers[0].batch([2, 3], 0)).unwrap();
    assert_eq!(proofs.batch_of(layout(10).chunk(2).unwrap()), Some(&first));
}

#[test]
fn what_a_dropped_publisher_said_alone_is_revoked_and_what_others_said_too_stays() {
    let (mut proofs, publishers) = proofs(10, &[1, 2]);
    proofs.insert_batch(&publishers[0].batch([5], 0)).unwrap();
    proofs.insert_batch(&publishers[1].batch([4, 5, 6], 0)).unwrap();
    let update = proofs.insert_batch(&publishers[0].batch([6], 1)).unwrap();
    assert_eq!((indices(&update.revoked), indices(&update.proven)), (vec![4, 6], vec![]));
    assert_eq!(proofs.batches().len(), 2);
    assert_eq!(proofs.endorsements().count(), 1);
}

#[test]
fn a_root_closes_the_list_only_when_every_digest_is_here() {
    let (mut proofs, publishers) = proofs(10, &[1]);
    let root = publishers[0].root(0);
    assert!(proofs.insert_root(&root).unwrap().kept);
    assert_eq!(proofs.insert_root(&root), Ok(Update::default()));
    proofs.insert_batch(&publishers[0].batch(0..9, 0)).unwrap();
    assert!(!proofs.is_closed());
    proofs.insert_batch(&publishers[0].batch([9], 0)).unwrap();
    assert!(proofs.is_closed());
    assert_eq!(proofs.computed_root(), Some(root.root));
}

#[test]
fn a_content_without_bytes_is_closed_by_its_root_alone() {
    let (mut proofs, publishers) = proofs(0, &[1]);
    assert!(!proofs.is_closed());
    proofs.insert_root(&publishers[0].root(0)).unwrap();
    assert!(proofs.is_closed());
}

#[test]
fn a_root_of_other_digests_is_fatal_whether_it_comes_first_or_last() {
    let (mut proofs, publishers) = proofs(4, &[1]);
    let fatal = Err(ProofError::RootConflict(publishers[0].key.id()));
    proofs.insert_root(&publishers[0].root(1)).unwrap();
    assert_eq!(proofs.insert_batch(&publishers[0].batch(0..4, 0)), fatal);
    assert_eq!(proofs.insert_root(&publishers[0].root(0)), Err(ProofError::RootConflict(publishers[0].key.id())));
    let (mut proofs, publishers) = self::proofs(4, &[1]);
    proofs.insert_batch(&publishers[0].batch(0..4, 0)).unwrap();
    assert_eq!(proofs.insert_root(&publishers[0].root(1)).map(|_| ()), fatal.map(|_| ()));
}

#[test]
fn a_later_publisher_whose_digests_do_not_fit_the_root_of_the_first_is_dropped() {
    let (mut proofs, publishers) = proofs(4, &[1, 2]);
    proofs.insert_root(&publishers[0].root(0)).unwrap();
    proofs.insert_batch(&publishers[0].batch(0..3, 0)).unwrap();
    let update = proofs.insert_batch(&publishers[1].batch([3], 1)).unwrap();
    assert_eq!((indices(&update.proven), indices(&update.revoked)), (vec![], vec![3]));
    assert_eq!(update.dropped, [publishers[1].key.id()]);
    proofs.insert_batch(&publishers[0].batch([3], 0)).unwrap();
    assert!(proofs.is_closed());
}

#[test]
fn keys_and_batches_are_bounded_whatever_is_signed() {
    let (mut proofs, publishers) = proofs(1 << 13, &[1]);
    for seed in 2..=64 {
        assert_eq!(proofs.endorse(Publisher::new(seed, 1).endorsement(200)), Ok(true));
    }
    assert_eq!(proofs.endorse(Publisher::new(65, 1).endorsement(200)), Err(ProofError::TooManyKeys));
    // Every batch brings one new chunk and 1023 old ones: a megabyte of signatures for thirty digests.
    let flood = (1023..1 << 13).map(|new| publishers[0].batch((0..1023).chain([new]), 0));
    let result = flood.map(|batch| proofs.insert_batch(&batch)).find(Result::is_err).unwrap();
    assert_eq!(result, Err(ProofError::Excess(publishers[0].key.id())));
    assert!(proofs.books[0].bytes() <= BYTES_PER_CHUNK * (1 << 13) + BYTES_SPARE);
}

/// Two publishers sign at random, at times the later one lies; compared with a map that is kept by the rules alone.
#[test]
fn random_histories_end_as_the_rules_say() {
    for seed in 0..60 {
        let mut rng = Rng::with_seed(seed);
        let (mut proofs, publishers) = proofs(40, &[1, 2]);
        let lies = rng.bool();
        let mut signed = [vec![None; 40], vec![None; 40]];
        let mut dropped = false;
        for _ in 0..30 {
            let who = rng.usize(0..2);
            let picks: BTreeSet<u32> = (0..rng.usize(1..20)).map(|_| rng.u32(0..40)).collect();
            // A liar lies about the same chunks each time, so it never contradicts itself.
            let version = |index: u32| u8::from(who == 1 && lies && index.is_multiple_of(7));
            let entries = picks.iter().map(|i| (layout(40).chunk(*i).unwrap(), digest(*i, version(*i))));
            let batch = SignedBatch::sign(&publishers[who].key, CONTENT, &entries.collect::<Vec<_>>());
            let result = proofs.insert_batch(&batch);
            if who == 1 && dropped {
                assert_eq!(result, Err(ProofError::DroppedKey(publishers[1].key.id())));
                continue;
            }
            for (index, digest) in batch.entries() {
                signed[who][index as usize] = Some(digest);
            }
            let disagree = signed[0].iter().zip(&signed[1]).any(|(a, b)| a.is_some() && b.is_some() && a != b);
            dropped |= disagree;
            if dropped {
                signed[1].fill(None);
            }
            assert_eq!(result.unwrap().dropped.is_empty(), !disagree, "seed {seed}");
            for chunk in layout(40).chunks() {
                let expected = signed[0][chunk.as_usize()].or(signed[1][chunk.as_usize()]);
                assert_eq!(proofs.digest(chunk), expected, "seed {seed}");
                assert_eq!(proofs.known().contains(chunk), expected.is_some(), "seed {seed}");
            }
            let shown: BTreeSet<u32> = proofs.batches().iter().flat_map(|batch| batch.indices()).collect();
            assert!(proofs.known().iter().all(|chunk| shown.contains(&chunk.index())), "seed {seed}");
        }
    }
}
