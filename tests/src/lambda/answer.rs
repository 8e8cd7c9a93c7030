//! What a function's answer means for the messages of its batch (`ReportBatchItemFailures`).
//!
//! | answer | result |
//! |---|---|
//! | `{}`, `null`, an empty text, an empty or null list | the whole batch succeeded |
//! | ids of messages of the batch | those come back, the rest is deleted |
//! | anything else: an unknown, empty or null id, another key, another shape | the whole batch failed |

use std::collections::BTreeSet;

use serde_json::Value;

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// These messages come back; the others are deleted. None: the whole batch succeeded.
    Failed(BTreeSet<String>),
    /// All messages come back, for this reason.
    WholeBatch(&'static str),
}

/// Judges a function's answer to a batch of messages with these ids.
pub fn judge(answer: &Value, ids: &BTreeSet<String>) -> Judgement {
    let object = match answer {
        Value::Null => return Judgement::Failed(BTreeSet::new()),
        Value::String(text) if text.is_empty() => return Judgement::Failed(BTreeSet::new()),
        Value::Object(object) => object,
        _ => return Judgement::WholeBatch("the answer is not an object"),
    };
    let items = match object.get("batchItemFailures") {
        None | Some(Value::Null) => return Judgement::Failed(BTreeSet::new()),
        Some(Value::Array(items)) => items,
        Some(_) => return Judgement::WholeBatch("batchItemFailures is not a list"),
    };
    let mut failed = BTreeSet::new();
    for item in items {
        match item.get("itemIdentifier") {
            Some(Value::String(id)) if ids.contains(id) => drop(failed.insert(id.clone())),
            Some(Value::String(_)) => return Judgement::WholeBatch("an itemIdentifier is unknown or empty"),
            _ => return Judgement::WholeBatch("an itemIdentifier is missing or no text"),
        }
    }
    Judgement::Failed(failed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(answer: &Value, expected: Option<&[&str]>) {
        let ids = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        match (judge(answer, &ids), expected) {
            (Judgement::Failed(failed), Some(expected)) => {
                assert_eq!(failed.iter().map(String::as_str).collect::<Vec<_>>(), expected, "{answer}");
            }
            (Judgement::WholeBatch(_), None) => {}
            (judgement, _) => panic!("{answer} was judged {judgement:?}"),
        }
    }

    #[test]
    fn answers_mean_what_aws_makes_of_them() {
        check(&json!({}), Some(&[]));
        check(&json!(null), Some(&[]));
        check(&json!(""), Some(&[]));
        check(&json!({"batchItemFailures": []}), Some(&[]));
        check(&json!({"batchItemFailures": null}), Some(&[]));
        check(&json!({"batchItemFailures": [{"itemIdentifier": "b"}]}), Some(&["b"]));
        check(
            &json!({"batchItemFailures": [{"itemIdentifier": "b"}, {"itemIdentifier": "a"}]}),
            Some(&["a", "b"]),
        );
        check(&json!({"batchItemFailures": [{"itemIdentifier": ""}]}), None);
        check(&json!({"batchItemFailures": [{"itemIdentifier": null}]}), None);
        check(&json!({"batchItemFailures": [{"itemIdentifier": "c"}]}), None);
        check(&json!({"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "c"}]}), None);
        check(&json!({"batchItemFailures": [{"foo": "notvalid"}]}), None);
        check(&json!({"batchItemFailures": ["a"]}), None);
        check(&json!({"batchItemFailures": "a"}), None);
        check(&json!(["a"]), None);
        check(&json!("done"), None);
    }
}
