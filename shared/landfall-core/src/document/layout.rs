//! The `[layout]` section: files, sizes and partition levels.

use std::collections::BTreeMap;

use super::columns::{check_bloom_filters, check_sort_by, column_type};
use super::contract::KnownColumn;
use super::rules;
use super::section::{Field, Section};
use crate::contract::{Contract, ViolationPolicy};
use crate::data_type::DataType;
use crate::file_name::FileNamePattern;
use crate::layout::{
    Compression, FileFormat, Layout, PartitionColumns, PartitionLevel, PartitionSource, PartitionTransform,
    SortKey, default_close_grace_seconds, default_file_name, default_lines_file_name,
    default_max_latency_seconds, default_row_group_bytes, default_target_bytes,
};

/// Reads the section; levels are held against the contract's columns where those are known.
pub(super) fn read(
    mut section: Section<'_>,
    contract: Option<&Contract>,
    columns: Option<&[KnownColumn]>,
) -> Option<Layout> {
    let format: Field<'_, FileFormat> = section.parsed("format");
    let compression: Field<'_, Compression> = section.parsed("compression");
    let file_name = section.text("file_name").check(|text| FileNamePattern::parse(text).map(drop));
    let target_bytes = section.number("target_bytes", &rules::TARGET_BYTES);
    let max_latency = section.number("max_latency_seconds", &rules::MAX_LATENCY_SECONDS);
    let close_grace = section.number("close_grace_seconds", &rules::CLOSE_GRACE_SECONDS);
    let row_group_bytes = section.number("row_group_bytes", &rules::ROW_GROUP_BYTES);
    let bloom_filters = section.texts("bloom_filters");
    let sort_by = section.texts("sort_by").and_then(|texts| {
        let keys = texts.into_iter().map(SortKey::try_from);
        keys.collect::<Result<Vec<SortKey>, _>>().map_err(|error| error.to_string())
    });
    let partition_columns: Field<'_, PartitionColumns> = section.parsed("partition_columns");
    let list = section.sections("partition");
    section.finish();

    let lines = format.get() == Some(&FileFormat::Jsonl);
    if lines {
        format_is_lines(&format, &compression, contract);
        let of_parquet = "this is of Parquet: JSON lines have no such thing";
        refuse_present(&row_group_bytes, of_parquet);
        refuse_present(&bloom_filters, of_parquet);
        refuse_present(&sort_by, of_parquet);
        refuse_present(&partition_columns, "JSON lines are delivered as they came: no member is dropped");
    }
    if let Some(group) = row_group_bytes.get()
        && (target_bytes.is_absent() || target_bytes.get().is_some())
        && *group > target_bytes.get().copied().unwrap_or_else(default_target_bytes)
    {
        row_group_bytes
            .refuse("a row group is not larger than the file: `row_group_bytes` exceeds `target_bytes`");
    }
    let (names, levels): (Vec<_>, Vec<_>) =
        list.or_default()?.into_iter().map(|section| level(section, columns)).unzip();
    let dropped: Vec<&str> = levels
        .iter()
        .flatten()
        .filter(|level| partition_columns.get() == Some(&PartitionColumns::Drop) && level.replaces_column())
        .map(PartitionLevel::reads)
        .collect();
    names_are_unique(&names, columns.unwrap_or_default(), &dropped);
    names_are_not_ours(&names, contract);
    check_bloom_filters(&bloom_filters, columns, &dropped);
    check_sort_by(&sort_by, columns, &dropped);
    let stays = |column: &KnownColumn| column.name.as_deref().is_none_or(|name| !dropped.contains(&name));
    if !dropped.is_empty() && columns.is_some_and(|columns| !columns.iter().any(stays)) {
        partition_columns.refuse("no column would be left in the files");
    }

    Some(Layout {
        format: format.or_default()?,
        compression: compression
            .or_else(|| if lines { Compression::Gzip } else { Compression::default() })?,
        file_name: file_name.or_else(if lines { default_lines_file_name } else { default_file_name })?,
        target_bytes: target_bytes.or_else(default_target_bytes)?,
        max_latency_seconds: max_latency.or_else(default_max_latency_seconds)?,
        close_grace_seconds: close_grace.or_else(default_close_grace_seconds)?,
        row_group_bytes: row_group_bytes.or_else(default_row_group_bytes)?,
        bloom_filters: bloom_filters.or_default()?,
        sort_by: sort_by.or_default()?,
        partition_columns: partition_columns.or_default()?,
        partitions: levels.into_iter().collect::<Option<Vec<PartitionLevel>>>()?,
    })
}

/// Lines carry the text of records and nothing else.
fn format_is_lines(
    format: &Field<'_, FileFormat>,
    compression: &Field<'_, Compression>,
    contract: Option<&Contract>,
) {
    if matches!(compression.get(), Some(Compression::Snappy | Compression::Lz4)) {
        compression.refuse("JSON lines are compressed with `gzip` or `zstd`, or not at all: `none`");
    }
    let Some(contract) = contract else { return };
    if contract.on_violation == ViolationPolicy::Rescue {
        format.refuse("JSON lines are delivered as they came: there is no column for what `rescue` keeps");
    }
    if contract.tracking.is_some() {
        format.refuse("JSON lines are delivered as they came: there are no columns for `contract.tracking`");
    }
}

fn refuse_present<T>(field: &Field<'_, T>, why: &str) {
    if field.is_present() {
        field.refuse(why);
    }
}

fn level<'a>(
    mut section: Section<'a>,
    columns: Option<&[KnownColumn]>,
) -> (Field<'a, String>, Option<PartitionLevel>) {
    let name = section.text("name").check(|text| rules::LEVEL_NAME.check(text));
    let source: Field<'_, PartitionSource> = section.parsed("source").required();
    let field = section.text("field");
    let transform: Field<'_, PartitionTransform> = section.parsed("transform");
    section.finish();

    match source.get() {
        Some(PartitionSource::Column) => {
            if field.is_absent() {
                field.refuse("a level with `source = \"column\"` names the column in `field`");
            }
            if let Some(data_type) = field.get().and_then(|name| column_type(&field, name, columns)) {
                fits(data_type, &transform);
            }
        }
        Some(PartitionSource::Arrival) => {
            if field.is_present() {
                field.refuse("`field` belongs to `source = \"column\"` and `source = \"key\"` only");
            }
            if transform.is_absent() || transform.get() == Some(&PartitionTransform::Identity) {
                transform.refuse(
                    "a level with `source = \"arrival\"` needs one of `year`, `month`, `day`, `hour`, `date`",
                );
            }
        }
        Some(PartitionSource::Key) => {
            if let Some(Err(message)) = field.get().map(|text| rules::KEY_SEGMENT.check(text)) {
                field.refuse(message);
            }
            if name.is_absent() && field.is_absent() {
                field.refuse(
                    "a level with `source = \"key\"` and without a `name` names the segment of the key in `field`",
                );
            }
            if transform.get().is_some_and(|transform| *transform != PartitionTransform::Identity) {
                transform.refuse("a level with `source = \"key\"` takes the value as it is: `identity`");
            }
        }
        Some(PartitionSource::Job) => {
            if field.is_present() {
                field.refuse("`field` belongs to `source = \"column\"` and `source = \"key\"` only");
            }
            if transform.get().is_some_and(|transform| *transform != PartitionTransform::Identity) {
                transform.refuse("a level with `source = \"job\"` takes the id as it is: `identity`");
            }
        }
        None => {}
    }

    let level_name = name.get().cloned();
    let is_named = name.is_present();
    let read = || {
        Some(PartitionLevel {
            // A name that is refused has been reported.
            name: if is_named { Some(level_name?) } else { None },
            source: source.value()?,
            field: field.optional()?,
            transform: transform.or_default()?,
        })
    };
    let level = read();
    (name, level)
}

fn fits(data_type: &DataType, transform: &Field<'_, PartitionTransform>) {
    let chosen = match (transform.get(), transform.is_absent()) {
        (Some(chosen), _) => *chosen,
        (None, true) => PartitionTransform::default(),
        (None, false) => return,
    };
    let is_timestamp = matches!(data_type, DataType::Timestamp(_));
    let problem = match chosen {
        PartitionTransform::Identity => matches!(
            data_type,
            DataType::Json
                | DataType::List(_)
                | DataType::Struct(_)
                | DataType::Map(_)
                | DataType::Float32
                | DataType::Float64
                | DataType::Binary
        )
        .then_some("values of this column's type cannot name a partition"),
        PartitionTransform::Hour => (!is_timestamp).then_some("`hour` needs a timestamp column"),
        PartitionTransform::Year
        | PartitionTransform::Month
        | PartitionTransform::Day
        | PartitionTransform::Date => (!is_timestamp && !matches!(data_type, DataType::Date))
            .then_some("this transform needs a date or timestamp column"),
    };
    if let Some(message) = problem {
        transform.refuse(message);
    }
}

/// A level's name is the name of a column of the table: it is unique among levels and columns, regardless of case. Columns
/// that are left out of the files count no more.
fn names_are_unique(levels: &[Field<'_, String>], columns: &[KnownColumn], dropped: &[&str]) {
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for name in levels {
        let Some(text) = name.get() else { continue };
        if let Some(first) = taken.insert(text, &name.place().path) {
            name.refuse(format!("this name is taken by `{first}`"));
        }
        let same = |column: &&KnownColumn| {
            column
                .name
                .as_ref()
                .is_some_and(|other| other.eq_ignore_ascii_case(text) && !dropped.contains(&other.as_str()))
        };
        if let Some(column) = columns.iter().find(same) {
            let other = column.name.as_deref().unwrap_or_default();
            name.refuse(format!("the contract has a column `{other}`: a table cannot have both"));
        }
    }
}

/// Nor is it the name of a column that landfall adds: readers of Hive paths would see the level's value in its place.
fn names_are_not_ours(levels: &[Field<'_, String>], contract: Option<&Contract>) {
    let ours = contract.map(Contract::own_columns).unwrap_or_default();
    for name in levels {
        let Some(text) = name.get() else { continue };
        if let Some(column) = ours.iter().find(|column| column.name.eq_ignore_ascii_case(text)) {
            name.refuse(format!(
                "the files have a column `{}` of landfall's own: a table cannot have both",
                column.name
            ));
        }
    }
}
