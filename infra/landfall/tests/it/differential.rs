//! Random contracts and records: what landfall writes, as pyarrow and DuckDB read it, beside Python's own reading.

use std::path::Path;
use std::process::Command;

/// As many contracts as a build has time for: `make differential` runs more.
const SEEDS: &str = "16";

#[test]
fn what_is_delivered_is_what_python_reads_in_the_records() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = root.join(".local/venv/bin/python");
    assert!(python.exists(), "`make tools` installs {}", python.display());
    let run = Command::new(python)
        .arg(root.join("infra/embedded/python/differential.py"))
        .args(["--landfall", env!("CARGO_BIN_EXE_landfall"), "--seeds", SEEDS])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    assert!(said.contains(": 0 contracts under which"), "{said}");
}
