//! Parquet objects whose headers claim what is not so: written by hand, as no writer makes them.

use std::io::{Read as _, Write as _};

use landfall_parquet::InputVerdict;
use serde_json::json;

use crate::kit::{Run, column, contract, merge, spec};

const NEIGHBOUR: &[u8] = b"{}\n";

/// The numbers that an object of one required column `v` and one page claims.
#[derive(Debug, Clone)]
struct Claims {
    /// 2 is INT64, 6 byte strings.
    physical: i64,
    /// 0 is none, 2 gzip, 5 LZ4.
    codec: i64,
    /// 0 is plain, 6 DELTA_LENGTH_BYTE_ARRAY, 7 DELTA_BYTE_ARRAY.
    encoding: i64,
    uncompressed: i64,
    compressed: i64,
    page_values: i64,
    rows: i64,
    /// Where the dictionary is said to be.
    dictionary: Option<i64>,
}

impl Claims {
    /// A sound object of a page that is not compressed.
    fn sound(physical: i64, encoding: i64, rows: i64, page: &[u8]) -> Self {
        let size = i64::try_from(page.len()).unwrap();
        Self {
            physical,
            codec: 0,
            encoding,
            uncompressed: size,
            compressed: size,
            page_values: rows,
            rows,
            dictionary: None,
        }
    }

    fn object(&self, page: &[u8]) -> Vec<u8> {
        let number = |value: i64| -> Vec<u8> {
            let mut left = (value << 1 ^ value >> 63).cast_unsigned();
            let mut bytes = Vec::new();
            while left > 0x7f {
                bytes.push(u8::try_from(left & 0x7f).unwrap() | 0x80);
                left >>= 7;
            }
            bytes.push(u8::try_from(left).unwrap());
            bytes
        };
        // Fields are the step from the one before and a type: 5 and 6 numbers, 8 a text, 9 a list, 12 a structure.
        let header = [
            &[0x15, 0, 0x15][..],
            &number(self.uncompressed),
            &[0x15],
            &number(self.compressed),
            &[0x2c, 0x15],
            &number(self.page_values),
            &[0x15],
            &number(self.encoding),
            &[0x15, 6, 0x15, 6, 0, 0],
        ]
        .concat();
        let length = i64::try_from(header.len() + page.len()).unwrap();
        let schema =
            [&[0x48, 1, b'm', 0x15, 2, 0, 0x15][..], &number(self.physical), &[0x25, 0, 0x18, 1, b'v', 0]]
                .concat();
        let dictionary = self.dictionary.map_or(Vec::new(), |at| [&[0x26][..], &number(at)].concat());
        let chunk = [
            &[0x26, 0, 0x1c, 0x15][..],
            &number(self.physical),
            &[0x19, 0x15],
            &number(self.encoding),
            &[0x19, 0x18, 1, b'v', 0x15],
            &number(self.codec),
            &[0x16],
            &number(self.rows),
            &[0x16],
            &number(length),
            &[0x16],
            &number(length),
            &[0x26, 8],
            &dictionary,
            &[0, 0],
        ]
        .concat();
        let footer = [
            &[0x15, 2, 0x19, 0x2c][..],
            &schema,
            &[0x16],
            &number(self.rows),
            &[0x19, 0x1c, 0x19, 0x1c],
            &chunk,
            &[0x16],
            &number(length),
            &[0x16],
            &number(self.rows),
            &[0, 0],
        ]
        .concat();
        let size = u32::try_from(footer.len()).unwrap().to_le_bytes();
        [b"PAR1", &header[..], page, &footer, &size, b"PAR1"].concat()
    }
}

fn run(data_type: &str, object: &[u8]) -> Run {
    merge(&spec(contract(vec![column("v", data_type)])), &[NEIGHBOUR, object, NEIGHBOUR])
}

/// The reason for which an object is refused; its neighbours are delivered.
fn refused(data_type: &str, object: &[u8]) -> &'static str {
    let run = run(data_type, object);
    assert_eq!(run.rows().len(), 2);
    let InputVerdict::Quarantined(quarantine) = &run.verdicts[1] else { panic!("{:?}", run.verdicts) };
    quarantine.reason.as_str()
}

/// Three numbers.
fn numbers() -> Vec<u8> {
    [7_i64, -1, 9].iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn an_object_written_by_hand_is_read_when_it_is_sound() {
    let page = numbers();
    let found = run("int64", &Claims::sound(2, 0, 3, &page).object(&page));
    let rows = [json!({"v": null}), json!({"v": 7}), json!({"v": -1}), json!({"v": 9}), json!({"v": null})];
    assert_eq!(found.rows(), rows.clone());
    // Some writers say that a dictionary that they do not have is at the beginning.
    let claims = Claims { dictionary: Some(0), ..Claims::sound(2, 0, 3, &page) };
    assert_eq!(run("int64", &claims.object(&page)).rows(), rows);
    // Lengths 1 and 2, in a block of no difference but one.
    let page = [&[0x80, 1, 4, 2, 2, 2, 0, 0, 0, 0][..], b"abc"].concat();
    let found = run("string", &Claims::sound(6, 6, 2, &page).object(&page));
    assert_eq!(found.rows()[1..3], [json!({"v": "a"}), json!({"v": "bc"})]);
    // `ab`, and one byte of it with `c`.
    let page = [&[0x80, 1, 4, 2, 0, 2, 0, 0, 0, 0][..], &[0x80, 1, 4, 2, 4, 1, 0, 0, 0, 0], b"abc"].concat();
    let found = run("string", &Claims::sound(6, 7, 2, &page).object(&page));
    assert_eq!(found.rows()[1..3], [json!({"v": "ab"}), json!({"v": "ac"})]);
}

#[test]
fn pages_that_claim_what_they_do_not_hold_are_refused() {
    let page = numbers();
    let sound = Claims::sound(2, 0, 3, &page);
    let large = i64::from(i32::MAX);
    for (claims, reason) in [
        (Claims { uncompressed: large, codec: 2, ..sound.clone() }, "parquet_page_too_large"),
        (Claims { uncompressed: large, ..sound.clone() }, "parquet_page_too_large"),
        (Claims { uncompressed: -1, ..sound.clone() }, "parquet_data"),
        (Claims { compressed: large, ..sound.clone() }, "parquet_data"),
        (Claims { compressed: -1, ..sound.clone() }, "parquet_data"),
        (Claims { page_values: large, ..sound.clone() }, "parquet_data"),
        (Claims { page_values: 2, ..sound.clone() }, "parquet_data"),
        (Claims { rows: 1_000_000_000_000, ..sound.clone() }, "parquet_data"),
        (Claims { rows: 4, page_values: 4, ..sound.clone() }, "parquet_data"),
        (Claims { rows: -1, ..sound.clone() }, "parquet_footer"),
        (Claims { encoding: 99, ..sound.clone() }, "parquet_footer"),
    ] {
        assert_eq!(refused("int64", &claims.object(&page)), reason, "{claims:?}");
    }
}

#[test]
fn pages_that_come_to_more_than_they_claim_are_refused_before_they_do() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..1_024 {
        packed.write_all(&zeros).unwrap();
    }
    // A gigabyte in a megabyte.
    let page = packed.finish().unwrap();
    assert!(page.len() < 1_100_000);
    let claims = Claims { codec: 2, uncompressed: 24, ..Claims::sound(2, 0, 3, &page) };
    assert_eq!(refused("int64", &claims.object(&page)), "parquet_data");
    // An LZ4 frame, which is not cut short either.
    let page = [&[0x04, 0x22, 0x4d, 0x18][..], &vec![0; 2 << 20]].concat();
    let claims = Claims { codec: 5, uncompressed: 24, ..Claims::sound(2, 0, 3, &page) };
    assert_eq!(refused("int64", &claims.object(&page)), "parquet_page_too_large");
    // What is claimed rightly is read.
    let mut plain = Vec::new();
    flate2::read::GzEncoder::new(&numbers()[..], flate2::Compression::best())
        .read_to_end(&mut plain)
        .unwrap();
    let claims = Claims { codec: 2, uncompressed: 24, ..Claims::sound(2, 0, 3, &plain) };
    assert_eq!(run("int64", &claims.object(&plain)).rows().len(), 5);
}

#[test]
fn byte_strings_that_claim_any_number_of_lengths_are_refused() {
    // 2 to the power of 41 of them.
    let many = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1];
    let page = [&[0x80, 1, 4][..], &many, &[2, 0, 0, 0, 0, 0], b"abc"].concat();
    for encoding in [6, 7] {
        let claims = Claims::sound(6, encoding, 2, &page);
        assert_eq!(refused("string", &claims.object(&page)), "parquet_data");
    }
    let page =
        [&[0x80, 1, 4, 2, 0, 2, 0, 0, 0, 0, 0x80, 1, 4][..], &many, &[4, 1, 0, 0, 0, 0], b"abc"].concat();
    assert_eq!(refused("string", &Claims::sound(6, 7, 2, &page).object(&page)), "parquet_data");
    // A string that shares less than nothing: whoever takes it for a size without a sign shares all.
    let page = [&[0x80, 1, 4, 2, 0, 1, 0, 0, 0, 0][..], &[0x80, 1, 4, 2, 4, 1, 0, 0, 0, 0], b"abc"].concat();
    assert_eq!(refused("string", &Claims::sound(6, 7, 2, &page).object(&page)), "parquet_data");
}

#[test]
fn byte_strings_that_share_a_long_one_are_bounded() {
    // A string of a megabyte, and a hundred thousand that are all of it.
    let text = vec![b'x'; 1_000_000];
    let number = |mut value: u32| {
        let mut bytes = Vec::new();
        while value > 0x7f {
            bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        bytes.push(u8::try_from(value).unwrap());
        bytes
    };
    let rows = 100_000;
    // The first differs by a million from the next; those after it not at all: one block has 32 bits for it.
    let lengths = |first: u32, second: u32| {
        let mut bytes = [&[0x80, 1, 4][..], &number(rows), &number(first * 2), &[0, 32, 0, 0, 0]].concat();
        bytes.extend(second.wrapping_sub(first).to_le_bytes());
        bytes.extend(vec![0; 31 * 4]);
        bytes.extend([0, 0, 0, 0, 0].repeat(usize::try_from(rows).unwrap() / 128));
        bytes
    };
    let page = [lengths(0, 1_000_000), lengths(1_000_000, 0), text].concat();
    let claims = Claims::sound(6, 7, rows.into(), &page);
    assert_eq!(refused("string", &claims.object(&page)), "parquet_page_too_large");
}

#[test]
fn an_object_that_panics_the_crate_is_refused_alone() {
    // Codes of a dictionary begin with a byte that says how wide they are: the crate asks for it without a look.
    let run = run("string", &Claims::sound(6, 8, 2, b"").object(b""));
    assert_eq!(run.rows().len(), 2);
    let InputVerdict::Quarantined(quarantine) = &run.verdicts[1] else { panic!("{:?}", run.verdicts) };
    assert_eq!(
        (quarantine.reason.as_str(), quarantine.detail.as_str()),
        ("parquet_data", "the reader of Parquet gave up")
    );
}
