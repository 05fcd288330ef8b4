//! The bytes of every frame. A change here is a change of the protocol: raise `VERSION`, or the ALPN when the codec changes.

use data_encoding::HEXLOWER;

use super::*;

/// The signed batch of the samples: what a publisher signed is passed on as it is.
const BATCH: &str = concat!(
    "[02*32]8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c010005000000[07*32]",
    "6fddfe0cdcdf9cf32f25d470c022e8ed2dd21f8b85f07831b65297564f84cf4f",
    "aec93f34e51ec2b148d1db055619497bd4e6fa3567bcfc3f50e083f8814ed802"
);

/// The content root of the samples.
const ROOT: &str = concat!(
    "[02*32]8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c[07*32]",
    "68cccde6a7c8cb7899b90df84a3aeb0bbefd9141d85379d5a0544f31c300cbd4",
    "1e04c3602ab59f969c0bc701341870cdde9717d397c08bb002c64792a94d9b0c"
);

/// The frame in hexadecimal digits; long runs of one digit pair are shown as `pair*count`.
fn shown<F: Frame>(frame: &F) -> String {
    let bytes = encode(frame);
    let mut out = String::new();
    for run in bytes.chunk_by(|a, b| a == b) {
        let pair = HEXLOWER.encode(&run[..1]);
        match run.len() {
            ..8 => out.push_str(&pair.repeat(run.len())),
            len => out.push_str(&format!("[{pair}*{len}]")),
        }
    }
    out
}

fn assert_all<F: Frame>(frames: &[F], golden: &[&str]) {
    let shown: Vec<String> = frames.iter().map(shown).collect();
    assert_eq!(shown, golden, "{shown:#?}");
}

#[test]
fn control_messages_keep_their_bytes() {
    assert_all(
        &messages(),
        &[
            "690000000101[aa*16]fb6a27026575010b737472657720302e312e300100[01*33][02*33]",
            "0100000002",
            "2400000003[01*34]00",
            "03000000040300",
            "03000000040301",
            "06000000040302020501",
            "0b000000050308000000c501d78b06",
            &format!("aa000000060301a6{BATCH}"),
            "5800000007030154[02*32][03*32]0100000000000000070803000505050102000404",
            &format!("a30000000803a0{ROOT}"),
            "390000000902000a000001fb6a2701[bb*16]0265750120010db8[00*11]0109000001000a00000201",
            "0e0000000d0301fd00000000000000100201",
            "070000000a03fc70110100",
            "260000000b[01*33]02026e6f",
            "040000000b000600",
            "020000000c09",
        ],
    );
}

#[test]
fn requests_keep_their_bytes() {
    assert_all(
        &opens(),
        &[
            "070000004000fb2c010000",
            "0f0000004000fb2c0102000a0afc7011010001",
            "070000004000fb2c010002",
            "0a0000004000fb2c010007fb581b",
            "2100000041[01*32]",
            "2200000042[01*32]02",
        ],
    );
}

#[test]
fn answers_keep_their_bytes() {
    assert_all(
        &answers(),
        &[
            "0900000050010000fc00001000",
            "050000005001000100",
            "050000005001000263",
            "0700000050010105090004",
            "0600000051fc00001000",
            "020000005200",
            "020000005201",
            "020000005202",
        ],
    );
}

#[test]
fn trailers_keep_their_bytes() {
    assert_all(&trailers(), &["03000000600000", &format!("ac0000006001a6{BATCH}fb2c01")]);
}

#[test]
fn reasons_and_stream_codes_keep_their_numbers() {
    let names: Vec<String> = (0..15).map(|code| format!("{:?}", Reason::from_code(code))).collect();
    assert_eq!(
        names.join(" "),
        "Gone OtherVersion OtherContent NotAuthorised SelfConnect Duplicate TooMany Protocol BadChunks Complete Stopped \
         Idle Failed Integrity Unknown(14)"
    );
    assert!((0..=255).all(|code| Reason::from_code(code).code() == code));
    let codes: Vec<String> = (0..7).map(|code| format!("{:?}", StreamCode::from_code(code))).collect();
    assert_eq!(codes.join(" "), "None Some(Cancelled) Some(InFlight) Some(Failed) Some(TooSlow) Some(Protocol) None");
}
