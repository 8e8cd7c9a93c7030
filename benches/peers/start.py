"""`make bench-start`: how long the compactor's bootstrap takes from its start until it asks Lambda for the first event, and its size."""

import argparse
import os
import socket
import statistics
import subprocess
import time
from pathlib import Path

QUEUES = ["INTAKE", "PLAN", "WORK", "WORK_FAILURES", "COMMIT", "NOTIFY"]


def environment(address):
    """What the template gives the function, and Lambda its runtime."""
    queue = "https://sqs.eu-central-1.amazonaws.com/111122223333/"
    return {
        "AWS_LAMBDA_RUNTIME_API": address,
        "AWS_LAMBDA_FUNCTION_NAME": "compactor",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "3008",
        "AWS_LAMBDA_LOG_STREAM_NAME": "bench",
        "AWS_LAMBDA_LOG_GROUP_NAME": "bench",
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "LANDFALL_STATE_BUCKET": "state",
        "LANDFALL_STAGING_BUCKET": "staging",
        "LANDFALL_ACCOUNT_ID": "111122223333",
        "LANDFALL_TIMEOUT_SECONDS": "900",
        "LANDFALL_ALLOW_CROSS_REGION": "false",
        "LANDFALL_METRICS_NAMESPACE": "landfall",
        "LANDFALL_NUDGE_SLOT_SECONDS": "30",
        "LANDFALL_RECONCILE_INTERVAL_SECONDS": "3600",
        "LANDFALL_TENANT_MERGES": "8",
        **{f"LANDFALL_{name}_QUEUE_URL": queue + name.lower() for name in QUEUES},
    }


def once(bootstrap):
    """Milliseconds from the start of the process to the head of its first request."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        host, port = server.getsockname()
        begun = time.monotonic()
        child = subprocess.Popen([bootstrap], env=environment(f"{host}:{port}"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            stream, _ = server.accept()
            with stream:
                head = stream.recv(4096)
            took = time.monotonic() - begun
        except TimeoutError:
            child.kill()
            raise SystemExit(f"{bootstrap} asked for nothing:\n{child.communicate()[0].decode(errors='replace')}")
        child.kill()
        child.communicate()
    if b"/invocation/next" not in head:
        raise SystemExit(f"not the first event: {head!r}")
    return took * 1000


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--bootstrap", required=True)
    arguments.add_argument("--runs", type=int, default=30)
    given = arguments.parse_args()
    bootstrap = Path(given.bootstrap).resolve()
    times = [once(bootstrap) for _ in range(given.runs)]
    print(f"{os.path.getsize(bootstrap) / 1e6:.1f} MB; {given.runs} starts: median {statistics.median(times):.1f} ms, "
          f"least {min(times):.1f}, most {max(times):.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
