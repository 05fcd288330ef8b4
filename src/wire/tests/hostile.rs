//! What a peer cannot make a decoder do.

use std::fmt::Debug;

use super::super::codec::{self, Encode};
use super::super::limits::*;
use super::*;
use crate::bitfield::Bitfield;

/// A frame with this kind and body.
fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(body.len() + 1).unwrap().to_le_bytes().to_vec();
    out.push(kind);
    out.extend_from_slice(body);
    out
}

fn body(value: &impl Encode) -> Vec<u8> {
    let mut out = Vec::new();
    codec::put(value, &mut out);
    out
}

/// What holds for each frame on its own, whatever its type.
fn assert_guarded<F: Frame + Debug + PartialEq>(frames: &[F]) {
    for frame in frames {
        let whole = encode(frame);
        for cut in 0..whole.len() {
            assert!(decode::<F>(&whole[..cut]).is_err(), "cut at {cut}: {frame:?}");
            let mut reader = FrameReader::<F>::new();
            reader.feed(&whole[..cut]);
            assert_eq!(reader.poll(), Ok(None), "cut at {cut}: {frame:?}");
            assert_eq!(reader.is_between_frames(), cut == 0);
            // A shorter body in an honest frame: every part of a message is needed.
            if cut >= Head::LEN {
                assert!(decode::<F>(&framed(whole[4], &whole[Head::LEN..cut])).is_err(), "cut at {cut}: {frame:?}");
            }
        }
        assert!(decode::<F>(&[&whole[..], &[0]].concat()).is_err(), "byte after the frame: {frame:?}");
        let longer = framed(whole[4], &[&whole[Head::LEN..], &[0]].concat());
        assert!(decode::<F>(&longer).is_err(), "byte after the body: {frame:?}");
        for length in [0, u32::try_from(FRAME_LEN_MAX).unwrap() + 2, 1 << 31, u32::MAX] {
            let mut whole = whole.clone();
            whole[..4].copy_from_slice(&length.to_le_bytes());
            let mut reader = FrameReader::<F>::new();
            reader.feed(&whole[..4]);
            assert_eq!(reader.poll(), Err(WireError::Length(length)), "{frame:?}");
            assert_eq!(reader.poll(), Err(WireError::Length(length)), "an error is the last word");
        }
    }
}

/// Each byte of each body in turn is replaced with the lengths that break decoders, in the codec's own spelling.
fn assert_lengths_are_harmless<F: Frame + Debug + PartialEq>(frames: &[F]) {
    let lengths = [0, 1, 17, 29, 51, 65, 257, 1025, (1 << 14) + 1, (128 << 10) + 1, 1 << 31, u32::MAX];
    for frame in frames {
        let whole = encode(frame);
        for at in Head::LEN..whole.len() {
            for length in lengths {
                let spliced = [&whole[Head::LEN..at], &body(&length), &whole[at + 1..]].concat();
                if let Ok(other) = decode::<F>(&framed(whole[4], &spliced)) {
                    assert_eq!(decode::<F>(&encode(&other)), Ok(other));
                }
            }
        }
    }
}

#[test]
fn frames_cut_short_or_too_long_are_never_read() {
    assert_guarded(&messages());
    assert_guarded(&opens());
    assert_guarded(&answers());
    assert_guarded(&trailers());
}

#[test]
fn no_length_in_any_place_leads_beyond_the_bounds() {
    assert_lengths_are_harmless(&messages());
    assert_lengths_are_harmless(&opens());
    assert_lengths_are_harmless(&answers());
    assert_lengths_are_harmless(&trailers());
}

#[test]
fn each_kind_has_its_own_cap_which_is_compared_before_the_body_comes() {
    fn assert_caps<F: Frame>() {
        for kind in F::KINDS {
            for (over, fits) in [(0, true), (1, false)] {
                let length = u32::try_from(kind.2 + 1 + over).unwrap().to_le_bytes();
                let head = Head::parse::<F>([length[0], length[1], length[2], length[3], kind.0]);
                assert_eq!(head.is_ok(), fits, "{}", kind.1);
            }
        }
    }
    assert_caps::<Message>();
    assert_caps::<Open>();
    assert_caps::<Answer>();
    assert_caps::<Trailer>();
}

#[test]
fn a_claimed_length_reserves_no_memory() {
    let mut reader = FrameReader::<Message>::new();
    reader.feed(&framed(6, &[0; 1 << 20])[..100]);
    assert_eq!(reader.poll(), Ok(None));
    assert!(reader.buffer_capacity() < 1000);
}

#[test]
fn a_reader_gives_back_what_a_large_frame_took() {
    let mut reader = FrameReader::<Message>::new();
    let bits = Form::Bits(list(vec![0xff; BITFIELD_LEN_MAX]));
    let message = Message::Bitfield { content: ContentIndex(0), form: bits };
    reader.feed(&encode(&message));
    assert_eq!(reader.poll(), Ok(Some(message)));
    assert_eq!(reader.poll(), Ok(None));
    assert_eq!(reader.buffer_capacity(), 0);
}

#[test]
fn frames_do_not_pass_for_those_of_another_stream() {
    for message in messages() {
        let bytes = encode(&message);
        assert_eq!(decode::<Open>(&bytes), Err(WireError::Kind(bytes[4])));
        assert_eq!(decode::<Answer>(&bytes), Err(WireError::Kind(bytes[4])));
        assert_eq!(decode::<Trailer>(&bytes), Err(WireError::Kind(bytes[4])));
    }
    for kind in [0, 14, 63, 67, 83, 97, 255] {
        assert_eq!(decode::<Message>(&framed(kind, &[])), Err(WireError::Kind(kind)));
        assert_eq!(decode::<Open>(&framed(kind, &[])), Err(WireError::Kind(kind)));
    }
}

/// The list at its bound is read, one more is not.
fn assert_bound<T: Encode + Clone, const MORE: usize>(kind: u8, most: usize, item: &T, before: &[u8], after: &[u8]) {
    for (len, fits) in [(most, true), (most + 1, false)] {
        let items: List<T, MORE> = list(vec![item.clone(); len]);
        let frame = framed(kind, &[before, &body(&items), after].concat());
        assert_eq!(decode::<Message>(&frame).is_ok(), fits, "kind {kind}, {len} items");
    }
}

#[test]
fn lists_are_read_up_to_their_bound_and_not_beyond() {
    let content = body(&ContentIndex(0));
    let offer = Offer { index: ContentIndex(0), id: id(1), complete: true };
    assert_bound::<_, 17>(3, OFFERS_MAX, &offer, &[], &[]);
    let bits = [&content[..], &[2]].concat();
    assert_bound::<u8, { BITFIELD_LEN_MAX + 1 }>(4, BITFIELD_LEN_MAX, &0, &bits, &[]);
    let largest: Vec<u32> = (0..1024).collect();
    assert_bound::<_, 29>(6, BATCHES_MAX, &batch(&largest), &content, &[]);
    let chain = vec![vec![0; crate::manifest::CERTIFICATE_LEN_MAX]; crate::manifest::CHAIN_MAX];
    let signature = vec![0; crate::manifest::CERTIFICATE_SIGNATURE_LEN_MAX];
    let largest = Endorsement { chain, signature, ..endorsement(0) };
    assert_bound::<_, 16>(7, ENDORSEMENTS_MAX, &largest, &content, &[]);
    let addr: SocketAddr = "[::1]:1".parse().unwrap();
    let peer = PeerAddr { addr, peer: Some(PeerId([0; 16])), zone: text(&"z".repeat(ZONE_LEN_MAX)) };
    assert_bound::<_, 51>(9, PEERS_MAX, &peer, &[], &[0]);
    assert_bound::<_, 51>(9, PEERS_MAX, &addr, &[0], &[]);
    let reach = Reach { member: u64::MAX, stamp: u32::MAX, reaches: true };
    assert_bound::<_, 257>(13, MEMBERS_MAX, &reach, &content, &[]);
}

#[test]
fn texts_are_bounded_and_cannot_move_a_cursor() {
    let reject = |text: &[u8]| {
        let bytes: List<u8, 300> = list(text.to_vec());
        decode::<Message>(&framed(11, &[&[0, 2], &body(&bytes)[..]].concat()))
    };
    assert!(reject(&[b'x'; TEXT_LEN_MAX]).is_ok());
    for text in [&[b'x'; TEXT_LEN_MAX + 1][..], b"\x1b[2J", b"a\nb", b"\xff", "\u{85}".as_bytes()] {
        assert_eq!(reject(text), Err(WireError::Malformed("Reject")), "{}", text.escape_ascii());
    }
    assert_eq!(&*Text::<4>::lossy("a\u{1b}é\u{85}"), "a é");
    assert_eq!(Text::<4>::new("abcde".into()), None);
}

#[test]
fn a_hello_of_another_version_says_so_even_when_the_rest_is_unknown() {
    for version in [0u16, 2, 250, 251, u16::MAX] {
        let frame = framed(1, &[&body(&version)[..], b"whatever a later version says"].concat());
        assert_eq!(decode::<Message>(&frame), Err(WireError::OtherVersion(version)));
    }
    let later = Message::Hello(Hello { version: 2, ..hello() });
    assert_eq!(decode::<Message>(&encode(&later)), Err(WireError::OtherVersion(2)));
}

#[test]
fn haves_have_one_spelling_and_stay_below_the_last_chunk() {
    for bytes in [&b""[..], &[0x80], &[0x80, 0], &[0xff, 0xff, 0xff, 0], &[0xff, 0xff, 0xff, 0xff], &[0xff, 0xff, 0x40]]
    {
        assert_eq!(Haves::parse(bytes), None, "{bytes:?}");
    }
    assert_eq!(Haves::parse(&[0xff, 0xff, 0x3f]).unwrap().indices(), [(1 << 20) - 1]);
    assert_eq!(Haves::parse(&[0xff, 0xff, 0x3f, 0]), None);
    assert_eq!(Haves::parse(&[0; HAVES_MAX]).unwrap().indices().len(), HAVES_MAX);
    assert_eq!(Haves::parse(&[0; HAVES_MAX + 1]), None);
}

#[test]
fn ranges_lie_apart_within_the_largest_chunk_in_any_order() {
    let parts = |pairs: &[(u32, u32)]| Ranges::new(&pairs.iter().map(|(a, b)| *a..*b).collect::<Vec<_>>());
    assert!(parts(&[(0, 1), (1, 2), (5, 128 << 20)]).is_some());
    let from_end = parts(&[(8, 9), (4, 8), (0, 1)]).unwrap();
    assert_eq!(from_end.iter().collect::<Vec<_>>(), [8..9, 4..8, 0..1], "the order is the asker's");
    assert_eq!((from_end.bytes_of(9), from_end.bytes_of(8), Ranges::WHOLE.bytes_of(8)), (Some(6), None, Some(8)));
    for wrong in [&[(1, 1)][..], &[(2, 1)], &[(0, 2), (1, 3)], &[(1, 3), (0, 2)], &[(0, (128 << 20) + 1)]] {
        assert_eq!(parts(wrong), None, "{wrong:?}");
        let pairs: List<(u32, u32), 64> = list(wrong.to_vec());
        let request = [&[0, 0][..], &body(&pairs), &[1]].concat();
        assert_eq!(decode::<Open>(&framed(64, &request)), Err(WireError::Malformed("Chunk")), "{wrong:?}");
    }
    let many: Vec<(u32, u32)> = (0..65).map(|i| (2 * i, 2 * i + 1)).collect();
    assert!(parts(&many[..64]).is_some() && parts(&many).is_none());
    let redirectable = framed(64, &[0, 0, 1, 0, 1, 0]);
    assert_eq!(decode::<Open>(&redirectable), Err(WireError::Malformed("Chunk")));
}

#[test]
fn answers_announce_no_more_than_a_chunk_or_a_page() {
    let data = |encoding: u8, length: u32| {
        decode::<Answer>(&framed(80, &[&[0, 0, encoding][..], &body(&length)].concat())).is_ok()
    };
    assert!(data(0, 1) && data(0, 128 << 20) && data(1, 0) && data(2, 1));
    assert!(
        !data(0, 0) && !data(0, (128 << 20) + 1) && !data(1, 1) && !data(2, 0) && !data(3, 1) && !data(0, u32::MAX)
    );
    let page = |length: u32| decode::<Answer>(&framed(81, &body(&length))).is_ok();
    assert!(page(0) && page(1 << 20) && !page((1 << 20) + 1) && !page(u32::MAX));
}

#[test]
fn bitfields_take_the_shortest_form_and_must_fit_the_layout() {
    let layout = Layout::new(10 << 10, 1 << 10).unwrap();
    let mut some = Bitfield::none(layout);
    some.insert(layout.chunk(9).unwrap());
    for held in [Bitfield::all(layout), Bitfield::none(layout), some] {
        assert_eq!(Form::of(&held).resolve(layout), Ok(held));
    }
    assert_eq!(Form::of(&Bitfield::all(layout)), Form::All);
    assert!(Form::Bits(list(vec![0; 3])).resolve(layout).is_err());
    assert!(Form::Bits(list(vec![0, 0xff])).resolve(layout).is_err());
}

#[test]
fn what_follows_the_last_frame_is_handed_back() {
    let mut reader = FrameReader::<Answer>::new();
    let answer = Answer::Manifest { length: 5 };
    reader.feed(&[&encode(&answer)[..], b"bytes"].concat());
    assert_eq!(reader.poll(), Ok(Some(answer)));
    assert_eq!(reader.into_rest(), b"bytes");
}

#[test]
fn a_request_that_wants_what_cannot_be_is_refused() {
    let request = |ranges: &str, how: u8, more: &[u8]| {
        let ranges: Vec<u8> = ranges.bytes().map(|digit| digit - b'0').collect();
        decode::<Open>(&framed(64, &[&[0, 3][..], &ranges, &[how], more].concat()))
    };
    for how in [0, 1, 2, 3] {
        assert!(request("0", how, &[]).is_ok(), "{how}");
    }
    assert!(request("0", 7, &[9]).is_ok() && request("109", 1, &[]).is_ok());
    // Packed if quicker, but not packed; bits that mean nothing; a rate without a question; ranges that are packed.
    for (ranges, how, more) in [("0", 4, &[9][..]), ("0", 8, &[]), ("0", 130, &[]), ("0", 2, &[9]), ("0", 6, &[])] {
        assert!(request(ranges, how, more).is_err(), "{how}");
    }
    assert!(request("109", 3, &[]).is_err() && request("109", 0, &[]).is_err());
}
