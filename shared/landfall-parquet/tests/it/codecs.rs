//! Gzip and zstd: what is read whole, what is refused and as what.

use std::fmt::Write as _;

use landfall_parquet::{InputVerdict, MergeSpec, limits};
use proptest::prelude::*;
use serde_json::json;

use crate::kit::{column, contract, gzip, merge, merge_slices, spec};

fn numbers() -> MergeSpec {
    spec(contract(vec![column("v", "int64")]))
}

/// What one object comes to, whole and in slices of one byte: the number of rows, or the reason.
fn check(bytes: &[u8], expected: Result<u64, &str>) {
    let whole = merge(&numbers(), &[bytes]);
    let slices: Vec<&[u8]> = bytes.chunks(1).collect();
    let sliced = merge_slices(&numbers(), &[slices]).unwrap();
    assert_eq!(whole, sliced, "slicing changes nothing");
    let found = match &whole.verdicts[0] {
        InputVerdict::Merged { rows, rejected: 0 } => Ok(*rows),
        InputVerdict::Merged { .. } => Err("rejected"),
        InputVerdict::Empty => Ok(0),
        InputVerdict::Quarantined(quarantine) => {
            assert!(whole.files.is_empty());
            Err(quarantine.reason.as_str())
        }
    };
    assert_eq!(found, expected);
}

const ONE: &[u8] = b"{\"v\":1}\n{\"v\":2}\n";
const TWO: &[u8] = b"{\"v\":3}\n";

fn concat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    copy[at] ^= 0xff;
    copy
}

#[test]
fn gzip_is_read_to_its_last_member() {
    let (one, two) = (gzip(ONE), gzip(TWO));
    check(&one, Ok(2));
    check(&concat(&[&one, &two]), Ok(3));
    check(&concat(&[&one, &two, &[0; 1000]]), Ok(3));
    check(&concat(&[&gzip(b""), &one]), Ok(2));
    check(&gzip(b""), Ok(0));
    // A line may go on in the next member.
    check(&concat(&[&gzip(b"{\"v\""), &gzip(b":1}\n")]), Ok(1));
}

#[test]
fn what_follows_a_gzip_member_is_seen_even_if_it_ends_as_the_member_does() {
    let (one, two) = (gzip(ONE), gzip(TWO));
    let trailer = &one[one.len() - 8..];
    check(&concat(&[&one, trailer]), Err("gzip_trailing_bytes"));
    check(&concat(&[&one, b"junk", trailer]), Err("gzip_trailing_bytes"));
    check(&concat(&[&one, &[0; 9], trailer]), Err("gzip_trailing_bytes"));
    check(&concat(&[&one, &two, trailer]), Err("gzip_trailing_bytes"));
    // The same member twice ends twice alike: that is no reason to refuse it.
    check(&concat(&[&one, &one]), Ok(4));
}

#[test]
fn a_gzip_object_is_told_the_same_however_large_it_is() {
    let texts = spec(contract(vec![column("v", "string")]));
    // Small, then longer than 4 MiB as it is, then longer than 16 MiB decoded: only the first is decoded at once.
    for (rows, noisy) in [(5_u64, 100), (80, 100), (200, 2)] {
        let mut noise = 1_u64;
        let mut text = String::new();
        for _ in 0..rows {
            text.push_str("{\"v\":\"");
            for n in 0..100_000 {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let letter = if n % 100 < noisy { u8::try_from(noise >> 58).unwrap() } else { 0 };
                text.push(char::from(b'0' + letter).to_ascii_lowercase());
            }
            text.push_str("\"}\n");
        }
        let text = text.replace('\\', "~");
        let object = gzip(text.as_bytes());
        let found = |bytes: &[u8]| match merge(&texts, &[bytes]).verdicts.remove(0) {
            InputVerdict::Merged { rows, rejected: 0 } => Ok(rows),
            InputVerdict::Quarantined(quarantine) => Err(quarantine.reason.as_str()),
            other => panic!("{other:?}"),
        };
        assert_eq!(found(&object), Ok(rows));
        assert_eq!(found(&concat(&[&object, &[0; 10_000]])), Ok(rows));
        assert_eq!(found(&object[..object.len() - 3]), Err("gzip_truncated"));
        assert_eq!(found(&concat(&[&object, b"x"])), Err("gzip_trailing_bytes"));
        assert_eq!(found(&flipped(&object, object.len() - 6)), Err("gzip_checksum"));
        assert_eq!(found(&flipped(&object, object.len() - 1)), Err("gzip_length"));
    }
}

#[test]
fn gzip_headers_may_have_all_their_parts() {
    let one = gzip(ONE);
    let header =
        [&[0x1f, 0x8b, 8, 4 | 8 | 16 | 2, 0, 0, 0, 0, 0, 255, 3, 0][..], b"xyz", b"name\0", b"comment\0"]
            .concat();
    let mut crc = flate2::Crc::new();
    crc.update(&header);
    let sum = u16::try_from(crc.sum() & 0xffff).unwrap().to_le_bytes();
    check(&concat(&[&header, &sum, &one[10..]]), Ok(2));
    check(&concat(&[&header, &[sum[0] ^ 1, sum[1]], &one[10..]]), Err("gzip_header"));
    check(&flipped(&one, 2), Err("gzip_header"));
    let mut reserved = one.clone();
    reserved[3] = 0x20;
    check(&reserved, Err("gzip_header"));
}

#[test]
fn broken_gzip_is_refused_as_what_it_is() {
    let (one, two) = (gzip(ONE), gzip(TWO));
    let end = one.len();
    check(&flipped(&one, end - 8), Err("gzip_checksum"));
    check(&flipped(&one, end - 1), Err("gzip_length"));
    check(&flipped(&one, 10), Err("gzip_data"));
    check(&one[..end - 1], Err("gzip_truncated"));
    check(&one[..end - 8], Err("gzip_truncated"));
    check(&one[..end - 10], Err("gzip_truncated"));
    check(&one[..5], Err("gzip_truncated"));
    check(&one[..2], Err("gzip_truncated"));
    check(&concat(&[&one, &two[..two.len() - 3]]), Err("gzip_truncated"));
    check(&concat(&[&one, b"\x1f"]), Err("gzip_truncated"));
    check(&concat(&[&one, b"garbage"]), Err("gzip_trailing_bytes"));
    check(&concat(&[&one, b"\n"]), Err("gzip_trailing_bytes"));
    check(&concat(&[&one, &[0; 5], b"x"]), Err("gzip_trailing_bytes"));
    check(&concat(&[&one, &[0; 5], &two]), Err("gzip_trailing_bytes"));
    // Every cut is seen, every flipped byte of data or trailer too.
    for cut in 1..end {
        assert!(
            !matches!(merge(&numbers(), &[&one[..cut]]).verdicts[0], InputVerdict::Merged { rows: 1.., .. }),
            "{cut}"
        );
    }
    for at in 10..end {
        let run = merge(&numbers(), &[&flipped(&one, at)]);
        assert!(matches!(run.verdicts[0], InputVerdict::Quarantined(_)), "byte {at}");
    }
}

#[test]
fn content_decides_not_the_name() {
    check(ONE, Ok(2));
    check(&gzip(&gzip(ONE)), Err("unsupported_format"));
    check(&gzip(&zstd::bulk::compress(ONE, 3).unwrap()), Err("unsupported_format"));
    check(b"BZh91AY&SY", Err("unsupported_format"));
    check(b"PAR1\x15\x00\x15\x00", Err("parquet_truncated"));
    check(b"PARE\x15\x00\x15\x00", Err("unsupported_format"));
    check(&gzip(b"PAR1\x15\x00\x15\x00"), Err("unsupported_format"));
    check(b"PK\x03\x04aaaaaaaa", Err("unsupported_format"));
    check(b"\xfd7zXZ\x00aaaaaa", Err("unsupported_format"));
    check(b"\xff\xfe{\x00}\x00", Err("unsupported_format"));
    check(b"{", Err("rejected"));
}

#[test]
fn zstd_is_read_to_its_last_frame() {
    let compress = |bytes: &[u8]| zstd::bulk::compress(bytes, 3).unwrap();
    let (one, two) = (compress(ONE), compress(TWO));
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    check(&one, Ok(2));
    check(&concat(&[&one, &two]), Ok(3));
    check(&concat(&[&skippable, &one, &skippable, &two]), Ok(3));
    check(&compress(b""), Ok(0));
    check(&one[..one.len() - 1], Err("zstd_truncated"));
    check(&concat(&[&one, &two[..4]]), Err("zstd_truncated"));
    check(&concat(&[&one, b"\x28\xb5"]), Err("zstd_truncated"));
    check(&concat(&[&one, b"garbage"]), Err("zstd_trailing_bytes"));
    check(&concat(&[&one, &[0; 8]]), Err("zstd_trailing_bytes"));
    check(&flipped(&one, 4), Err("zstd_data"));
}

#[test]
fn large_streams_pass_through_their_buffers() {
    let text = crate::kit::lines(0..200_000, |n| format!("{{\"v\":{n}}}"));
    for bytes in
        [gzip(text.as_bytes()), zstd::bulk::compress(text.as_bytes(), 1).unwrap(), text.clone().into_bytes()]
    {
        let whole = merge(&numbers(), &[&bytes]);
        assert_eq!(whole.verdicts, [InputVerdict::Merged { rows: 200_000, rejected: 0 }]);
        let last = whole.rows().pop();
        assert_eq!(last, Some(json!({"v": 199_999})));
        let sliced = merge_slices(&numbers(), &[bytes.chunks(777).collect()]).unwrap();
        assert_eq!(whole, sliced);
    }
}

#[test]
fn bombs_are_refused_while_neighbours_are_delivered() {
    // Blank lines only: 1000:1 and more. Without the ratio this would pass as an empty object.
    let bomb = gzip(&vec![b'\n'; 200 * 1024 * 1024]);
    let zstd_bomb = zstd::bulk::compress(&vec![b'\n'; 64 * 1024 * 1024], 3).unwrap();
    let run = merge(&numbers(), &[ONE, &bomb, &zstd_bomb, TWO]);
    let reasons: Vec<Option<&str>> = run
        .verdicts
        .iter()
        .map(|verdict| match verdict {
            InputVerdict::Quarantined(quarantine) => Some(quarantine.reason.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, [None, Some("expansion_ratio"), Some("expansion_ratio"), None]);
    assert_eq!(run.rows().len(), 3);
}

#[test]
fn a_line_without_end_is_refused() {
    let line = vec![b'['; 64 * 1024 * 1024 + 1];
    let run = merge_slices(&numbers(), &[vec![ONE, &line[..line.len() - 1], &line[..1]], vec![TWO]]).unwrap();
    let InputVerdict::Quarantined(quarantine) = &run.verdicts[0] else { panic!("{:?}", run.verdicts) };
    assert_eq!(quarantine.reason.as_str(), "line_too_long");
    assert_eq!(quarantine.position.map(|position| (position.line, position.byte_offset)), Some((3, 16)));
    assert_eq!(run.rows(), [json!({"v": 3})]);
}

#[test]
fn the_header_of_a_gzip_member_has_a_limit_however_it_is_sliced() {
    let one = gzip(ONE);
    let named = |length: usize| {
        let name = "n".repeat(length - 10 - 1);
        [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 255][..], name.as_bytes(), &[0], &one[10..]].concat()
    };
    for (length, expected) in
        [(limits::GZIP_HEADER_BYTES, Ok(2)), (limits::GZIP_HEADER_BYTES + 1, Err("gzip_header"))]
    {
        check(&named(length), expected);
        check(&[&one[..], &named(length)].concat(), expected.map(|rows| rows + 2));
    }
}

/// Slices of these lengths, over and over.
fn slices<'a>(mut rest: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut slices = Vec::new();
    for length in lengths.iter().cycle() {
        let (slice, after) = rest.split_at_checked(*length).unwrap_or((rest, &[]));
        slices.push(slice);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    slices
}

/// A line for each number, the numbers scattered so that they compress badly.
fn scattered(lines: u64) -> Vec<u8> {
    let mut text = String::new();
    let mut state = 1_u64;
    for _ in 0..lines {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        writeln!(text, "{{\"v\":{}}}", state >> 16).unwrap();
    }
    text.into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The verdict, and the rows seen before it, are those of the bytes.
    #[test]
    fn slices_do_not_matter_to_what_is_corrupt(
        small: bool,
        members: bool,
        codec in 0..3_u8,
        place in 0..10_000_usize,
        flip in 0..=255_u8,
        cut in prop::bool::weighted(0.3),
        lengths in prop::collection::vec(1_usize..100_000, 1..20),
    ) {
        let text = scattered(if small { 200 } else { 30_000 });
        let encode = |text: &[u8]| match codec {
            0 => gzip(text),
            1 => zstd::bulk::compress(text, 3).unwrap(),
            _ => text.to_vec(),
        };
        let mut bytes = encode(&text);
        if members {
            bytes.extend(encode(&text));
        }
        let at = place * bytes.len() / 10_000;
        bytes[at] ^= flip;
        if cut {
            bytes.truncate(at);
        }
        let whole = merge(&numbers(), &[&bytes]);
        for sliced in [slices(&bytes, &[1]), slices(&bytes, &lengths), slices(&bytes, &[64 * 1024, 1])] {
            let sliced = merge_slices(&numbers(), &[sliced]).unwrap();
            prop_assert_eq!(&whole.verdicts, &sliced.verdicts);
            prop_assert!(whole == sliced);
        }
    }
}
