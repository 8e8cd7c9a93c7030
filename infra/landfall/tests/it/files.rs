//! Which files are staged, and under which keys.

use landfall::{input_files, staged_keys};

use crate::{delivery, write};

#[test]
fn a_single_delivery_takes_all_files_below_its_prefix() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["b.jsonl", "a/ü c+d.jsonl", "acme/sales/x.jsonl.gz"] {
        write(folder.path(), name, "{}");
    }
    let files = input_files(folder.path()).unwrap();
    let sales = delivery("sales");
    let keys: Vec<String> = staged_keys(&files, &[&sales]).unwrap().into_iter().map(|(key, _)| key).collect();
    // A path that names the prefix already is taken as it is.
    assert_eq!(keys, ["acme/sales/a/ü c+d.jsonl", "acme/sales/x.jsonl.gz", "acme/sales/b.jsonl"]);
}

#[test]
fn several_deliveries_take_what_their_prefixes_name() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["acme/sales/1.jsonl", "acme/stock/1.jsonl"] {
        write(folder.path(), name, "{}");
    }
    let (sales, stock) = (delivery("sales"), delivery("stock"));
    let files = input_files(folder.path()).unwrap();
    let owners: Vec<String> = staged_keys(&files, &[&sales, &stock])
        .unwrap()
        .into_iter()
        .map(|(_, delivery)| delivery.id.clone())
        .collect();
    assert_eq!(owners, ["sales", "stock"]);

    write(folder.path(), "acme/other.jsonl", "{}");
    let files = input_files(folder.path()).unwrap();
    let error = staged_keys(&files, &[&sales, &stock]).unwrap_err().to_string();
    assert!(error.contains("acme/other.jsonl") && error.contains("acme/sales/, acme/stock/"), "{error}");
}

#[test]
fn files_come_in_the_order_of_a_listing() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a/z.jsonl", "a.jsonl", "a-b.jsonl", "B.jsonl"] {
        write(folder.path(), name, "12");
    }
    let files = input_files(folder.path()).unwrap();
    let names: Vec<&str> = files.iter().map(|file| file.relative.as_str()).collect();
    assert_eq!(names, ["B.jsonl", "a-b.jsonl", "a.jsonl", "a/z.jsonl"]);
    assert!(files.iter().all(|file| file.bytes == 2));
}

#[test]
fn a_folder_without_files_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    assert!(input_files(folder.path()).is_err());
}
