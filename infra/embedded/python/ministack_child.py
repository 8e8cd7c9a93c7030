"""Run MiniStack until standard input ends, and take everything it started along.

Whoever starts this holds the other end of standard input. However that process ends, even killed, the pipe closes,
and nothing of the embedded AWS outlives it.
"""

import os
import shutil
import signal
import sys
import threading
import time

GRACE_SECONDS = 2.0


def stop_at_end_of_input():
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def end_children():
    """The functions' processes are in our group, and our children."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.02)
        except ChildProcessError:
            return
    os.killpg(0, signal.SIGKILL)


def use_fast_checksums():
    """MiniStack 1.5.33 computes CRC-32C and CRC-64/NVME in Python, at 3 MB/s; the values stay what they were."""
    from awscrt import checksums
    from ministack.services import s3

    for name, fast in (("_crc32c", checksums.crc32c), ("_crc64nvme", checksums.crc64nvme)):
        if getattr(s3, name)(b"123456789") != fast(b"123456789"):
            raise SystemExit(f"MiniStack's {name} and awscrt's differ")
        setattr(s3, name, fast)


def main():
    # A group of its own: a Ctrl-C meant for the starter must not end MiniStack in the middle of the starter's work.
    os.setsid()
    folder, parent = sys.argv.pop(), os.getppid()
    threading.Thread(target=stop_at_end_of_input, daemon=True).start()
    try:
        from ministack.app import main as serve

        use_fast_checksums()
        serve()
    finally:
        # The starter removes its folder itself, unless it is gone.
        if os.getppid() != parent:
            shutil.rmtree(folder, ignore_errors=True)
        end_children()


if __name__ == "__main__":
    main()
