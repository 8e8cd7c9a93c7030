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

/// The default of a numeric parameter.
pub fn default_of(parameter: &str) -> usize {
    let lines = resource(parameter);
    let value = lines.iter().find_map(|line| line.trim().strip_prefix("Default: "));
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("{parameter} has no number as default"))
}

/// One statement of a role's policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its name.
    pub sid: String,
    /// What it allows, as written.
    pub actions: Vec<String>,
    /// On what: `StateBucket/log/*`, `PlanQueue`, or the text as written.
    pub resources: Vec<String>,
}

/// The statements of a role's own policy.
pub fn statements(role: &str) -> Vec<Statement> {
    let lines = resource(role);
    let policies = lines.iter().skip_while(|line| line.trim() != "Policies:");
    let mut statements: Vec<Statement> = Vec::new();
    let mut field = "";
    for line in policies.map(|line| line.trim()) {
        let line = line.strip_prefix("- ").unwrap_or(line);
        if let Some(sid) = line.strip_prefix("Sid: ") {
            let (actions, resources) = (Vec::new(), Vec::new());
            statements.push(Statement { sid: sid.to_owned(), actions, resources });
            field = "";
            continue;
        }
        let Some(statement) = statements.last_mut() else { continue };
        let value = match line.split_once(": ").or_else(|| line.strip_suffix(':').map(|name| (name, ""))) {
            Some(("Effect", effect)) => {
                assert_eq!(effect, "Allow", "{role} {}: the reader knows only grants", statement.sid);
                continue;
            }
            Some((name @ ("Action" | "Resource"), value)) => {
                field = if name == "Action" { "Action" } else { "Resource" };
                value
            }
            _ if line.starts_with("!If") => {
                // What follows is the condition's name, until the next statement.
                field = "";
                continue;
            }
            _ if line.starts_with('#') || line == "!Ref AWS::NoValue" => continue,
            _ => line,
        };
        let values = value.trim_matches(['[', ']']).split(", ").filter(|value| !value.is_empty());
        match field {
            "Action" => statement.actions.extend(values.map(str::to_owned)),
            "Resource" => statement.resources.extend(values.map(entity)),
            _ => {}
        }
    }
    assert!(!statements.is_empty(), "{role} has no statements");
    statements
}

/// The resource of the template that a policy names, and the keys of it.
fn entity(text: &str) -> String {
    let text = text.strip_prefix("!GetAtt ").or_else(|| text.strip_prefix("!Sub ")).unwrap_or(text);
    let text = text.strip_prefix("!Ref ").unwrap_or(text);
    text.replace("${", "").replace(".Arn}", "").replace(".Arn", "")
}
