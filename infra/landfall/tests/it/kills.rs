//! Functions that are killed while they deliver: the built ones, in the embedded AWS.

use std::process::Command;

/// A few kills, of those whose work is done again as soon as its message comes back. A committer that is killed between a
/// copy and its record is waited for: `make kill-test` kills it too.
#[test]
fn functions_that_are_killed_while_they_work_lose_and_repeat_nothing() {
    let run = Command::new(env!("CARGO_BIN_EXE_landfall"))
        .args(["kill-test", "--kills", "5", "--seed", "7", "--only", "compactor", "notifier"])
        .output()
        .unwrap();
    let (text, errors) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert_eq!(run.status.code(), Some(0), "{text}{errors}");
    assert!(text.contains("5 kills"), "{text}");
    assert!(text.contains("0 lost, 0 duplicated, 0 foreign"), "{text}");
}
