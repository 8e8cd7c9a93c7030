"""Deploy a template into the embedded AWS (or delete a stack), and print its outputs as one JSON object.

A SAM template is transformed here, because the embedded AWS knows plain CloudFormation only, and numbers of event
source mappings are written out (number_mappings). Nothing else is changed and nothing is left out: what the embedded
AWS cannot do stands behind a condition in the template.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

import visibility
import zip_bootstrap

SAM = "AWS::Serverless-2016-10-31"
# Above it CloudFormation takes the template only by address.
INLINE_TEMPLATE_BYTES = 51_200
DONE = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}


class Failed(Exception):
    """A message for the operator."""


class NoManagedPolicies:
    """Roles are written by hand, so the transform has none to look up."""

    def load(self):
        return {}


def pairs(values, what):
    found = {}
    for value in values:
        name, sign, rest = value.partition("=")
        if not sign or not name:
            raise Failed(f"--{what} {value!r}: expected NAME=VALUE")
        found[name] = rest
    return found


def client(args, service):
    # Credentials are always the embedded ones and the endpoint is always given: this tool cannot reach the real AWS.
    return boto3.client(
        service,
        endpoint_url=args.endpoint,
        region_name=args.region,
        aws_access_key_id=args.account,
        aws_secret_access_key="test",
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}, read_timeout=120),
    )


def code_bucket(args, s3):
    name = args.code_bucket or f"{args.stack}-code-{args.account}-{args.region}"
    try:
        s3.head_bucket(Bucket=name)
    except ClientError:
        elsewhere = {} if args.region == "us-east-1" else {
            "CreateBucketConfiguration": {"LocationConstraint": args.region}
        }
        s3.create_bucket(Bucket=name, **elsewhere)
    return name


def upload(s3, bucket, args, name, path):
    """Under its hash, so that CloudFormation sees a change exactly when the code changed."""
    path = Path(path)
    if not path.is_file():
        raise Failed(f"--code {name}: no such file: {path}")
    with tempfile.TemporaryDirectory() as scratch:
        if path.suffix != ".zip":
            archive = Path(scratch) / "bootstrap.zip"
            zip_bootstrap.wrap(path, archive)
            path = archive
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        key = f"{args.stack}/{name}/{digest}.zip"
        s3.upload_file(str(path), bucket, key)
    return f"s3://{bucket}/{key}"


def place_code(template, code, put):
    """Replace each local CodeUri `.../NAME/bootstrap.zip` by the uploaded --code NAME."""
    used = set()
    for logical, resource in template["Resources"].items():
        uri = resource.get("Properties", {}).get("CodeUri")
        if resource.get("Type") != "AWS::Serverless::Function" or not isinstance(uri, str) or uri.startswith("s3://"):
            continue
        name = Path(uri).parent.name
        if name not in code:
            raise Failed(f"{logical}: CodeUri {uri} is local; give --code {name}=FILE")
        resource["Properties"]["CodeUri"] = put(name, code[name])
        used.add(name)
    if unused := set(code) - used:
        raise Failed(f"--code names no function of this template: {', '.join(sorted(unused))}")


def number_mappings(template, parameters):
    """Put the numbers themselves into event source mappings.

    MiniStack 1.5.33 hands a referenced Number parameter on as text, and one mapping whose concurrency is text stops
    the poller of all of them. AWS converts it.
    """
    declared = template.get("Parameters", {})

    def resolve(value):
        if isinstance(value, dict):
            name = value.get("Ref")
            if len(value) == 1 and isinstance(name, str) and declared.get(name, {}).get("Type") == "Number":
                return int(parameters.get(name, declared[name].get("Default")))
            return {key: resolve(inner) for key, inner in value.items()}
        return [resolve(inner) for inner in value] if isinstance(value, list) else value

    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Lambda::EventSourceMapping":
            resource["Properties"] = resolve(resource["Properties"])


def refuse_short_visibility(template, parameters):
    """CloudFormation cannot compare parameters with each other; here the deployed values are known."""
    declared = template.get("Parameters", {})

    def number(value):
        if isinstance(value, dict) and set(value) == {"Ref"}:
            name = value["Ref"]
            value = parameters.get(name, declared.get(name, {}).get("Default"))
        try:
            return int(value)
        except (TypeError, ValueError):
            return None

    if found := visibility.breaches(template["Resources"], number):
        raise Failed("; ".join(f"{queue}: {what}" for queue, what in found))


def prepare(args, parameters):
    template = yaml_parse(args.template.read_text(encoding="utf-8"))
    unknown = set(parameters) - set(template.get("Parameters", {}))
    if unknown:
        raise Failed(f"{args.template.name} has no parameter {', '.join(sorted(unknown))}")
    if not args.short_visibility:
        refuse_short_visibility(template, parameters)
    transforms = template.get("Transform", [])
    if SAM in ([transforms] if isinstance(transforms, str) else transforms):
        s3 = client(args, "s3")
        bucket = code_bucket(args, s3)
        place_code(template, pairs(args.code, "code"), lambda name, path: upload(s3, bucket, args, name, path))
        try:
            template = transform(template, parameters, NoManagedPolicies())
        except InvalidDocumentException as error:
            raise Failed("; ".join(str(cause.message) for cause in error.causes)) from error
    elif args.code:
        raise Failed("--code is for SAM templates")
    number_mappings(template, parameters)
    return json.dumps(template, separators=(",", ":"), default=str)


def describe(cloudformation, stack):
    try:
        return cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise


def wait(cloudformation, stack, timeout):
    deadline = time.monotonic() + timeout
    while True:
        found = describe(cloudformation, stack)
        if found is None or not found["StackStatus"].endswith("_IN_PROGRESS"):
            return found
        if time.monotonic() > deadline:
            raise Failed(f"stack {stack} is still {found['StackStatus']} after {timeout} s")
        time.sleep(0.1)


def print_events(cloudformation, stack):
    try:
        events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    except (ClientError, BotoCoreError):
        return
    # Newest first in the answer; what worked, and the rollback of it, explains nothing.
    for event in reversed(events):
        if reason := event.get("ResourceStatusReason"):
            print(f"  {event['ResourceStatus']:<22} {event['LogicalResourceId']:<28} {reason}", file=sys.stderr)
    # A refusal before anything was created (a name that is taken, say) has its details here only.
    try:
        failed = cloudformation.describe_events(StackName=stack, Filters={"FailedEvents": True})["OperationEvents"]
    except (AttributeError, ClientError, BotoCoreError):
        return
    for event in failed:
        if reason := event.get("ValidationStatusReason"):
            print(f"  {event.get('LogicalResourceId', '')}: {reason}", file=sys.stderr)


def deploy(args):
    if args.template is None:
        raise Failed("deploy wants --template")
    parameters = pairs(args.parameter, "parameter")
    body = prepare(args, parameters)
    cloudformation = client(args, "cloudformation")
    request = {
        "StackName": args.stack,
        # What is not given takes the template's default, also on an update: a deployment is described by its command.
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
    }
    if len(body.encode()) > INLINE_TEMPLATE_BYTES:
        s3 = client(args, "s3")
        bucket, key = code_bucket(args, s3), f"{args.stack}/template.json"
        s3.put_object(Bucket=bucket, Key=key, Body=body.encode())
        request["TemplateURL"] = f"{args.endpoint.rstrip('/')}/{bucket}/{key}"
    else:
        request["TemplateBody"] = body
    existing = wait(cloudformation, args.stack, args.timeout)
    # A stack whose creation failed can only be deleted.
    if existing and existing["StackStatus"] in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"):
        cloudformation.delete_stack(StackName=args.stack)
        wait(cloudformation, args.stack, args.timeout)
        existing = None
    if existing is None or existing["StackStatus"] == "DELETE_COMPLETE":
        cloudformation.create_stack(OnFailure="ROLLBACK", **request)
    else:
        try:
            cloudformation.update_stack(**request)
        except ClientError as error:
            if "No updates are to be performed" not in str(error):
                raise
    found = wait(cloudformation, args.stack, args.timeout)
    if found is None or found["StackStatus"] not in DONE:
        print_events(cloudformation, args.stack)
        raise Failed(f"stack {args.stack}: {found['StackStatus'] if found else 'gone'}")
    print(json.dumps({output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}))


def delete(args):
    cloudformation = client(args, "cloudformation")
    cloudformation.delete_stack(StackName=args.stack)
    found = wait(cloudformation, args.stack, args.timeout)
    if found is not None and found["StackStatus"] != "DELETE_COMPLETE":
        print_events(cloudformation, args.stack)
        raise Failed(f"stack {args.stack}: {found['StackStatus']}")
    print("{}")


def account(value):
    if len(value) != 12 or not value.isdigit():
        raise argparse.ArgumentTypeError("an account id has 12 digits")
    return value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", nargs="?", choices=["deploy", "delete"], default="deploy")
    parser.add_argument("--endpoint", required=True, help="of the embedded AWS")
    parser.add_argument("--account", required=True, type=account)
    parser.add_argument("--region", required=True)
    parser.add_argument("--stack", required=True)
    parser.add_argument("--template", type=Path)
    parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--code", action="append", default=[], metavar="FUNCTION=FILE", help="a zip, or a binary to wrap")
    parser.add_argument("--code-bucket", help="default: <stack>-code-<account>-<region>")
    parser.add_argument("--timeout", type=float, default=120, help="seconds to wait for the stack")
    parser.add_argument("--short-visibility", action="store_true", help="deploy against the visibility rule")
    args = parser.parse_args()
    # The transform asks the environment for a region; a proxy or a profile of the user's must not be taken.
    os.environ["AWS_DEFAULT_REGION"] = os.environ["AWS_REGION"] = args.region
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"):
        os.environ.pop(name, None)
    try:
        (delete if args.action == "delete" else deploy)(args)
    except (Failed, ClientError, BotoCoreError, OSError) as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
