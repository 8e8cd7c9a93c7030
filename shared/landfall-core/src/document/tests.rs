//! What a document must look like: one base document, and what each change to it brings up.

use proptest::prelude::*;

use super::*;
use crate::layout::{Layout, PartitionTransform};

mod columns_and_levels;
mod outputs;

const PRODUCTS: &str = include_str!("../../../../docs/examples/product-catalogue.toml");
const CLICKS: &str = include_str!("../../../../docs/examples/click-events.toml");
const SECRET: &str = "s3cr3t-external-id";

const BASE: &str = r#"version = 1
id = "acme-orders"
tenant = "acme"
dataset = "orders"
[source]
prefix = "acme/orders/"
[destination]
role_arn = "arn:aws:iam::111122223333:role/landfall"
external_id = "s3cr3t-external-id"
region = "eu-central-1"
bucket = "acme-lake"
prefix = "orders/"
[contract]
version = 1
[[contract.column]]
name = "id"
type = "int64"
[[contract.column]]
name = "at"
type = "timestamp(us)"
[[contract.column]]
name = "note"
type = "string"
[layout]
"#;

/// The base document with some texts replaced, each of which must stand in it.
fn changed(changes: &[(&str, &str)]) -> String {
    let mut text = BASE.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "the base document has no {from:?}");
        text = text.replacen(from, to, 1);
    }
    text
}

/// The errors of a document, without its name.
fn errors(text: &str) -> Vec<String> {
    match parse("d.toml", text) {
        Ok(_) => Vec::new(),
        Err(errors) => {
            assert!(!errors.to_string().contains(SECRET), "the ExternalId is shown: {errors}");
            errors.to_string().lines().map(|line| line.strip_prefix("d.toml:").unwrap().to_owned()).collect()
        }
    }
}

#[track_caller]
fn check(changes: &[(&str, &str)], expected: &[&str]) {
    let text = changed(changes);
    assert_eq!(errors(&text), expected, "{text}");
}

/// The base document with levels appended to its layout, which begin on line 25.
#[track_caller]
fn check_levels(levels: &str, expected: &[&str]) {
    let text = format!("{BASE}{levels}");
    assert_eq!(errors(&text), expected, "{text}");
}

#[test]
fn the_examples_are_right() {
    for (name, text) in [("product-catalogue.toml", PRODUCTS), ("click-events.toml", CLICKS)] {
        let delivery = parse(name, text).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(delivery, toml::from_str(text).unwrap(), "{name}: parse and serde disagree");
    }
    let products = parse("p", PRODUCTS).unwrap();
    assert!(products.contract.columns.len() > 20);
    assert_eq!(
        products.layout.partitions.first().map(|level| level.transform),
        Some(PartitionTransform::Date)
    );
}

#[test]
fn what_is_left_out_takes_the_defaults_of_the_types() {
    let delivery = parse("d", BASE).unwrap();
    assert_eq!(delivery, toml::from_str(BASE).unwrap());
    assert_eq!(delivery.destination.temp_prefix, "_tmp/");
    assert_eq!(delivery.layout, toml::from_str::<Layout>("").unwrap());
}

#[test]
fn all_errors_of_all_sections_are_reported_at_once() {
    check(
        &[
            ("version = 1\nid", "version = \"1\"\nid"),
            ("tenant = \"acme\"\n", "tenent = \"acme\"\n"),
            ("prefix = \"acme/orders/\"", "prefix = \"acme/orders\""),
            ("external_id = \"s3cr3t-external-id\"", "external_id = \"s3cr3t-external-id!\""),
            ("bucket = \"acme-lake\"\n", "\"the lake\" = 1\n"),
            ("type = \"int64\"", "type = \"int65\""),
            ("name = \"note\"", "name = \"ID\"\nnulable = true"),
            (
                "[layout]\n",
                "[layout]\nfile_name = \"data\"\n[[layout.partition]]\nsource = \"colum\"\nname = \"at\"\n",
            ),
        ],
        &[
            "1:1: tenant: this key is missing",
            "1:11: version: expected a whole number, found text",
            "3:1: tenent: unknown key; did you mean `tenant`?",
            "6:10: source.prefix: a prefix must end with `/`",
            "7:1: destination.bucket: this key is missing",
            "9:15: destination.external_id: expected 2 to 1,224 letters, digits and `_+=,.@:/-`",
            "11:1: destination.\"the lake\": unknown key",
            "17:8: contract.column[0].type: unknown type `int65` at character 6",
            "22:8: contract.column[2].name: this name is taken by `contract.column[0].name`: names differ by more than case",
            "23:1: contract.column[2].nulable: unknown key; did you mean `nullable`?",
            "26:13: layout.file_name: a file name needs `{uuid}` or `{hash}`, or `{job_id}` together with `{seq}`: \
             files are never overwritten",
            "28:10: layout.partition[0].source: expected one of `column`, `arrival`, `key`, `job`",
            "29:8: layout.partition[0].name: the contract has a column `at`: a table cannot have both",
        ],
    );
}

#[test]
fn missing_sections_are_one_error_each() {
    assert_eq!(
        errors("version = 1\nid = \"a\"\n"),
        [
            "1:1: tenant: this key is missing",
            "1:1: dataset: this key is missing",
            "1:1: source: this key is missing",
            "1:1: destination: this key is missing",
            "1:1: contract: this key is missing",
            "1:1: layout: this key is missing",
        ]
    );
    assert_eq!(parse("d", "id = \"a\"").unwrap_err().id.as_deref(), Some("a"));
    assert_eq!(parse("d", "id = \"A\"").unwrap_err().id, None);
}

#[test]
fn wrong_kinds_are_named_without_their_value() {
    check(
        &[
            ("dataset = \"orders\"", "dataset = 5"),
            ("prefix = \"acme/orders/\"", "prefix = [\"a/\"]\nstart = 2026-05-19T00:00:00Z"),
            ("prefix = \"orders/\"", "prefix = \"orders/\"\nconsumer_deletes = \"no\"\ncapabilities = true"),
            (
                "[layout]\n",
                "[layout]\ntarget_bytes = 1.5\ncompression = true\n[layout.partition]\nname = \"x\"\n",
            ),
        ],
        &[
            "4:11: dataset: expected text in quotes, found a whole number",
            "6:10: source.prefix: expected text in quotes, found a list",
            "7:9: source.start: expected text in quotes, found a time without quotes",
            "14:20: destination.consumer_deletes: expected `true` or `false`, found text",
            "15:16: destination.capabilities: expected a table `[destination.capabilities]`, found a boolean",
            "28:16: layout.target_bytes: expected a whole number, found a number with a fraction",
            "29:15: layout.compression: expected text in quotes, found a boolean",
            "30:1: layout.partition: expected tables, each below `[[layout.partition]]`, found a table",
        ],
    );
}

#[test]
fn syntax_errors_are_reported_together_and_alone() {
    let text = "id = \nversion = 01\n[source\nid = 2\n";
    let found = errors(text);
    assert!(found.len() >= 3, "{found:?}");
    for (line, error) in ["1:6: ", "2:11: ", "3:8: "].iter().zip(&found) {
        assert!(error.starts_with(line), "{error}");
    }
    assert_eq!(errors(&changed(&[("tenant =", "id =")])), ["3:1: duplicate key"]);
}

#[test]
fn columns_count_characters() {
    check(
        &[("[source]\nprefix = \"acme/orders/\"", "source = { start = \"all\", \"ä\" = 1, prefix = \"é\" }")],
        &["5:27: source.\"ä\": unknown key", "5:45: source.prefix: a prefix must end with `/`"],
    );
}

#[test]
fn only_version_one_is_read() {
    check(
        &[("version = 1\nid", "version = 2\nid")],
        &["1:11: version: this build reads documents of version 1"],
    );
    check(
        &[("version = 1\nid", "version = -1\nid")],
        &["1:11: version: expected a whole number from 0 to 4294967295"],
    );
    check(
        &[("[contract]\nversion = 1", "[contract]\nversion = 0")],
        &["14:11: contract.version: expected a whole number from 1 to 2147483647"],
    );
}

#[test]
fn a_document_has_a_size_limit() {
    let long = format!("{BASE}# {}", "x".repeat(MAX_DOCUMENT_BYTES));
    assert_eq!(errors(&long), ["1:1: a document has at most 1048576 bytes"]);
}

#[test]
fn values_of_the_destination_are_checked() {
    for (from, to, expected) in [
        ("id = \"acme-orders\"", "id = \"Acme\"", "2:6: id: expected 1 to 63 lower-case"),
        ("tenant = \"acme\"", "tenant = \"\"", "3:10: tenant: expected 1 to 63 lower-case"),
        ("dataset = \"orders\"", "dataset = \"ördres\"", "4:11: dataset: expected 1 to 128"),
        ("role/landfall", "user/landfall", "8:12: destination.role_arn: expected a role"),
        ("111122223333", "1111", "8:12: destination.role_arn: expected a role"),
        (SECRET, "x", "9:15: destination.external_id: expected 2 to 1,224"),
        ("\"eu-central-1\"", "\"Frankfurt\"", "10:10: destination.region: expected a region"),
        ("acme-lake", "Acme_Lake", "11:10: destination.bucket: expected a bucket's name"),
        ("acme-lake", "10.0.0.1", "11:10: destination.bucket: a bucket's name is not an IP address"),
        ("\"orders/\"", "\"/orders/\"", "12:10: destination.prefix: a prefix must not begin with `/`"),
        ("\"orders/\"", "\"a//b/\"", "12:10: destination.prefix: a prefix must not have an empty"),
        ("\"orders/\"", "\"a/../b/\"", "12:10: destination.prefix: a prefix must not have an empty"),
        ("\"orders/\"", "\"a*/\"", "12:10: destination.prefix: a prefix must not contain `*`"),
        (
            "\"orders/\"",
            "\"_tmp/orders/\"",
            "12:10: destination.prefix: `temp_prefix` and `prefix` must lie outside",
        ),
        (
            "\"orders/\"",
            "\"orders/\"\ntemp_prefix = \"orders/t/\"",
            "13:15: destination.temp_prefix: `temp_prefix` and",
        ),
        (
            "\"orders/\"",
            "\"orders/\"\ntemp_prefix = \"orders/\"",
            "13:15: destination.temp_prefix: `temp_prefix` and",
        ),
        (
            "\"orders/\"",
            "\"orders/\"\ntemp_prefix = \"t\"",
            "13:15: destination.temp_prefix: a prefix must end with",
        ),
        (
            "\"orders/\"",
            "\"orders/\"\nkms_key_arn = \"alias/x\"",
            "13:15: destination.kms_key_arn: expected a key",
        ),
        (
            "\"orders/\"",
            "\"orders/\"\nkms_key_arn = \"arn:aws:kms:us-east-1:111122223333:key/1\"",
            "13:15: destination.kms_key_arn: the ARN must be in the region of the destination",
        ),
        (
            "\"orders/\"",
            "\"orders/\"\n[destination.capabilities]\ncopy_check = true",
            "14:1: destination.capabilities.copy_check: unknown key; did you mean `copy_checksum`?",
        ),
    ] {
        let found = errors(&changed(&[(from, to)]));
        assert!(found.len() == 1 && found[0].starts_with(expected), "{to}: {found:?}");
    }
}

#[test]
fn queues_belong_to_the_clients_account_and_region() {
    let queues = r#"[[notify.queue]]
arn = "arn:aws:sqs:eu-central-1:111122223333:etl"
[[notify.queue]]
arn = "arn:aws:sqs:eu-west-1:999999999999:etl"
[[notify.queue]]
arn = "arn:aws:sqs:eu-central-1:111122223333:etl"
[[notify.queue]]
url = "x"
"#;
    check_levels(
        queues,
        &[
            "28:7: notify.queue[1].arn: the ARN must be in the region of the destination",
            "28:7: notify.queue[1].arn: the queue must be in the account of the role",
            "30:7: notify.queue[2].arn: this queue stands twice",
            "31:1: notify.queue[3].arn: this key is missing",
            "32:1: notify.queue[3].url: unknown key",
        ],
    );
}

#[test]
fn glue_names_are_lower_case() {
    check_levels(
        "[catalog.glue]\ndatabase = \"Raw\"\ntable = \"a-b\"\n",
        &[
            "26:12: catalog.glue.database: expected 1 to 255 lower-case letters, digits and `_`",
            "27:9: catalog.glue.table: expected 1 to 255 lower-case letters, digits and `_`",
        ],
    );
}

proptest! {
    #[test]
    fn no_bytes_panic_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(parse("d", &String::from_utf8_lossy(&bytes)).is_err());
    }

    #[test]
    fn no_damage_to_a_document_panics_or_shows_the_external_id(
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..24, "[\\PC\n]{0,6}"), 1..5),
        products in any::<bool>(),
    ) {
        let mut text = if products { PRODUCTS } else { CLICKS }.to_owned();
        text = text.replace("replace-with-the-id-agreed-with", SECRET);
        for (at, length, put) in cuts {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let from = at.index(places.len());
            let to = (from + length).min(places.len() - 1);
            text.replace_range(places[from]..places[to].max(places[from]), &put);
        }
        if let Err(errors) = parse("d", &text) {
            let shown = errors.to_string();
            prop_assert!(!errors.errors.is_empty());
            prop_assert!(!shown.contains("s3cr3t"), "{shown}");
            prop_assert!(errors.errors.is_sorted_by_key(|error| (error.line, error.column)));
        } else {
            // What the reader takes, the types take too.
            prop_assert_eq!(parse("d", &text).ok(), toml::from_str(&text).ok());
        }
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_where_they_stand() {
    let mut bytes = BASE.as_bytes().to_vec();
    let at = BASE.find("orders/").unwrap();
    bytes[at] = 0xe9;
    let errors = parse_bytes("d.toml", &bytes).unwrap_err().to_string();
    assert_eq!(errors, "d.toml:6:16: the text is not UTF-8");
    assert!(parse_bytes("d.toml", BASE.as_bytes()).is_ok());
}

#[test]
fn names_too_long_for_a_session_policy_are_refused_before_anything_is_delivered() {
    let long = format!("prefix = \"{}/\"", "p".repeat(500));
    let with_glue =
        format!("[catalog.glue]\ndatabase = \"{}\"\ntable = \"{}\"\n", "d".repeat(200), "t".repeat(200));
    let text = format!("{}{with_glue}", changed(&[("prefix = \"orders/\"", long.as_str())]));
    let found = errors(&text);
    assert!(matches!(found.as_slice(), [one] if one.starts_with("12:10: destination.prefix: ")), "{found:?}");
    assert!(found[0].contains("2048 are allowed"), "{found:?}");
}
