"""`make bench-peers`: landfall's engine beside ClickHouse, DuckDB, Polars and PyArrow on the same files.

In every repetition each of them converts the set once, in a process of its own, in an order that rotates: what else the
machine does then meets all of them alike. Figures are medians; ratios are medians of the ratios within a repetition.
Wall is the time of the process, CPU its user and system time, peak its largest resident set, all with its start.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import generate

HERE = Path(__file__).resolve().parent
PEERS = ["clickhouse", "duckdb", "polars", "pyarrow"]


def measure(command, log):
    """Runs one process: wall and CPU seconds, peak memory in bytes. A failure is told with what it printed."""
    begun = time.monotonic()
    with open(log, "wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        # No process of these starts another one: the usage of the child is that of its tree.
        _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - begun
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        text = Path(log).read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {child.returncode}:\n{text}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss * 1024}


class Contest:
    def __init__(self, given, name, folder):
        self.given, self.name, self.folder = given, name, folder
        self.found = json.loads((folder / "set.json").read_text())

    def command(self, who, output, folder=None):
        folder = self.folder if folder is None else folder
        if who == "landfall":
            document = self.folder / f"{self.given.compression}.toml"
            return [self.given.landfall, "convert", "--delivery", document, "--input", Path(folder) / "input", "--output", output]
        peer = [sys.executable, HERE / "peer.py", who, self.name, "-" if folder != self.folder else folder]
        return [*peer, output, self.given.compression]

    def once(self, who, work, keep):
        # ClickHouse appends to what is there, or refuses: the file that is kept has another name.
        output = work / f"{who}-{'kept' if keep else 'again'}.parquet"
        self.make_folder(who, output)
        result = measure(self.command(who, output), work / "log")
        files = sorted(output.rglob("*.parquet")) if output.is_dir() else [output]
        result["bytes"] = sum(file.stat().st_size for file in files)
        [result["file"]] = files if keep else [None]
        if not keep:
            shutil.rmtree(output) if output.is_dir() else output.unlink()
        return result

    @staticmethod
    def make_folder(who, output):
        """landfall writes into a folder, the others into a file. The folder of either is there: after many deletions ext4
        takes milliseconds for a new one."""
        if who == "landfall":
            output.mkdir()

    def start(self, who, work):
        """What the start of the process costs: the same command with nothing to convert."""
        empty = work / "empty"
        (empty / "input").mkdir(parents=True, exist_ok=True)
        (empty / "input" / "empty.jsonl").touch()
        used = []
        for n in range(3):
            output = work / f"start-{who}-{n}"
            self.make_folder(who, output)
            used.append(measure(self.command(who, output, empty), work / "log")["cpu"])
        return statistics.median(used)

    def verify(self, kept, work):
        """Which of the kept files hold other rows than the source; the source read as DuckDB reads it."""
        command = [sys.executable, HERE / "rows.py", self.name, self.folder, *kept.values()]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        source, *found = json.loads(out)
        if int(source[0]) != self.found["rows"]:
            raise RuntimeError(f"the source has {source[0]} rows, not {self.found['rows']}")
        return {who: fingerprint == source for who, fingerprint in zip(kept, found)}

    def run(self, work):
        who = ["landfall", *self.given.peers]
        runs = {name: [] for name in who}
        kept = {}
        for repetition in range(self.given.runs):
            turn = repetition % len(who)
            for name in who[turn:] + who[:turn]:
                result = self.once(name, work, keep=repetition == 0)
                runs[name].append(result)
                if repetition == 0:
                    kept[name] = result["file"]
                print(f"  {self.name} {repetition + 1}/{self.given.runs} {name}: {result['wall']:.2f} s, CPU {result['cpu']:.2f} s",
                      file=sys.stderr)  # fmt: skip
        equal = self.verify(kept, work)
        starts = {name: self.start(name, work) for name in who}
        self.show(runs, equal, starts)
        if not equal["landfall"]:
            raise SystemExit(f"{self.name}: landfall's rows are not those of the source")

    def show(self, runs, equal, starts):
        found = self.found
        print(f"\n{self.name}: {found['files']:,} objects, {found['raw_bytes'] / 1e6:.0f} MB of JSON, {found['rows']:,} rows, "
              f"{found['leaves']} leaf columns; {self.given.compression}, {self.given.runs} repetitions, load {os.getloadavg()[0]:.1f}\n")  # fmt: skip
        print("| | wall s | CPU s | CPU net of start | peak MiB | output MB | landfall/it: wall | CPU | CPU net | output | rows |")
        print("|---|---|---|---|---|---|---|---|---|---|---|")
        ours = runs["landfall"]
        for name, results in runs.items():
            middle = lambda field: statistics.median(result[field] for result in results)
            # A process that has nothing to do may by chance use more than one that has.
            net = lambda owner, result: max(result["cpu"] - starts[owner], 0.001)
            ratio = lambda field: statistics.median(mine[field] / its[field] for mine, its in zip(ours, results))
            nets = statistics.median(net("landfall", mine) / net(name, its) for mine, its in zip(ours, results))
            print(f"| {name} | {middle('wall'):.2f} | {middle('cpu'):.2f} | {statistics.median(net(name, r) for r in results):.2f} | "
                  f"{middle('peak') / 2**20:.0f} | {middle('bytes') / 1e6:.2f} | 1/{1 / ratio('wall'):.2f} | 1/{1 / ratio('cpu'):.2f} | "
                  f"1/{1 / nets:.2f} | {ratio('bytes'):.3f} | {'equal' if equal[name] else 'CHANGED'} |")  # fmt: skip
        sys.stdout.flush()


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--landfall", required=True)
    arguments.add_argument("--root", required=True)
    arguments.add_argument("--flights", required=True)
    arguments.add_argument("--megabytes", type=int, default=64)
    arguments.add_argument("--objects", type=int, default=10_000)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--compression", choices=["snappy", "zstd"], default="snappy")
    arguments.add_argument("--peers", nargs="*", default=PEERS, choices=PEERS)
    arguments.add_argument("sets", nargs="*", default=list(generate.SETS))
    given = arguments.parse_args()
    unknown = set(given.sets) - set(generate.SETS)
    if unknown:
        arguments.error(f"no such set: {', '.join(sorted(unknown))}")
    for name in given.sets:
        folder = generate.ensure(name, Path(given.root).resolve(), given.megabytes, given.objects, given.flights)
        with tempfile.TemporaryDirectory(dir=given.root) as work:
            Contest(given, name, folder).run(Path(work).resolve())


if __name__ == "__main__":
    main()
