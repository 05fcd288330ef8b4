//! What a content's name is a function of, and what a stranger's pages cannot do.

use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;
use crate::manifest::entry::{Entry, EntryKind};
use crate::manifest::header::{HEADER_LEN_MAX, PAGES_MAX};
use crate::manifest::path::RelPath;
use crate::units::Rng;

fn entry(path: &str, kind: EntryKind, mode: u16) -> Entry {
    let path = RelPath::parse(path.as_bytes()).unwrap();
    Entry { path, kind, mode, mtime_secs: 1_700_000_000, mtime_nanos: 5 }
}

fn file(path: &str, size: u64) -> Entry {
    entry(path, EntryKind::File { size }, 0o644)
}

/// A folder, two files that share a prefix, an empty file and a link.
fn small_tree() -> Vec<Entry> {
    vec![
        entry("etc", EntryKind::Dir, 0o755),
        file("etc/hosts", 3000),
        file("etc/hostname", 7),
        file("empty", 0),
        entry("link", EntryKind::Symlink { target: b"etc/hosts"[..].into() }, 0),
    ]
}

fn publish(list: Vec<Entry>) -> Manifest {
    Manifest::publish(Entries::from_walk(list).unwrap(), Some(1024)).unwrap()
}

/// Three pages of names that share nothing.
fn large_tree() -> Manifest {
    let name = |i: u32| format!("{:08x}{}", i.reverse_bits(), "x".repeat(240));
    publish((0..10_000).map(|i| file(&name(i), u64::from(i))).collect())
}

/// A header for these pages, as a publisher who lies would make it.
fn forge(total: u64, entries: u32, pages: &[Vec<u8>]) -> Result<Manifest, ManifestError> {
    let hashes = pages.iter().map(|page| Digest::of_page(page)).collect();
    let header = Header::new(DigestKind::Blake3, Layout::new(total, 1024).unwrap(), entries, hashes);
    Manifest::load(header.id(), &header.to_bytes(), pages.to_vec())
}

#[test]
fn header_and_page_of_a_small_tree_keep_their_bytes_for_ever() {
    let manifest = publish(small_tree());
    assert_eq!(
        HEXLOWER.encode(&manifest.page(0).unwrap()),
        [
            "00a40100f153650000000005000000000000000000000000000500656d707479", // empty
            "01ed0100f153650000000005000000010002007463",                       // e|tc
            "00a40100f1536500000000050000000700000000000000030009002f686f73746e616d65", // etc|/hostname
            "00a40100f153650000000005000000b80b0000000000000800010073",         // etc/host|s
            "02000000f15365000000000500000009006574632f686f737473000004006c696e6b", // link to etc/hosts
        ]
        .concat()
    );
    let header = [
        "73747265776d616e01000100040000000000000500",
        "0000bf0b00000000000001000000e7f6fa9ac816f30056ec4f0d56a557209e4754fb3d2a6ca9325255850ed178f0",
    ];
    assert_eq!(HEXLOWER.encode(&manifest.header_bytes()), header.concat());
    assert_eq!(manifest.id().to_string(), "76bfc2c746284391950e4f57613b7081382e31bd5da67fa0f24eeba2b871badf");
}

#[test]
fn equal_trees_have_equal_ids_in_whatever_order_they_are_walked() {
    let mut reversed = small_tree();
    reversed.reverse();
    assert_eq!(publish(small_tree()).id(), publish(reversed).id());
}

#[test]
fn every_property_of_an_entry_and_the_chunk_size_change_the_id() {
    let id = publish(small_tree()).id();
    let changes: [fn(&mut Entry); 5] = [
        |e| e.path = RelPath::parse(b"renamed").unwrap(),
        |e| e.kind = EntryKind::File { size: 1 },
        |e| e.mode = 0o600,
        |e| e.mtime_secs += 1,
        |e| e.mtime_nanos += 1,
    ];
    for change in changes {
        let mut tree = small_tree();
        change(&mut tree[3]);
        assert_ne!(publish(tree).id(), id);
    }
    let mut tree = small_tree();
    tree[4].kind = EntryKind::Symlink { target: b"etc"[..].into() };
    assert_ne!(publish(tree).id(), id);
    let entries = Entries::from_walk(small_tree()).unwrap();
    assert_ne!(Manifest::publish(entries, Some(2048)).unwrap().id(), id);
}

#[test]
fn a_content_without_entries_has_an_id_and_no_pages() {
    let manifest = publish(vec![]);
    assert_eq!(manifest.pages().count(), 0);
    let assembly = Assembly::start(manifest.id(), &manifest.header_bytes()).unwrap();
    assert!(assembly.is_complete());
    assert_eq!(assembly.finish().unwrap().id(), manifest.id());
}

#[test]
fn pages_are_taken_in_any_order_and_twice() {
    let manifest = large_tree();
    let pages: Vec<Vec<u8>> = manifest.pages().collect();
    assert_eq!(pages.len(), 3);
    assert!(pages.iter().all(|page| page.len() <= PAGE_LEN_MAX) && pages[0].len() > PAGE_LEN_MAX - 300);
    let mut assembly = Assembly::start(manifest.id(), &manifest.header_bytes()).unwrap();
    for (index, new) in [(2, true), (0, true), (0, false), (1, true)] {
        assert!(!assembly.is_complete());
        assert_eq!(assembly.insert(index, pages[index as usize].clone()), Ok(new));
    }
    let copy = assembly.finish().unwrap();
    assert_eq!((copy.id(), copy.entries()), (manifest.id(), manifest.entries()));
    assert_eq!(copy.pages().collect::<Vec<_>>(), pages);
}

#[test]
fn a_wrong_page_is_refused_on_arrival_and_harms_nothing() {
    let manifest = large_tree();
    let mut assembly = Assembly::start(manifest.id(), &manifest.header_bytes()).unwrap();
    let mut page = manifest.page(1).unwrap();
    page[1000] ^= 1;
    assert_eq!(assembly.insert(1, page), Err(ManifestError::PageHash(1)));
    assert_eq!(assembly.insert(1, manifest.page(0).unwrap()), Err(ManifestError::PageHash(1)));
    assert_eq!(assembly.insert(1, vec![0; PAGE_LEN_MAX + 1]), Err(ManifestError::PageHash(1)));
    assert_eq!(assembly.insert(3, vec![]), Err(ManifestError::PageIndex(3)));
    assert_eq!(assembly.missing().collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(assembly.finish().unwrap_err(), ManifestError::Incomplete(3));
}

#[test]
fn the_header_of_another_content_is_refused() {
    let (ours, theirs) = (publish(small_tree()), large_tree());
    let refused = Assembly::start(ours.id(), &theirs.header_bytes()).unwrap_err();
    assert_eq!(refused, ManifestError::OtherContent { expected: ours.id(), found: theirs.id() });
}

#[test]
fn what_a_lying_publisher_signs_is_refused_as_a_whole() {
    let honest = publish(small_tree());
    let page = honest.page(0).unwrap();
    let (total, count) = (honest.layout().total(), honest.header().entries());
    assert_eq!(forge(total, count, std::slice::from_ref(&page)).unwrap().id(), honest.id());
    assert_eq!(forge(total + 1, count, std::slice::from_ref(&page)).unwrap_err(), ManifestError::NotCanonical);
    assert_eq!(forge(total, count + 1, std::slice::from_ref(&page)).unwrap_err(), ManifestError::NotCanonical);
    assert_eq!(forge(total, count - 1, std::slice::from_ref(&page)).unwrap_err(), ManifestError::Page);
    assert_eq!(forge(total, count, &[page.clone(), vec![]]).unwrap_err(), ManifestError::NotCanonical);
    for cut in 1..page.len() {
        assert!(forge(total, count, &[page[..cut].to_vec()]).is_err(), "{cut}");
    }
    // The same entries on two pages, and a path that shares less with the one before it than it could.
    let two: Vec<Vec<u8>> = honest.entries().as_slice().chunks(3).map(|entries| page::fill(entries).0).collect();
    assert_eq!(forge(total, count, &two).unwrap_err(), ManifestError::NotCanonical);
    let entries = honest.entries().as_slice();
    let apart: Vec<u8> = entries.iter().flat_map(|entry| page::fill(std::slice::from_ref(entry)).0).collect();
    assert_eq!(forge(total, count, &[apart]).unwrap_err(), ManifestError::NotCanonical);
}

#[test]
fn hostile_paths_types_and_orders_never_become_entries() {
    let spell = |kind: u8, path: &[u8]| {
        let mut page = vec![kind];
        page.extend_from_slice(&[0; 14]);
        page.extend_from_slice(&[0; 8][..if kind == 0 { 8 } else { 0 }]);
        page.extend_from_slice(&[0, 0]);
        page.extend_from_slice(&u16::try_from(path.len()).unwrap().to_le_bytes());
        page.extend_from_slice(path);
        page
    };
    assert!(forge(0, 1, &[spell(0, b"fine")]).is_ok());
    for path in [&b".."[..], b"a/../../b", b"/x", b"a//b", b"", b"a\0b", b".strew/journal", &[b'x'; 256], &[b'/'; 5000]]
    {
        let refused = forge(0, 1, &[spell(0, path)]).unwrap_err();
        assert!(matches!(refused, ManifestError::Path(_)), "{}", path.escape_ascii());
    }
    assert_eq!(forge(0, 1, &[spell(3, b"device")]).unwrap_err(), ManifestError::Page);
    let twice = [spell(0, b"a"), spell(0, b"a")].concat();
    assert!(matches!(forge(0, 2, &[twice]).unwrap_err(), ManifestError::Entries(EntriesError::Duplicate(_))));
    let beneath_a_file = [spell(0, b"a"), spell(0, b"a/b")].concat();
    assert!(matches!(forge(0, 2, &[beneath_a_file]).unwrap_err(), ManifestError::Entries(EntriesError::Parent(_))));
}

#[test]
fn what_files_occupy_travels_with_the_header_and_is_no_part_of_the_content() {
    let (plain, hinted) = (publish(small_tree()), publish(small_tree()).with_allocated(4096));
    assert_eq!((plain.id(), plain.header().allocated()), (hinted.id(), None));
    let copy = Manifest::load(plain.id(), &hinted.header_bytes(), hinted.pages().collect()).unwrap();
    assert_eq!((copy.header().allocated(), copy.header_bytes()), (Some(4096), hinted.header_bytes()));
    for cut in 1..8 {
        let bytes = hinted.header_bytes();
        assert_eq!(Header::parse(&bytes[..bytes.len() - cut]), Err(ManifestError::Header));
    }
    assert_eq!(Header::parse(&[hinted.header_bytes(), vec![0]].concat()), Err(ManifestError::Header));
}

#[test]
fn headers_that_claim_too_much_are_refused_before_anything_is_allocated() {
    let honest = publish(small_tree()).header_bytes();
    let with = |at: usize, bytes: &[u8]| {
        let mut header = honest.clone();
        header[at..at + bytes.len()].copy_from_slice(bytes);
        Header::parse(&header)
    };
    assert!(with(0, b"S").is_err());
    assert_eq!(with(8, &[2, 0]), Err(ManifestError::Version(2)));
    assert_eq!(with(10, &[9]), Err(ManifestError::DigestKind(9)));
    for chunk_size in [0, 1023, (128 << 20) + 1, u64::MAX] {
        assert!(matches!(with(11, &chunk_size.to_le_bytes()), Err(ManifestError::Layout(_))));
    }
    for entries in [0, (4 << 20) + 1, 1 << 31, u32::MAX] {
        assert_eq!(with(19, &entries.to_le_bytes()), Err(ManifestError::Header));
    }
    assert!(matches!(with(23, &u64::MAX.to_le_bytes()), Err(ManifestError::Layout(_))));
    for pages in [0, 2, 5, 6, u32::try_from(PAGES_MAX).unwrap() + 1, 1 << 31, u32::MAX] {
        assert_eq!(with(31, &pages.to_le_bytes()), Err(ManifestError::Header), "{pages}");
    }
    for cut in 0..honest.len() {
        assert!(Header::parse(&honest[..cut]).is_err(), "{cut}");
    }
    assert!(Header::parse(&[&honest[..], &[0]].concat()).is_err());
    assert!(Header::parse(&vec![0; HEADER_LEN_MAX + 1]).is_err());
}

/// Names of one to three letters in up to three levels, so that prefixes, order and folders meet.
fn tree() -> impl Strategy<Value = Vec<Entry>> {
    let name = "[a-c.]{0,2}[a-c]";
    let path = proptest::collection::vec(name, 1..4);
    let leaf = (path, any::<u64>(), 0..=0o777u16, any::<i64>(), 0..1_000_000_000u32);
    proptest::collection::vec(leaf, 0..40).prop_map(|leaves| {
        let mut tree = std::collections::BTreeMap::new();
        for (names, seed, mode, mtime_secs, mtime_nanos) in leaves {
            for depth in 1..=names.len() {
                let path = RelPath::parse(names[..depth].join("/").as_bytes()).unwrap();
                let kind = match seed % 3 {
                    _ if depth < names.len() => EntryKind::Dir,
                    0 => EntryKind::Symlink { target: seed.to_string().as_bytes().into() },
                    _ => EntryKind::File { size: seed >> 44 },
                };
                let mode = if matches!(kind, EntryKind::Symlink { .. }) { 0 } else { mode };
                let entry = Entry { path, kind, mode, mtime_secs, mtime_nanos };
                let inner = depth < names.len();
                tree.entry(entry.path.clone())
                    .and_modify(|old: &mut Entry| {
                        if inner {
                            *old = entry.clone();
                        }
                    })
                    .or_insert(entry);
            }
        }
        tree.into_values().collect()
    })
}

proptest! {
    #[test]
    fn what_was_published_is_what_is_put_together(list in tree()) {
        let Ok(entries) = Entries::from_walk(list) else { return Ok(()) };
        let manifest = Manifest::publish(entries, None).unwrap();
        let copy = Manifest::load(manifest.id(), &manifest.header_bytes(), manifest.pages().collect()).unwrap();
        prop_assert_eq!(copy.entries(), manifest.entries());
        prop_assert_eq!(copy.header(), manifest.header());
    }

    #[test]
    fn no_bytes_make_a_header_or_page_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Header::parse(&bytes);
        let _ = Header::parse(&[b"strewman\x01\0\x01", bytes.as_slice()].concat());
        let _ = forge(0, 1, std::slice::from_ref(&bytes));
    }

    #[test]
    fn a_page_with_any_byte_changed_is_malformed_or_another_content(at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let honest = publish(small_tree());
        let mut page = honest.page(0).unwrap();
        let at = at.index(page.len());
        page[at] ^= 1 << bit;
        if let Ok(other) = forge(honest.layout().total(), honest.header().entries(), &[page]) {
            prop_assert_ne!(other.id(), honest.id());
        }
    }
}

#[test]
fn pages_of_random_long_names_split_where_the_next_entry_does_not_fit() {
    let mut rng = Rng::with_seed(7);
    let names: std::collections::BTreeSet<String> =
        (0..9000).map(|_| (0..rng.usize(1..=255)).map(|_| rng.alphanumeric()).collect()).collect();
    let manifest = publish(names.iter().map(|name| file(name, 1)).collect());
    let pages: Vec<Vec<u8>> = manifest.pages().collect();
    assert!(pages.len() > 1);
    for pair in pages.windows(2) {
        // The first entry of a page has fixed fields of 27 bytes and a path that shares nothing.
        let first = 27 + usize::from(u16::from_le_bytes([pair[1][25], pair[1][26]]));
        assert!(pair[0].len() <= PAGE_LEN_MAX && pair[0].len() + first > PAGE_LEN_MAX - 255);
    }
}
