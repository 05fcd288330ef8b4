use tokio::time::{pause, resume};

use super::*;
use crate::net::TransportSettings;
use crate::net::testing::{pair, within};
use crate::wire::{Message, Open, Peers};

/// Sends these bytes on a new stream, with its end if `ends`, and reads what comes of them as a control message.
async fn read_bytes(bytes: &[u8], ends: bool) -> Result<Message, FrameError> {
    let pair = pair().await;
    let mut send = pair.dialling.open_uni().await.unwrap();
    send.write_all(bytes).await.unwrap();
    if ends {
        send.finish().unwrap();
    }
    let mut recv = pair.dialled.accept_uni().await.unwrap();
    // From here on time passes only where everybody waits for it.
    pause();
    let outcome = within(read(&mut recv)).await;
    resume();
    outcome
}

#[tokio::test]
async fn frames_come_one_by_one_until_the_stream_ends() {
    let pair = pair().await;
    let mut send = pair.dialling.open_uni().await.unwrap();
    let said = [Message::Welcome, Message::Peers(Peers::default()), Message::Welcome];
    for message in &said {
        write(&mut send, message).await.unwrap();
    }
    send.finish().unwrap();
    let mut recv = pair.dialled.accept_uni().await.unwrap();
    for message in said {
        assert_eq!(within(read::<Message>(&mut recv)).await.unwrap(), message);
    }
    assert!(matches!(within(read::<Message>(&mut recv)).await, Err(FrameError::End)));
}

#[tokio::test]
async fn a_frame_above_its_cap_is_refused_before_it_comes() {
    let claim = [&u32::MAX.to_le_bytes()[..], &[2]].concat();
    assert!(matches!(read_bytes(&claim, false).await, Err(FrameError::Wire(WireError::Length(_)))));
}

#[tokio::test]
async fn a_frame_of_another_stream_is_refused() {
    let open = encode(&Open::Header { id: crate::manifest::ContentId([1; 32]) });
    assert!(matches!(read_bytes(&open, false).await, Err(FrameError::Wire(WireError::Kind(_)))));
}

#[tokio::test]
async fn half_a_frame_and_then_silence_is_given_up() {
    let whole = encode(&Message::Peers(Peers::default()));
    for part in [1, 4, whole.len() - 1] {
        assert!(matches!(read_bytes(&whole[..part], false).await, Err(FrameError::Slow)), "{part} bytes");
    }
}

#[tokio::test]
async fn a_stream_that_ends_inside_a_frame_is_broken() {
    let whole = encode(&Message::Peers(Peers::default()));
    for part in [1, 4, whole.len() - 1] {
        assert!(matches!(read_bytes(&whole[..part], true).await, Err(FrameError::Broken(_))), "{part} bytes");
    }
}

#[tokio::test]
async fn data_that_nobody_takes_is_given_up() {
    let pair = pair().await;
    let mut send = pair.dialling.open_uni().await.unwrap();
    let window = usize::try_from(TransportSettings::default().stream_receive_window).unwrap();
    let fits = within(hand_over(&mut send, Bytes::from(vec![0; window]))).await;
    assert!(fits.unwrap(), "the receiver has room for it, whether it reads or not");
    // From here on time passes only where everybody waits for it.
    pause();
    let taken = within(hand_over(&mut send, Bytes::from_static(b"more"))).await;
    resume();
    assert!(!taken.unwrap());
}
