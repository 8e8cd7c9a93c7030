"""Wrap a built binary as the file `bootstrap` of a Lambda zip: the same binary always gives the same zip."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path


def stripped(binary: Path, scratch: Path) -> Path:
    """A copy without debug symbols; the binary itself where `strip` is absent or cannot read it (other CPU, script)."""
    if shutil.which("strip") is None:
        return binary
    out = scratch / "bootstrap"
    done = subprocess.run(["strip", "-o", out, binary], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return out if done.returncode == 0 and out.exists() else binary


def wrap(binary: Path, target: Path, compress: bool = False) -> None:
    # The fixed date and mode make it deterministic; 1980 is the oldest that a zip can say.
    entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system = 3
    entry.external_attr = 0o100755 << 16
    # Stored, because nothing local is gained by compressing; a deployment has a size limit and asks for it.
    entry.compress_type = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        source = stripped(binary, Path(scratch))
        part = target.with_name(target.name + ".part")
        with zipfile.ZipFile(part, "w") as archive:
            with source.open("rb") as read, archive.open(entry, "w", force_zip64=True) as write:
                shutil.copyfileobj(read, write, 1 << 20)
        os.replace(part, target)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary", type=Path)
    parser.add_argument("zip", type=Path)
    parser.add_argument("--compress", action="store_true")
    args = parser.parse_args()
    if not args.binary.is_file():
        print(f"no such binary: {args.binary}", file=sys.stderr)
        return 1
    wrap(args.binary, args.zip, args.compress)
    return 0


if __name__ == "__main__":
    sys.exit(main())
