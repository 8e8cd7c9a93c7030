//! What files look like and where they stand: JSON lines, folders without names, columns that the path holds.

use std::io::Read as _;

use landfall_core::layout::Compression;
use landfall_parquet::recount::Recount;

use crate::scene::{Scene, document, gzip, rows};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";
const LAYOUT: &str = "[layout]\nmax_latency_seconds = 60\n";
const GLUE: &str = "[catalog.glue]\ndatabase = \"acme_raw\"\ntable = \"rows\"\n";

/// The document with these keys and levels in its layout, and with this catalog.
fn laid_out(layout: &str, levels: &str, catalog: &str) -> String {
    let text = document("acme", "");
    assert!(text.contains(LAYOUT) && text.contains(GLUE));
    text.replace(LAYOUT, &format!("{LAYOUT}{layout}{levels}")).replace(GLUE, catalog)
}

fn of_arrival(transforms: &[&str], named: bool) -> String {
    let level = |transform: &&str| {
        let name = if named { format!("name = \"{transform}\"\n") } else { String::new() };
        format!("[[layout.partition]]\n{name}source = \"arrival\"\ntransform = \"{transform}\"\n")
    };
    transforms.iter().map(level).collect()
}

/// A key with `0` for every digit of a time, and `x` for those of the hashes behind it.
fn digits_hidden(key: &str) -> String {
    let (front, name) = key.split_at(key.find('Z').unwrap_or(key.len()));
    let (hashes, ending) = name.split_at(name.find('.').unwrap_or(name.len()));
    let front = front.chars().map(|c| if c.is_ascii_digit() { '0' } else { c });
    let hashes = hashes.chars().map(|c| if c.is_ascii_hexdigit() { 'x' } else { c });
    front.chain(hashes).chain(ending.chars()).collect()
}

fn folders(scene: &Scene) -> Vec<String> {
    let keys = scene.delivered(LAKE);
    keys.iter().filter_map(|key| key.rsplit_once('/').map(|(folder, _)| folder.to_owned())).collect()
}

#[tokio::test]
async fn accepted_lines_are_delivered_as_they_came_under_the_names_of_permutive() {
    let hourly = of_arrival(&["year", "month", "day", "hour"], true);
    let mut scene = Scene::new(&[&laid_out("format = \"jsonl\"\n", &hourly, "")]);
    let odd = "{ \"name\": \"\\u00e9\",  \"id\": 7 }";
    scene.stage("acme/rows/a.jsonl", format!("{odd}\n{{\"id\":\"x\"}}\n"));
    scene.stage("acme/rows/b.jsonl.gz", gzip(&rows(8, 2)));
    scene.stage("acme/rows/c.json", "[{\"id\":10,\n\"name\":null}]");
    scene.deliver(&[ID]).await;

    let keys = scene.delivered(LAKE);
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert_eq!(
        digits_hidden(&keys[0]),
        "raw/rows/year=0000/month=00/day=00/hour=00/00000000T000000Z-xxxxxxxxxxxxxxxxxxxx-xxxxxxxx.jsonl.gz"
    );
    let file = scene.aws.object(LAKE, &keys[0]).expect("the file");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&file.body[..]).read_to_string(&mut text).expect("gzip");
    assert_eq!(text, format!("{odd}\n{}{{\"id\":10, \"name\":null}}\n", rows(8, 2)));
    assert_eq!(file.attributes.content_type.as_deref(), Some("application/gzip"));
    assert_eq!(file.attributes.tags["records"], "4");

    assert_eq!(scene.staged(), Vec::<String>::new());
    assert_eq!(scene.rejected(ID).len(), 1);
    let receipts = scene.receipts(ID).await;
    assert_eq!((receipts[0].rows, receipts[0].rejected), (4, 1));
    let notices = scene.notices("acme");
    assert_eq!(notices[0]["files"][0]["rows"], 4);
    assert_eq!(notices[0]["files"][0]["bytes"], file.size());
}

#[tokio::test]
async fn lines_in_several_parts_arrive_whole_under_every_compression() {
    for (compression, of) in
        [("gzip", Compression::Gzip), ("zstd", Compression::Zstd), ("none", Compression::None)]
    {
        let layout = format!("format = \"jsonl\"\ncompression = \"{compression}\"\n");
        let mut scene = Scene::new(&[&laid_out(&layout, "", "")]);
        for index in 0..4_u64 {
            scene.stage(&format!("acme/rows/{index}"), crate::scene::noise(index * 1_000, 1_000, 8_192));
        }
        scene.deliver(&[ID]).await;
        let keys = scene.delivered(LAKE);
        assert_eq!(keys.len(), 1, "{compression}: {keys:?}");
        let file = scene.aws.object(LAKE, &keys[0]).expect("the file");
        let mut recount = Recount::new(of).expect("a decompressor");
        recount.push(&file.body).expect("lines");
        assert_eq!(recount.finish(), Ok(4_000), "{compression}");
    }
}

#[tokio::test]
async fn folders_of_a_date_stand_without_names_and_are_told_of_without_them() {
    let mut scene = Scene::new(&[&laid_out("", &of_arrival(&["year", "month", "day", "hour"], false), "")]);
    scene.stage("acme/rows/1", rows(0, 3));
    scene.deliver(&[ID]).await;
    let folders = folders(&scene);
    assert_eq!(folders.len(), 1);
    assert_eq!(digits_hidden(&folders[0]), "raw/rows/0000/00/00/00");
    assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2]);
    assert_eq!(scene.notices("acme")[0]["files"][0]["partition"], serde_json::json!({}));
}

#[tokio::test]
async fn the_folder_of_a_job_is_named_by_its_id() {
    let job = "[[layout.partition]]\nsource = \"job\"\n";
    let mut scene = Scene::new(&[&laid_out("", job, "")]);
    scene.stage("acme/rows/1", rows(0, 3));
    scene.deliver(&[ID]).await;
    scene.stage("acme/rows/2", rows(3, 3));
    scene.deliver(&[ID]).await;
    let mut expected: Vec<String> =
        scene.intents(ID).await.iter().map(|intent| format!("raw/rows/{}", intent.job_id())).collect();
    expected.sort();
    assert_eq!(folders(&scene), expected);
    assert_eq!(expected.len(), 2);
    assert_eq!(scene.delivered_ids(LAKE), (0..6).collect::<Vec<i64>>());
}

#[tokio::test]
async fn a_column_that_the_path_holds_is_left_out_of_files_and_table() {
    let by_name = "[[layout.partition]]\nname = \"name\"\nsource = \"column\"\nfield = \"name\"\n";
    let mut scene = Scene::new(&[&laid_out("partition_columns = \"drop\"\n", by_name, GLUE)]);
    scene.stage("acme/rows/1", "{\"id\":1,\"name\":\"a\"}\n{\"id\":2,\"name\":\"b\"}\n");
    scene.deliver(&[ID]).await;
    assert_eq!(folders(&scene), ["raw/rows/name=a", "raw/rows/name=b"]);
    for key in scene.delivered(LAKE) {
        let file = scene.aws.object(LAKE, &key).expect("the file");
        assert_eq!(crate::parquet_rows::columns(&file.body), 1, "{key}");
    }
    let table = scene.aws.table("222222222222", "acme_raw", "rows").expect("the table").table;
    let names = |columns: &[landfall_core::port::CatalogColumn]| -> Vec<String> {
        columns.iter().map(|column| column.name.clone()).collect()
    };
    assert_eq!(
        (names(&table.columns), names(&table.partition_keys)),
        (vec!["id".to_owned()], vec!["name".to_owned()])
    );
}

#[test]
fn a_configuration_without_these_keys_has_the_hash_it_had_before_there_were_any() {
    let pinned = crate::scene::delivery(&laid_out("", &of_arrival(&["day"], true), GLUE)).pinned();
    let layout = serde_json::to_value(&pinned.layout).expect("JSON");
    let keys: Vec<&String> = layout.as_object().expect("an object").keys().collect();
    let known = [
        "close_grace_seconds",
        "compression",
        "file_name",
        "max_latency_seconds",
        "partition",
        "row_group_bytes",
        "target_bytes",
    ];
    assert_eq!(keys, known);
    assert_eq!(
        layout["partition"],
        serde_json::json!([{ "name": "day", "source": "arrival", "transform": "day" }])
    );
}
