//! Rules of what files look like and where they stand.

use super::{check_levels, errors, parse};
use crate::layout::{Layout, PartitionSource};

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
