"""`make bench-scale`: whether the cost of landfall's engine grows with its input alone, and with its workers.

The objects of one set stand in one folder again and again, as links under further names: what is converted grows, what is on
disk does not. Each size is converted to files of the default target in a process of its own. Then one processor converts all
of a set, and two processors convert half of it each: the sum of what two workers do in the time of one.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import generate
from run import measure

# Of 64 MB each: 128 MB to 10 GB.
TIMES = [2, 5, 16, 47, 157]
PLOT = 50
# Work that shares nothing but the processors: what two of them do beside one is the most that two workers can.
LOOP = "sum(number * number for number in range(15_000_000))"


def link(source, target, parts):
    (target / "input").mkdir(parents=True)
    for copy in parts:
        for file in source.iterdir():
            os.link(file, target / "input" / f"{copy:04}-{file.name}")


def document(folder, work):
    """The delivery of the set with files of the default size."""
    lines = (folder / "snappy.toml").read_text().splitlines(keepends=True)
    path = work / "delivery.toml"
    path.write_text("".join(line for line in lines if not line.startswith("target_bytes")))
    return path


class Scale:
    def __init__(self, given, folder, work):
        self.given, self.source, self.work = given, folder / "input", work
        self.bytes = sum(len_of(file) for file in self.source.iterdir())
        self.delivery = document(folder, work)

    def convert(self, folder, prefix=()):
        output = Path(tempfile.mkdtemp(dir=self.work)) / "output"
        command = [*prefix, self.given.landfall, "convert", "--delivery", self.delivery, "--input", folder / "input", "--output", output]
        result = measure(command, output.parent / "log")
        result["files"] = len(list(output.rglob("*.parquet")))
        shutil.rmtree(output.parent)
        return result

    def sizes(self):
        print("| JSON MB | files | wall s | CPU s | CPU s a GB | peak MiB | |\n|---|---|---|---|---|---|---|")
        rows = []
        for times in TIMES[: self.given.sizes]:
            folder = self.work / f"times-{times}"
            link(self.source, folder, range(times))
            results = [self.convert(folder) for _ in range(3 if times < 40 else 1)]
            middle = {field: statistics.median(result[field] for result in results) for field in results[0]}
            rows.append((self.bytes * times, middle))
            shutil.rmtree(folder)
            print(f"  {self.bytes * times / 1e6:.0f} MB: {middle['cpu']:.2f} s CPU", file=sys.stderr)
        most = max(result["cpu"] / size for size, result in rows)
        for size, result in rows:
            rate = result["cpu"] / size
            bar = "#" * round(PLOT * rate / most)
            print(f"| {size / 1e6:,.0f} | {result['files']} | {result['wall']:.2f} | {result['cpu']:.2f} | {rate * 1e9:.2f} | "
                  f"{result['peak'] / 2**20:.0f} | `{bar}` |")  # fmt: skip

    def workers(self):
        """Two workers beside one, in turn: each on a processor of its own."""
        from concurrent.futures import ThreadPoolExecutor

        times = 8
        for name, parts in {"all": range(times), "left": range(times // 2), "right": range(times // 2, times)}.items():
            link(self.source, self.work / name, parts)
        on = [("taskset", "--cpu-list", str(processor)) for processor in sorted(os.sched_getaffinity(0))[:2]]

        def gain(one, left, right):
            """How many times the wall of `one` the longer of the other two takes, which run at once."""
            alone = one(on[0])["wall"]
            with ThreadPoolExecutor(2) as pool:
                both = [pool.submit(left, on[0]), pool.submit(right, on[1])]
                return alone / max(result.result()["wall"] for result in both)

        def converting(name):
            return lambda pinned: self.convert(self.work / name, pinned)

        def looping(pinned):
            return measure([*pinned, sys.executable, "-c", LOOP], self.work / f"log-{pinned[-1]}")

        gains, bounds = [], []
        for _ in range(self.given.runs):
            gains.append(gain(converting("all"), converting("left"), converting("right")))
            bounds.append(2 * gain(looping, looping, looping))
        told = lambda gains: f"{statistics.median(gains):.2f} times ({', '.join(f'{gain:.2f}' for gain in gains)})"
        print(f"\nTwo workers do {told(gains)} what one does; two processors of this machine do {told(bounds)} what one does, "
              "in a loop that shares nothing.")  # fmt: skip


def len_of(file):
    """The decoded bytes of a gzip object of less than 4 GiB, as its end says."""
    with open(file, "rb") as opened:
        opened.seek(-4, os.SEEK_END)
        return int.from_bytes(opened.read(4), "little")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--landfall", required=True)
    arguments.add_argument("--root", required=True)
    arguments.add_argument("--flights", required=True)
    arguments.add_argument("--set", default="click", choices=["catalogue", "click", "flat", "wide"])
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--sizes", type=int, default=len(TIMES), help="how many of the sizes, from the smallest")
    given = arguments.parse_args()
    given.landfall = Path(given.landfall).resolve()
    folder = generate.ensure(given.set, Path(given.root).resolve(), 64, 0, given.flights)
    with tempfile.TemporaryDirectory(dir=given.root) as work:
        scale = Scale(given, folder, Path(work).resolve())
        print(f"{given.set}:\n")
        scale.sizes()
        scale.workers()


if __name__ == "__main__":
    main()
