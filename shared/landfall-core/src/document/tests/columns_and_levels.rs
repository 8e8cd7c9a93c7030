//! Rules of the contract's columns and of the layout's levels.

use super::{changed, check, check_levels, errors};

/// The base document with its third column (lines 21 to 23) replaced from its type on.
#[track_caller]
fn check_column(rest: &str, expected: &[&str]) {
    check(&[("type = \"string\"\n", rest)], expected);
}

#[test]
fn columns_have_unique_names_and_members() {
    let columns = "[[contract.column]]\nname = \"Note\"\ntype = \"json\"\nfrom = \"other\"\n\
        [[contract.column]]\nname = \"copy\"\ntype = \"json\"\nfrom = \"note\"\n\
        [[contract.column]]\nname = \"no-name\"\ntype = \"json\"\nfrom = \"\"\n";
    check(
        &[("[layout]\n", &format!("{columns}[layout]\n"))],
        &[
            "25:8: contract.column[3].name: this name is taken by `contract.column[2].name`: names differ by more than case",
            "31:8: contract.column[4].from: this member of the record is read already by `contract.column[2].name`",
            "33:8: contract.column[5].name: expected 1 to 255 letters, digits and `_`, not beginning with a digit",
            "35:8: contract.column[5].from: expected the name of a member",
        ],
    );
    let text = changed(&[]).replace("[[contract.column]]", "[[contract.colum]]");
    assert_eq!(
        errors(&text),
        [
            "13:1: contract.column: this key is missing",
            "15:12: contract.colum: unknown key; did you mean `column`?",
        ]
    );
    assert_eq!(
        errors("contract = { version = 1, column = [] }").last().unwrap(),
        "1:36: contract.column: a contract has at least one column"
    );
}

#[test]
fn rules_of_a_column_fit_its_type() {
    let only_strings = "only string columns have lengths and a `pattern`";
    check_column(
        "type = \"string\"\nformat = \"iso\"\n",
        &["24:10: contract.column[2].format: only date and timestamp columns have a `format`"],
    );
    check_column(
        "type = \"int8\"\nmin = \"-129\"\nmax = \"127\"\n",
        &["24:7: contract.column[2].min: expected a whole number that fits `int8`, the type of the column"],
    );
    check_column(
        "type = \"int8\"\nmin = 1\n",
        &["24:7: contract.column[2].min: expected text in quotes, found a whole number"],
    );
    check_column(
        "type = \"decimal(6,2)\"\nmin = \"10\"\nmax = \"9.99\"\n",
        &["25:7: contract.column[2].max: `max` is less than `min`"],
    );
    check_column(
        "type = \"string\"\nmax = \"z\"\n",
        &["24:7: contract.column[2].max: only numbers, dates, times and timestamps have a `min` and `max`"],
    );
    check_column(
        "type = \"string\"\npattern = \"(\"\n",
        &["24:11: contract.column[2].pattern: not a regular expression: unclosed group"],
    );
    check_column(
        "type = \"json\"\npattern = \"a\"\nmin_length = 1\n",
        &[
            &format!("24:11: contract.column[2].pattern: {only_strings}"),
            &format!("25:14: contract.column[2].min_length: {only_strings}"),
        ],
    );
    check_column(
        "type = \"string\"\nmin_length = 2\nmax_length = 1\n",
        &["25:14: contract.column[2].max_length: `max_length` is less than `min_length`"],
    );
    check_column(
        "type = \"string\"\none_of = [\"a\", 1]\n",
        &["24:10: contract.column[2].one_of: expected text in quotes, found a whole number"],
    );
    check_column(
        "type = \"string\"\none_of = []\n",
        &["24:10: contract.column[2].one_of: a list of allowed values has at least one"],
    );
    check_column(
        "type = \"string\"\none_of = [\"a\", \"b\", \"a\"]\n",
        &["24:10: contract.column[2].one_of: an allowed value stands twice"],
    );
    check_column(
        "type = \"uint8\"\none_of = [\"1\", \"256\"]\n",
        &["24:10: contract.column[2].one_of: expected whole numbers that fit `uint8`, as texts in quotes"],
    );
    check_column(
        "type = \"bool\"\none_of = [\"true\"]\n",
        &["24:10: contract.column[2].one_of: only string and integer columns have `one_of`"],
    );
    check_column(
        &format!("type = \"string\"\ndescription = \"{}\"\n", "x".repeat(256)),
        &[
            "24:15: contract.column[2].description: expected at most 255 characters on one line: it becomes a catalog comment",
        ],
    );
    check_column("type = \"struct<\\\"a b\\\": list<int8>, _partition: map<string, json>>\"\n", &[]);
}

#[test]
fn numbers_of_the_layout_have_ranges() {
    check_levels(
        "target_bytes = 65535\nmax_latency_seconds = 0\nrow_group_bytes = 0x1_0000\n",
        &[
            "25:16: layout.target_bytes: expected a whole number from 65536 to 5368709120",
            "26:23: layout.max_latency_seconds: expected a whole number from 1 to 86400",
        ],
    );
    check_levels("target_bytes = 65_536\n", &[]);
    check_levels(
        "target_bytes = 65_536\nrow_group_bytes = 65_537\n",
        &[
            "26:19: layout.row_group_bytes: a row group is not larger than the file: `row_group_bytes` exceeds `target_bytes`",
        ],
    );
    check_levels(
        "row_group_bytes = 134_217_729\n",
        &[
            "25:19: layout.row_group_bytes: a row group is not larger than the file: `row_group_bytes` exceeds `target_bytes`",
        ],
    );
}

/// One level as TOML.
fn level(name: &str, rest: &str) -> String {
    format!("[[layout.partition]]\nname = \"{name}\"\n{rest}\n")
}

#[test]
fn levels_have_names_of_their_own() {
    let arrival = "source = \"arrival\"\ntransform = \"date\"";
    let levels =
        level("dt", arrival) + &level("dt", arrival) + &level("Dt", arrival) + &level("note", arrival);
    check_levels(
        &levels,
        &[
            "30:8: layout.partition[1].name: this name is taken by `layout.partition[0].name`",
            "34:8: layout.partition[2].name: expected 1 to 255 lower-case letters, digits and `_`, not beginning with a digit",
            "38:8: layout.partition[3].name: the contract has a column `note`: a table cannot have both",
        ],
    );
}

#[test]
fn levels_of_a_column_fit_its_type() {
    let of = |rest: &str| level("p", &format!("source = \"column\"\n{rest}"));
    for right in [
        "field = \"at\"\ntransform = \"hour\"",
        "field = \"at\"\ntransform = \"date\"",
        "field = \"id\"",
        "field = \"note\"",
    ] {
        check_levels(&of(right), &[]);
    }
    check_levels(
        &of(""),
        &["25:1: layout.partition[0].field: a level with `source = \"column\"` names the column in `field`"],
    );
    check_levels(
        &of("field = \"nope\""),
        &["28:9: layout.partition[0].field: the contract has no such column; did you mean `note`?"],
    );
    check_levels(
        &of("field = \"note\"\ntransform = \"year\""),
        &["29:13: layout.partition[0].transform: this transform needs a date or timestamp column"],
    );
    let on = |data_type: &str, transform: &str, expected: &[&str]| {
        let column = format!("type = \"{data_type}\"\n");
        let levels = of(&format!("field = \"note\"\ntransform = \"{transform}\""));
        check(&[("type = \"string\"\n", &column), ("[layout]\n", &format!("[layout]\n{levels}"))], expected);
    };
    on("date", "day", &[]);
    on("date", "hour", &["29:13: layout.partition[0].transform: `hour` needs a timestamp column"]);
    on("bool", "identity", &[]);
    for data_type in
        ["json", "list<int8>", "struct<a: int8>", "map<string, int8>", "float32", "float64", "binary"]
    {
        on(
            data_type,
            "identity",
            &["29:13: layout.partition[0].transform: values of this column's type cannot name a partition"],
        );
    }
    // A column that is wrong itself brings up no second error.
    on("nonsense", "hour", &["23:8: contract.column[2].type: unknown type `nonsense` at character 9"]);
    on(
        "date",
        "hours",
        &["29:13: layout.partition[0].transform: expected one of `identity`, `year`, `month`, \
         `day`, `hour`, `date`"],
    );
}

#[test]
fn levels_of_arrival_and_key_take_what_belongs_to_them() {
    for right in
        ["source = \"arrival\"\ntransform = \"hour\"", "source = \"key\"", "source = \"key\"\nfield = \"Dt\""]
    {
        check_levels(&level("p", right), &[]);
    }
    check_levels(
        &level("p", "source = \"arrival\"\nfield = \"at\""),
        &[
            "25:1: layout.partition[0].transform: a level with `source = \"arrival\"` needs one of `year`, `month`, `day`, \
         `hour`, `date`",
            "28:9: layout.partition[0].field: `field` belongs to `source = \"column\"` and `source = \"key\"` only",
        ],
    );
    check_levels(
        &level("p", "source = \"key\"\nfield = \"a=b\"\ntransform = \"date\""),
        &[
            "28:9: layout.partition[0].field: expected the name of a `name=value` segment, without `/` and `=`",
            "29:13: layout.partition[0].transform: a level with `source = \"key\"` takes the value as it is: `identity`",
        ],
    );
}

#[test]
fn tracking_columns_fit_the_contract() {
    let key = "name = \"id\"\ntype = \"int64\"\nnullable = false\n";
    let tracked = |tracking: &str, expected: &[&str]| {
        let tracking = format!("[contract.tracking]\n{tracking}[layout]\n");
        check(&[("name = \"id\"\ntype = \"int64\"\n", key), ("[layout]\n", &tracking)], expected);
    };
    tracked("", &[]);
    tracked("prefix = \"_x_\"\nkey = [\"id\"]\n", &[]);
    tracked(
        "prefix = \"9\"\nkey = [\"none\"]\ndeleted = \"note\"\n",
        &[
            "26:10: contract.tracking.prefix: expected 1 to 64 letters, digits and `_`, not beginning with a digit",
            "27:7: contract.tracking.key: no column has this name",
            "28:11: contract.tracking.deleted: only a boolean column says whether the source deleted the record",
        ],
    );
    tracked("key = [\"id\", \"id\"]\n", &["26:7: contract.tracking.key: a column stands twice"]);
    tracked("key = [\"note\"]\n", &["26:7: contract.tracking.key: a column of a key has `nullable = false`"]);
    tracked("deleted = \"gone\"\n", &["26:11: contract.tracking.deleted: no column has this name"]);
    tracked("prefx = \"a\"\n", &["26:1: contract.tracking.prefx: unknown key; did you mean `prefix`?"]);
    check(
        &[
            ("name = \"note\"", "name = \"_X_Index\""),
            ("[layout]\n", "[contract.tracking]\nprefix = \"_x_\"\n[layout]\n"),
        ],
        &[
            "25:10: contract.tracking.prefix: with `_x_` a tracking column would have the name of the column `_X_Index`",
        ],
    );
    // The prefix that is not named can be in the way as well.
    check(
        &[("name = \"note\"", "name = \"_landfall_id\""), ("[layout]\n", "[contract.tracking]\n[layout]\n")],
        &[
            "24:1: contract.tracking.prefix: with `_landfall_` a tracking column would have the name of the column \
             `_landfall_id`",
        ],
    );
    let arrival = "source = \"arrival\"\ntransform = \"date\"";
    let hidden = format!("[contract.tracking]\n[layout]\n{}", level("_landfall_id", arrival));
    check(
        &[("[layout]\n", &hidden)],
        &[
            "27:8: layout.partition[0].name: the files have a column `_landfall_id` of landfall's own: a table cannot have both",
        ],
    );
    for kind in ["float64", "json", "list<int64>"] {
        let column = format!("name = \"id\"\ntype = \"{kind}\"\nnullable = false\n");
        let text = changed(&[
            ("name = \"id\"\ntype = \"int64\"\n", &column),
            ("[layout]\n", "[contract.tracking]\nkey = [\"id\"]\n[layout]\n"),
        ]);
        assert_eq!(errors(&text).len(), 1, "{kind}: {:?}", errors(&text));
    }
}

#[test]
fn unique_keys_are_of_columns_that_tell_records_apart() {
    let key = "name = \"id\"\ntype = \"int64\"\nnullable = false\n";
    let keyed = |columns: &str, expected: &[&str]| {
        let contract = format!("[contract]\nunique_key = {columns}\nversion = 1\n");
        check(
            &[("name = \"id\"\ntype = \"int64\"\n", key), ("[contract]\nversion = 1\n", &contract)],
            expected,
        );
    };
    keyed("[\"id\"]", &[]);
    keyed("[]", &["14:14: contract.unique_key: a key has at least one column"]);
    keyed("[\"id\", \"id\"]", &["14:14: contract.unique_key: a column stands twice"]);
    keyed("[\"none\"]", &["14:14: contract.unique_key: no column has this name"]);
    keyed("[\"note\"]", &["14:14: contract.unique_key: a column of a key has `nullable = false`"]);
}

#[test]
fn what_is_rescued_has_a_column_of_its_own() {
    let rescue = "[contract]\nversion = 1\non_violation = \"rescue\"\n";
    check(&[("[contract]\nversion = 1\n", rescue)], &[]);
    check(
        &[("[contract]\nversion = 1\n", rescue), ("name = \"note\"", "name = \"_RESCUED\"")],
        &[
            "15:16: contract.on_violation: the column `_rescued` is what this policy rescues into: name yours otherwise",
        ],
    );
}
