"""Print the environment of a deployed function, as KEY=VALUE lines: to run it outside of the embedded AWS."""

import argparse
import sys

import boto3


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--account", required=True)
    parser.add_argument("--region", required=True)
    parser.add_argument("--stack", required=True)
    parser.add_argument("--function", required=True)
    args = parser.parse_args()
    root = {
        "endpoint_url": args.endpoint,
        "region_name": args.region,
        "aws_access_key_id": args.account,
        "aws_secret_access_key": "test",
    }
    found = boto3.client("lambda", **root).get_function_configuration(FunctionName=f"{args.stack}-{args.function}")
    session = boto3.client("sts", **root).assume_role(RoleArn=found["Role"], RoleSessionName=args.function)
    given = session["Credentials"]
    variables = {
        **found["Environment"]["Variables"],
        "AWS_ENDPOINT_URL": args.endpoint,
        "AWS_REGION": args.region,
        "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
        "AWS_SESSION_TOKEN": given["SessionToken"],
    }
    for name, value in sorted(variables.items()):
        print(f"{name}={value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
