"""Print what functions and queues of a stack show from outside, as one JSON object."""

import argparse
import json
import re
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError

FUNCTIONS = ("compactor", "committer", "notifier")
QUEUES = ("intake", "plan.fifo", "work", "commit", "notify")
# Where merges that cannot be done are taken up; its own dead letters are those of the work queue.
FAILURES = "work-failures"
DEPTHS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
LAST_LINES = 8
# The platform's own lines: a stream holds one of each for every invocation.
PLATFORM = ("START RequestId:", "END RequestId:", "REPORT RequestId:", "INIT_START")


def events(logs, group):
    token = {}
    while True:
        try:
            page = logs.filter_log_events(logGroupName=group, **token)
        except logs.exceptions.ResourceNotFoundException:
            return
        yield from page["events"]
        if "nextToken" not in page:
            return
        token = {"nextToken": page["nextToken"]}


def failures(server_log, stack, name):
    """Invocations that failed as a whole: MiniStack 1.5.33 says so in its own log, and neither in metrics nor in a function's."""
    begin = f"ESM: Lambda {stack}-{name} failed processing "
    with open(server_log, encoding="utf-8", errors="replace") as lines:
        # A throttled one has no type: on AWS it is no error either.
        return sum(begin in line and "(errorType=None " not in line for line in lines)


def function(logs, stack, name, errors):
    invocations, lines, first = 0, [], None
    for event in events(logs, f"/aws/lambda/{stack}-{name}"):
        message = event["message"].rstrip()
        if message.startswith("REPORT RequestId:"):
            invocations += 1
            at, duration = event["timestamp"], re.search(r"Duration: ([0-9.]+) ms", message)
            if duration and (first is None or at < first[0]):
                first = (at, float(duration[1]))
        elif message and not message.startswith(PLATFORM):
            lines.append((event["timestamp"], message))
    lines.sort(key=lambda line: line[0])
    return {
        "name": name,
        "invocations": invocations,
        "errors": errors,
        "cold_milliseconds": first[1] if first else None,
        "last_lines": [message[:2000] for _, message in lines[-LAST_LINES:]],
    }


def depth(sqs, endpoint, account, name):
    url = f"{endpoint}/{account}/{name}"
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return sum(int(attributes.get(depth, 0)) for depth in DEPTHS)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--account", required=True)
    parser.add_argument("--region", required=True)
    parser.add_argument("--stack", required=True)
    parser.add_argument("--server-log", required=True, help="the log of the embedded AWS itself")
    parser.add_argument("--log", action="store_true", help="print all lines of all functions instead")
    args = parser.parse_args()
    root = {
        "endpoint_url": args.endpoint,
        "region_name": args.region,
        "aws_access_key_id": args.account,
        "aws_secret_access_key": "test",
    }
    logs, sqs = boto3.client("logs", **root), boto3.client("sqs", **root)
    try:
        if args.log:
            for name in FUNCTIONS:
                for event in events(logs, f"/aws/lambda/{args.stack}-{name}"):
                    print(name, event["message"].rstrip())
            return 0
        names = [f"{args.stack}-{queue}" for queue in QUEUES]
        names += [name.removesuffix(".fifo") + "-dead" + (".fifo" if name.endswith(".fifo") else "") for name in names]
        names.append(f"{args.stack}-{FAILURES}")
        seen = {
            "functions": [
                function(logs, args.stack, name, failures(args.server_log, args.stack, name)) for name in FUNCTIONS
            ],
            "queues": [(name, depth(sqs, args.endpoint, args.account, name)) for name in names],
        }
    except (ClientError, BotoCoreError, OSError) as error:
        print(f"observe: {error}", file=sys.stderr)
        return 1
    print(json.dumps(seen))
    return 0


if __name__ == "__main__":
    sys.exit(main())
