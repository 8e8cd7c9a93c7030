//! The whole chain through `landfall local`: the built functions in the embedded AWS.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use landfall::Report;
use landfall_embedded::Project;

use crate::{CUT_GZIP, document_text, line, write};

fn landfall(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_landfall")).args(arguments).output().unwrap()
}

/// Rewrites a Parquet file without its last row.
fn remove_a_row(project: &Project, file: &Path) {
    let script = "import sys, pyarrow.parquet as pq; t = pq.read_table(sys.argv[1], partitioning=None); \
                  pq.write_table(t.slice(0, t.num_rows - 1), sys.argv[1])";
    let python = project.python().unwrap();
    assert!(Command::new(python).args(["-c", script]).arg(file).status().unwrap().success());
}

#[test]
fn local_files_are_delivered_and_every_row_is_accounted_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    write(folder.path(), "sales.toml", document_text("sales"));
    // The one takes in a member that it does not name.
    let evolving =
        document_text("stock").replace("version = 2\n", "version = 2\non_violation = \"evolve\"\n");
    write(folder.path(), "stock.toml", evolving);
    let body: String = (0..300).map(|id| line(id, 18 + u8::try_from(id % 2).unwrap())).collect();
    write(folder.path(), "in/acme/sales/a b+ü.jsonl", body);
    write(folder.path(), "in/acme/sales/bad.jsonl", format!("{}{{\"id\":1}}\n\n{}", line(1, 1), line(2, 1)));
    write(folder.path(), "in/acme/sales/cut.jsonl.gz", CUT_GZIP);
    write(folder.path(), "in/acme/sales/empty.jsonl", "");
    write(folder.path(), "in/acme/stock/a.jsonl", line(7, 7).replace('}', ",\"new\":true}"));
    let (sales, stock, input, output) = (path("sales.toml"), path("stock.toml"), path("in"), path("out"));
    let report_path = path("report.json");
    let run = landfall(&[
        "local",
        "--delivery",
        &sales,
        &stock,
        "--input",
        &input,
        "--output",
        &output,
        "--report",
        &report_path,
        "--patience",
        "60",
    ]);
    let (text, errors) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert_eq!(run.status.code(), Some(0), "{text}{errors}");
    assert!(text.contains("rows add up: sales: 303 staged = 302 delivered + 1 rejected"), "{text}");

    let report = Report::read(Path::new(&report_path)).unwrap();
    let [sales, stock] = report.deliveries.as_slice() else { panic!("{:?}", report.deliveries) };
    assert_eq!((sales.staged.objects, sales.staged.records, sales.rows), (4, Some(303), 302));
    assert_eq!((stock.staged.objects, stock.staged.records, stock.rows), (1, Some(1), 1));
    assert_eq!(stock.notices[0].message["schema_version"], 3, "{:?}", stock.notices);
    let partitions: Vec<Option<String>> =
        sales.files.iter().map(|file| file.partition["dt"].clone()).collect();
    assert_eq!(partitions, ["2026-05-18", "2026-05-19", "2026-05-01"].map(|day| Some(day.to_owned())));
    let rejected = &sales.rejected_rows[0];
    assert_eq!((rejected.key.as_str(), rejected.line), ("acme/sales/bad.jsonl", 2));
    assert_eq!((rejected.reason.as_str(), rejected.column.as_deref()), ("missing_value", Some("day")));
    let set_aside = &sales.quarantined_objects[0].why;
    assert_eq!(
        (set_aside.key.as_str(), set_aside.reason.as_str()),
        ("acme/sales/cut.jsonl.gz", "gzip_truncated")
    );
    let cut = report.objects.iter().find(|object| object.key == set_aside.key).unwrap();
    assert_eq!(cut.records, None);
    assert_eq!((sales.notices.len(), stock.notices.len()), (1, 1));
    assert_eq!(sales.notices[0].group.as_deref(), Some("sales"));
    assert_eq!(sales.glue.as_ref().unwrap().partitions.len(), 3);
    assert!(report.functions.iter().all(|function| function.invocations > 0 && function.errors == 0));

    // One row less in what was delivered, and the counting must notice.
    let verify = ["verify", "--report", &report_path, "--input", &input, "--output", &output];
    assert_eq!(landfall(&verify).status.code(), Some(0));

    // A report cannot make rows up: one named twice, one that the object never had, one on a blank line.
    for (lines, problem) in [(&[2, 2][..], "rejected twice"), (&[2, 9], "has 4 lines"), (&[3], "is blank")] {
        let mut wrong = report.clone();
        wrong.deliveries[0].rejected_rows = lines
            .iter()
            .map(|line| {
                let mut row = rejected.clone();
                row.line = *line;
                row
            })
            .collect();
        let wrong_path = path("wrong.json");
        wrong.write(Path::new(&wrong_path)).unwrap();
        let noticed = landfall(&["verify", "--report", &wrong_path, "--input", &input, "--output", &output]);
        assert_eq!(noticed.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&noticed.stdout).contains(problem), "{problem}");
    }
    remove_a_row(&Project::find().unwrap(), &Path::new(&output).join(&sales.files[0].path));
    let noticed = landfall(&verify);
    assert_eq!(noticed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&noticed.stdout).contains("rows DO NOT ADD UP: sales"));

    // A file that nobody delivered is noticed too.
    fs::copy(
        Path::new(&output).join(&stock.files[0].path),
        Path::new(&output).join("acme-lake/lake/stock/x.parquet"),
    )
    .unwrap();
    assert!(String::from_utf8_lossy(&landfall(&verify).stdout).contains("no outcome names it"));
}
