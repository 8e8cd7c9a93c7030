//! The methods of the ports, held against the calls that were covered: a new method that no run meets is found.

use std::collections::BTreeSet;

use super::sites::Site;

/// The source of the ports.
pub const SOURCE: &str = include_str!("../../../shared/landfall-core/src/port.rs");

/// What shows that a method was called: an operation, and on what, where the operation alone does not tell.
const SHOWN_BY: [(&str, &str, Option<&str>); 19] = [
    ("chunk", "ReadBody", None),
    ("list", "ListObjectsV2", None),
    ("list_uploads", "ListMultipartUploads", None),
    ("head", "HeadObject", None),
    ("get", "GetObject", None),
    ("get_version", "GetObjectVersion", None),
    ("put", "PutObject", None),
    ("delete", "DeleteObject", None),
    ("create_upload", "CreateMultipartUpload", Some("temp")),
    ("upload_part", "UploadPart", None),
    ("complete_upload", "CompleteMultipartUpload", Some("temp")),
    ("abort_upload", "AbortMultipartUpload", None),
    ("copy", "CopyObject", Some("production file")),
    ("copy_across", "CopyObject", Some("quarantine")),
    ("put_tags", "PutObjectTagging", None),
    ("send", "SendMessage", None),
    ("change_visibility", "ChangeMessageVisibility", None),
    ("register", "GetTable", None),
    ("open", "AssumeRole", None),
];

/// Methods that make no call here, and why.
const EXCLUDED: [(&str, &str); 1] = [("now", "reads a clock of this process; nobody is asked")];

/// The methods of all traits of a source.
pub fn methods(source: &str) -> Vec<String> {
    let mut methods = Vec::new();
    let mut inside = false;
    for line in source.lines() {
        inside = (inside || line.starts_with("pub trait ")) && line != "}";
        let name = line.strip_prefix("    fn ").and_then(|rest| rest.split(['(', '<']).next());
        methods.extend(name.filter(|_| inside).map(str::to_owned));
    }
    methods
}

/// Methods that no row says how to tell, and that are not excluded.
pub fn untold(methods: &[String]) -> Vec<String> {
    let told = |method: &str| {
        EXCLUDED.iter().any(|(name, _)| *name == method) || SHOWN_BY.iter().any(|(name, ..)| *name == method)
    };
    methods.iter().filter(|method| !told(method)).cloned().collect()
}

/// Methods that were not met and are not excluded.
pub fn unmet(methods: &[String], met: &BTreeSet<Site>) -> Vec<String> {
    let is_met = |method: &str| {
        EXCLUDED.iter().any(|(name, _)| *name == method)
            || SHOWN_BY.iter().any(|(name, operation, target)| {
                *name == method
                    && met.iter().any(|site| {
                        site.operation == *operation && target.is_none_or(|target| target == site.target)
                    })
            })
    };
    methods.iter().filter(|method| !is_met(method)).cloned().collect()
}
