//! The JSON Schema of a delivery document: generated from the types, with the rules of single values.

use serde_json::{Map, Value, json};

use super::rules;
use crate::delivery::Delivery;

/// The JSON Schema (2020-12) of a delivery document, committed as `docs/delivery.schema.json`.
///
/// It says what an editor can check while a document is written; rules over several keys are [`super::parse`]'s.
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(Delivery).to_value();
    for (definition, property, constraints) in constraints() {
        if let Some(target) = property_of(&mut schema, definition, property) {
            target.extend(constraints);
        }
    }
    schema
}

/// What the types alone do not say: type, property, and the keywords to add.
fn constraints() -> Vec<(&'static str, &'static str, Map<String, Value>)> {
    let pattern = |rule: &rules::TextRule| json!({ "pattern": rule.pattern });
    let prefix = json!({ "pattern": rules::PREFIX.pattern, "maxLength": rules::MAX_PREFIX_BYTES });
    let range = |least: u64, most: u64| json!({ "minimum": least, "maximum": most });
    let (seconds, grace) = (rules::MAX_LATENCY_SECONDS, rules::CLOSE_GRACE_SECONDS);
    [
        ("Delivery", "version", json!({ "const": rules::DOCUMENT_VERSION })),
        ("Delivery", "id", pattern(&rules::ID)),
        ("Delivery", "tenant", pattern(&rules::ID)),
        ("Delivery", "dataset", pattern(&rules::DATASET)),
        ("Source", "prefix", prefix.clone()),
        ("DestinationConfig", "role_arn", pattern(&rules::ROLE_ARN)),
        ("DestinationConfig", "external_id", pattern(&rules::EXTERNAL_ID)),
        ("DestinationConfig", "region", pattern(&rules::REGION)),
        ("DestinationConfig", "bucket", pattern(&rules::BUCKET)),
        ("DestinationConfig", "prefix", prefix.clone()),
        ("DestinationConfig", "temp_prefix", prefix),
        ("DestinationConfig", "kms_key_arn", pattern(&rules::KMS_KEY_ARN)),
        ("GlueTable", "database", pattern(&rules::GLUE_NAME)),
        ("GlueTable", "table", pattern(&rules::GLUE_NAME)),
        ("NotifyQueue", "arn", pattern(&rules::QUEUE_ARN)),
        ("Contract", "version", json!({ "minimum": rules::CONTRACT_VERSION.start() })),
        ("Contract", "column", json!({ "minItems": 1 })),
        ("Contract", "unique_key", json!({ "minItems": 1, "uniqueItems": true })),
        ("Tracking", "prefix", pattern(&rules::COLUMN_PREFIX)),
        ("Tracking", "key", json!({ "uniqueItems": true })),
        ("Column", "name", pattern(&rules::COLUMN_NAME)),
        ("Column", "from", json!({ "minLength": 1 })),
        ("Column", "description", json!({ "maxLength": rules::MAX_DESCRIPTION })),
        ("Column", "one_of", json!({ "minItems": 1, "uniqueItems": true })),
        (
            "Layout",
            "file_name",
            json!({ "minLength": 1, "maxLength": crate::file_name::MAX_PATTERN_CHARACTERS }),
        ),
        ("Layout", "target_bytes", range(*rules::TARGET_BYTES.start(), *rules::TARGET_BYTES.end())),
        ("Layout", "max_latency_seconds", range((*seconds.start()).into(), (*seconds.end()).into())),
        ("Layout", "close_grace_seconds", range((*grace.start()).into(), (*grace.end()).into())),
        ("Layout", "row_group_bytes", range(*rules::ROW_GROUP_BYTES.start(), *rules::ROW_GROUP_BYTES.end())),
        ("Layout", "bloom_filters", json!({ "uniqueItems": true, "maxItems": rules::BLOOM_FILTERS })),
        ("PartitionLevel", "name", pattern(&rules::LEVEL_NAME)),
    ]
    .into_iter()
    .filter_map(|(definition, property, keywords)| match keywords {
        Value::Object(keywords) => Some((definition, property, keywords)),
        _ => None,
    })
    .collect()
}

fn property_of<'s>(
    schema: &'s mut Value,
    definition: &str,
    property: &str,
) -> Option<&'s mut Map<String, Value>> {
    let owner =
        if definition == "Delivery" { schema } else { schema.get_mut("$defs")?.get_mut(definition)? };
    owner.get_mut("properties")?.get_mut(property)?.as_object_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_constraint_finds_its_property() {
        let mut schema = json_schema();
        for (definition, property, keywords) in constraints() {
            let target = property_of(&mut schema, definition, property);
            let target = target.unwrap_or_else(|| panic!("the schema has no {definition}.{property}"));
            for (keyword, value) in keywords {
                assert_eq!(target.get(&keyword), Some(&value), "{definition}.{property}");
            }
        }
    }

    #[test]
    fn the_committed_schema_is_the_one_of_the_types() {
        let committed: Value =
            serde_json::from_str(include_str!("../../../../docs/delivery.schema.json")).unwrap();
        assert!(
            committed == json_schema(),
            "docs/delivery.schema.json differs from the types: run `cargo run -p landfall -- schema > docs/delivery.schema.json`"
        );
    }

    /// Dotted paths of all keys, with their schemas.
    fn keys(schema: &Value) -> Vec<(String, Value)> {
        fn walk(root: &Value, node: &Value, path: &str, found: &mut Vec<(String, Value)>) {
            let reference = node
                .get("$ref")
                .or_else(|| node.pointer("/anyOf/0/$ref"))
                .or_else(|| node.pointer("/items/$ref"));
            if let Some(name) = reference.and_then(Value::as_str) {
                let target = root.pointer(name.trim_start_matches('#')).unwrap();
                walk(root, target, path, found);
                return;
            }
            for (key, child) in node.get("properties").and_then(Value::as_object).into_iter().flatten() {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                found.push((path.clone(), child.clone()));
                walk(root, child, &path, found);
            }
        }
        let mut found = Vec::new();
        walk(schema, schema, "", &mut found);
        found
    }

    #[test]
    fn every_key_and_its_default_stand_in_the_configuration_document() {
        let document = include_str!("../../../../docs/configuration.md");
        let keys = keys(&json_schema());
        assert!(keys.len() > 45, "the walk lost keys: {}", keys.len());
        for (path, schema) in &keys {
            let row = document.lines().find(|line| line.starts_with(&format!("| `{path}` |")));
            let row = row.unwrap_or_else(|| panic!("docs/configuration.md has no row for `{path}`"));
            let default = match schema.get("default") {
                Some(Value::String(text)) => format!("`\"{text}\"`"),
                Some(value @ (Value::Bool(_) | Value::Number(_))) => format!("`{value}`"),
                _ => continue,
            };
            assert!(row.contains(&default), "the row of `{path}` does not name its default {default}");
        }
        let section = document.split("\n## ").find(|section| section.starts_with("Keys\n")).unwrap();
        for line in section.lines().filter(|line| line.starts_with("| `")) {
            let path = line.split('`').nth(1).unwrap();
            let known = keys.iter().any(|(key, _)| key == path);
            assert!(known, "docs/configuration.md names `{path}`, which the schema does not have");
        }
    }

    #[test]
    fn every_choice_stands_in_the_configuration_document() {
        fn choices(node: &Value, found: &mut Vec<String>) {
            match node {
                Value::Object(members) => {
                    found.extend(members.get("const").and_then(Value::as_str).map(str::to_owned));
                    let listed = members.get("enum").and_then(Value::as_array).into_iter().flatten();
                    found.extend(listed.filter_map(Value::as_str).map(str::to_owned));
                    members.values().for_each(|member| choices(member, found));
                }
                Value::Array(items) => items.iter().for_each(|item| choices(item, found)),
                _ => {}
            }
        }
        let document = include_str!("../../../../docs/configuration.md");
        let mut found = Vec::new();
        choices(&json_schema(), &mut found);
        assert!(found.len() > 20, "the walk lost choices: {found:?}");
        for choice in found {
            assert!(
                document.contains(&format!("`{choice}`")) || document.contains(&format!("`\"{choice}\"`")),
                "{choice}"
            );
        }
    }
}
