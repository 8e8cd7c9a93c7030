//! Rules of what files look like and where they stand.

use super::{check_levels, errors, parse};
use crate::layout::{Compression, Layout, PartitionSource};

/// The base document with this layout.
fn layout(rest: &str) -> Layout {
    parse("d.toml", &format!("{}{rest}", super::BASE)).unwrap_or_else(|errors| panic!("{errors}")).layout
}

const GLUE: &str = "[catalog.glue]\ndatabase = \"raw\"\ntable = \"orders\"\n";

#[test]
fn a_level_without_a_name_is_a_folder_of_its_value() {
    let day = "[[layout.partition]]\nsource = \"arrival\"\ntransform = \"year\"\n\
               [[layout.partition]]\nsource = \"arrival\"\ntransform = \"month\"\n\
               [[layout.partition]]\nname = \"shop\"\nsource = \"key\"\n\
               [[layout.partition]]\nsource = \"column\"\nfield = \"note\"\n";
    let read = layout(day);
    let names: Vec<_> = read.partitions.iter().map(|level| level.name.as_deref()).collect();
    assert_eq!(names, [None, None, Some("shop"), None]);
    assert!(!read.is_tabular());
    check_levels(
        "[[layout.partition]]\nsource = \"key\"\n",
        &[
            "25:1: layout.partition[0].field: a level with `source = \"key\"` and without a `name` names the segment of the \
         key in `field`",
        ],
    );
    check_levels(
        "[[layout.partition]]\nname = \"No\"\nsource = \"arrival\"\ntransform = \"year\"\n",
        &[
            "26:8: layout.partition[0].name: expected 1 to 255 lower-case letters, digits and `_`, not beginning with a digit",
        ],
    );
}

#[test]
fn a_level_of_the_job_takes_its_id_as_it_is() {
    for name in ["", "name = \"sync_id\"\n"] {
        let read = layout(&format!("[[layout.partition]]\n{name}source = \"job\"\n"));
        assert_eq!(read.partitions[0].source, PartitionSource::Job);
        assert_eq!(read.is_tabular(), !name.is_empty());
    }
    check_levels(
        "[[layout.partition]]\nsource = \"job\"\nfield = \"id\"\ntransform = \"date\"\n",
        &[
            "27:9: layout.partition[0].field: `field` belongs to `source = \"column\"` and `source = \"key\"` only",
            "28:13: layout.partition[0].transform: a level with `source = \"job\"` takes the id as it is: `identity`",
        ],
    );
}

#[test]
fn a_table_needs_a_name_for_every_level() {
    let level = |name: &str| format!("[[layout.partition]]\n{name}source = \"job\"\n{GLUE}");
    assert_eq!(
        errors(&format!("{}{}", super::BASE, level(""))),
        [
            "27:1: catalog.glue: the partitions of a Glue table are columns: every `layout.partition` needs a `name`, or \
          there is no table"
        ]
    );
    check_levels(&level("name = \"job\"\n"), &[]);
}

#[test]
fn a_column_that_the_path_holds_may_be_dropped_and_give_the_level_its_name() {
    let level = |name: &str, rest: &str| format!("[[layout.partition]]\n{name}source = \"column\"\n{rest}\n");
    let drop = "partition_columns = \"drop\"\n";
    let note = level("name = \"note\"\n", "field = \"note\"");
    let read = layout(&format!("{drop}{note}"));
    assert!(read.drops("note") && !read.drops("id"));
    check_levels(
        &note,
        &["26:8: layout.partition[0].name: the contract has a column `note`: a table cannot have both"],
    );
    // Only a value as it is, under a name, says all that the column has.
    for kept in
        [level("", "field = \"note\""), level("name = \"d\"\n", "field = \"at\"\ntransform = \"date\"")]
    {
        let read = layout(&format!("{drop}{kept}"));
        assert!(!read.drops("note") && !read.drops("at"), "{kept}");
    }
    check_levels(
        &format!("{drop}{}", level("name = \"at\"\n", "field = \"at\"\ntransform = \"date\"")),
        &["27:8: layout.partition[0].name: the contract has a column `at`: a table cannot have both"],
    );
    let all = ["id", "at", "note"]
        .map(|column| level(&format!("name = \"{column}\"\n"), &format!("field = \"{column}\"")));
    check_levels(
        &format!("{drop}{}", all.concat()),
        &["25:21: layout.partition_columns: no column would be left in the files"],
    );
}

#[test]
fn bloom_filters_and_sorting_are_of_columns_with_single_values() {
    let read = layout("bloom_filters = [\"id\", \"note\"]\nsort_by = [\"at desc\", \"id\"]\n");
    assert_eq!(read.bloom_filters, ["id", "note"]);
    let keys: Vec<_> = read.sort_by.iter().map(|key| (key.column.as_str(), key.descending)).collect();
    assert_eq!(keys, [("at", true), ("id", false)]);
    check_levels(
        "bloom_filters = [\"id\", \"id\", \"nope\"]\nsort_by = [\"at asc\"]\n",
        &[
            "25:17: layout.bloom_filters: a column stands twice",
            "25:17: layout.bloom_filters: the contract has no such column; did you mean `note`?",
            "26:11: layout.sort_by: expected the name of a column, with ` desc` behind it where the greatest value comes first",
        ],
    );
    let of = |data_type: &str, line: &str| {
        let column = format!("type = \"{data_type}\"\n");
        errors(&super::changed(&[
            ("type = \"string\"\n", &column),
            ("[layout]\n", &format!("[layout]\n{line}\n")),
        ]))
    };
    for data_type in ["json", "list<int8>", "struct<a: int8>", "map<string, int8>"] {
        let filters = of(data_type, "bloom_filters = [\"note\"]");
        assert_eq!(filters, ["25:17: layout.bloom_filters: a column of single values has a Bloom filter"]);
        let sorted = of(data_type, "sort_by = [\"note\"]");
        assert_eq!(sorted, ["25:11: layout.sort_by: rows are sorted by columns of single values"]);
    }
    for data_type in ["bool", "float64"] {
        assert_eq!(of(data_type, "bloom_filters = [\"note\"]").len(), 1, "{data_type}");
        assert_eq!(of(data_type, "sort_by = [\"note desc\"]"), [""; 0]);
    }
    check_levels(
        "partition_columns = \"drop\"\nsort_by = [\"note\"]\n\
         [[layout.partition]]\nname = \"note\"\nsource = \"column\"\nfield = \"note\"\n",
        &["26:11: layout.sort_by: a column that `partition_columns` drops is not in the files"],
    );
}

#[test]
fn lines_have_a_name_and_a_compression_of_their_own() {
    let read = layout("format = \"jsonl\"\n");
    assert_eq!(
        (read.compression, read.file_name.as_str()),
        (Compression::Gzip, "{timestamp}-{hash}-{worker_id}")
    );
    assert_eq!((read.file_ending(), read.media_type()), (".jsonl.gz", "application/gzip"));
    let of = |compression: &str| layout(&format!("format = \"jsonl\"\ncompression = \"{compression}\"\n"));
    assert_eq!((of("zstd").file_ending(), of("none").file_ending()), (".jsonl.zst", ".jsonl"));
    let parquet = layout("");
    assert_eq!((parquet.file_ending(), parquet.compression), (".snappy.parquet", Compression::Snappy));
    for compression in ["snappy", "lz4"] {
        check_levels(
            &format!("format = \"jsonl\"\ncompression = \"{compression}\"\n"),
            &[
                "26:15: layout.compression: JSON lines are compressed with `gzip` or `zstd`, or not at all: `none`",
            ],
        );
    }
}

#[test]
fn what_lines_cannot_carry_is_refused() {
    check_levels(
        &format!(
            "format = \"jsonl\"\nrow_group_bytes = 65536\nbloom_filters = [\"id\"]\nsort_by = [\"id\"]\n\
             partition_columns = \"keep\"\n{GLUE}"
        ),
        &[
            "26:19: layout.row_group_bytes: this is of Parquet: JSON lines have no such thing",
            "27:17: layout.bloom_filters: this is of Parquet: JSON lines have no such thing",
            "28:11: layout.sort_by: this is of Parquet: JSON lines have no such thing",
            "29:21: layout.partition_columns: JSON lines are delivered as they came: no member is dropped",
            "30:1: catalog.glue: a Glue table is of Parquet files, and `layout.format` is another",
        ],
    );
    let lines = ("[layout]\n", "[layout]\nformat = \"jsonl\"\n");
    super::check(
        &[("[contract]\nversion = 1\n", "[contract]\nversion = 1\non_violation = \"rescue\"\n"), lines],
        &[
            "26:10: layout.format: JSON lines are delivered as they came: there is no column for what `rescue` keeps",
        ],
    );
    super::check(
        &[lines, ("[layout]\n", "[contract.tracking]\n[layout]\n")],
        &[
            "26:10: layout.format: JSON lines are delivered as they came: there are no columns for `contract.tracking`",
        ],
    );
}
