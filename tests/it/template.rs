//! What infra/template.yaml says, read as text: the tests hold the code to it without deploying it.

use std::path::Path;

/// The template.
fn text() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/template.yaml");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// The lines of one resource, without its name.
pub fn resource(name: &str) -> Vec<String> {
    let text = text();
    let head = format!("  {name}:");
    let mut lines = text.lines().skip_while(|line| *line != head);
    assert!(lines.next().is_some(), "the template has no resource {name}");
    lines.take_while(|line| line.is_empty() || line.starts_with("   ")).map(str::to_owned).collect()
}

/// After how many receives a message of a queue is a dead letter.
pub fn max_receive_count(queue: &str) -> u32 {
    let lines = resource(queue);
    let count = lines.iter().find_map(|line| line.trim().strip_prefix("maxReceiveCount: "));
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{queue} has no maxReceiveCount"))
}
