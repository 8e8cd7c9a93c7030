//! No type of an AWS SDK leaves the adapters, under whatever name it goes.

use std::collections::BTreeSet;

use super::sources::code;
use super::{files, none};

/// Crates whose types stay inside.
const SDK: [&str; 5] = ["aws_sdk", "aws_smithy", "aws_config", "aws_types", "aws_credential_types"];

#[test]
fn adapters_show_no_type_of_the_sdk() {
    let of_the_adapters = |path: &String| {
        path.starts_with("shared/landfall-aws/src/")
            && !path.ends_with("tests.rs")
            && !path.ends_with("replay.rs")
    };
    let sources: Vec<(String, Vec<String>)> = files(".rs")
        .into_iter()
        .filter(of_the_adapters)
        .map(|path| (path.clone(), code(&path).into_iter().map(|(_, line)| line).collect()))
        .collect();
    let public: BTreeSet<String> = sources.iter().flat_map(|(_, lines)| public_types(lines)).collect();
    let mut complaints = Vec::new();
    for (path, lines) in &sources {
        let shown = shown(lines, &public).into_iter();
        complaints.extend(shown.map(|signature| format!("{path}: {signature}")));
    }
    none(&complaints);
}

/// The public types of a file.
fn public_types(lines: &[String]) -> Vec<String> {
    let kinds = ["pub struct ", "pub enum "];
    let name = |line: &String| {
        let rest = kinds.iter().find_map(|kind| line.trim_start().strip_prefix(kind))?;
        words(rest).next().map(str::to_owned)
    };
    lines.iter().filter_map(name).collect()
}

/// What the public items of a file show of the SDK. An implementation shows something when its type is public.
fn shown(lines: &[String], public: &BTreeSet<String>) -> Vec<String> {
    let names = imported(lines);
    let shows = |signature: &String| {
        SDK.iter().any(|word| signature.contains(word)) || words(signature).any(|word| names.contains(word))
    };
    let seen = |signature: &String| {
        !signature.starts_with("impl")
            || words(signature.rsplit(" for ").next().unwrap_or(signature)).any(|word| public.contains(word))
    };
    public_signatures(lines).into_iter().filter(seen).filter(shows).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The names that a file's imports give to types of the SDK.
fn imported(lines: &[String]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut open: Option<String> = None;
    for line in lines {
        let line = line.trim();
        if open.is_none() && line.starts_with("use ") && SDK.iter().any(|word| line.contains(word)) {
            open = Some(String::new());
        }
        if let Some(mut import) = open.take() {
            import.push_str(line);
            if line.ends_with(';') {
                names.extend(imported_by(&import));
            } else {
                open = Some(import);
            }
        }
    }
    names
}

/// The names of one import: the last part of each path, or what `as` calls it. Traits are taken in as `_`.
fn imported_by(import: &str) -> Vec<String> {
    import
        .trim_start_matches("use ")
        .trim_end_matches(';')
        .split(['{', '}', ','])
        .filter_map(|part| part.trim().split("::").last())
        .filter_map(|part| part.split(" as ").last())
        .map(|name| name.trim().to_owned())
        .filter(|name| name.starts_with(char::is_uppercase))
        .collect()
}

/// The signatures that others see, each on one line, up to its body: public items and fields, the variants of public
/// enums, the associated types and the heads of implementations.
fn public_signatures(lines: &[String]) -> Vec<String> {
    let mut signatures = Vec::new();
    let mut open: Option<String> = None;
    let mut in_enum = false;
    for line in lines {
        let indented = line.starts_with(' ');
        let line = line.trim();
        if in_enum && indented {
            signatures.push(line.to_owned());
            continue;
        }
        in_enum = line.starts_with("pub enum ");
        let begins = ["pub ", "type ", "impl ", "impl<"].iter().any(|word| line.starts_with(word));
        if open.is_none() && begins {
            open = Some(String::new());
        }
        if let Some(mut signature) = open.take() {
            signature.push_str(line);
            signature.push(' ');
            let field = !signature.contains("fn ") && line.ends_with(',');
            if line.contains('{') || line.ends_with(';') || field {
                signatures.extend(signature.split('{').next().map(|text| text.trim().to_owned()));
            } else {
                open = Some(signature);
            }
        }
    }
    signatures
}

#[test]
fn every_way_out_is_seen() {
    let source = "use aws_sdk_s3::Client;\nuse aws_sdk_s3::primitives::{ByteStream, DateTime as Time};\n\
                  use crate::Bucket;\n\
                  pub struct Store {\n    client: Client,\n    pub shown: aws_sdk_s3::Client,\n}\n\
                  impl Store {\n    pub fn of(\n        client: &Client,\n    ) -> Self {\n\
                  let hidden: ByteStream;\n    }\n    pub(crate) fn inner(c: Client) {}\n\
                  pub fn fine(bucket: Bucket) -> Self {\n    }\n}\n\
                  pub enum Answer {\n    Body(ByteStream),\n    Nothing,\n}\n\
                  impl Body for Store {\n    type Body = ByteStream;\n}\n\
                  impl From<Time> for Store {\n    fn from(time: Time) -> Self {\n}\n}\n\
                  impl From<Time> for Hidden {\n    fn from(time: Time) -> Self {\n}\n}\n\
                  pub use store::Store;\n";
    let lines: Vec<String> = source.lines().map(str::to_owned).collect();
    assert_eq!(
        shown(&lines, &public_types(&lines).into_iter().collect()),
        [
            "pub shown: aws_sdk_s3::Client,",
            "pub fn of( client: &Client, ) -> Self",
            "Body(ByteStream),",
            "type Body = ByteStream;",
            "impl From<Time> for Store",
        ]
    );
}
