"""What cfn-lint cannot know about our templates. Prints each breach, exits 1 if there is one."""

import argparse
import sys
from pathlib import Path

from samtranslator.yaml_helper import yaml_parse

import visibility
from visibility import target

FOURTEEN_DAYS = 1_209_600

EVERY_FUNCTION = {
    "LANDFALL_STATE_BUCKET",
    "LANDFALL_ACCOUNT_ID",
    "LANDFALL_TIMEOUT_SECONDS",
    "LANDFALL_ALLOW_CROSS_REGION",
    "LANDFALL_METRICS_NAMESPACE",
}
# The names that the functions read; a name the template does not set would be found out only by an invocation.
ENVIRONMENT = {
    "CompactorFunction": EVERY_FUNCTION
    | {
        "LANDFALL_STAGING_BUCKET",
        "LANDFALL_INTAKE_QUEUE_URL",
        "LANDFALL_PLAN_QUEUE_URL",
        "LANDFALL_WORK_QUEUE_URL",
        "LANDFALL_WORK_FAILURES_QUEUE_URL",
        "LANDFALL_COMMIT_QUEUE_URL",
        "LANDFALL_NOTIFY_QUEUE_URL",
        "LANDFALL_NUDGE_SLOT_SECONDS",
        "LANDFALL_RECONCILE_INTERVAL_SECONDS",
        "LANDFALL_TENANT_MERGES",
    },
    "CommitterFunction": EVERY_FUNCTION
    | {
        "LANDFALL_STAGING_BUCKET",
        "LANDFALL_COMMIT_QUEUE_URL",
        "LANDFALL_NOTIFY_QUEUE_URL",
        "LANDFALL_PLAN_QUEUE_URL",
        "LANDFALL_WORK_QUEUE_URL",
    },
    "NotifierFunction": EVERY_FUNCTION | {"LANDFALL_PLAN_QUEUE_URL", "LANDFALL_NOTIFY_QUEUE_URL"},
}
PUBLIC_ACCESS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


class Template:
    def __init__(self, path):
        self.name = path.name
        self.body = yaml_parse(path.read_text(encoding="utf-8"))
        self.parameters = self.body.get("Parameters", {})
        self.resources = self.body["Resources"]
        self.problems = []

    def say(self, where, what):
        self.problems.append(f"{self.name}: {where}: {what}")

    def of_type(self, *types):
        return {name: body.get("Properties", {}) for name, body in self.resources.items() if body["Type"] in types}

    def default(self, value):
        """A literal or the default of the parameter that is referred to; None when that is no number."""
        if isinstance(value, dict) and set(value) == {"Ref"}:
            value = self.parameters.get(value["Ref"], {}).get("Default")
        return value if isinstance(value, int) else None

    def number(self, value, where):
        """The same, and a problem when it is none."""
        if (found := self.default(value)) is not None:
            return found
        self.say(where, f"expected a number or a parameter with a numeric default, found {value!r}")
        return None


def branches(value):
    """A value that may stand behind Fn::If, in every branch that is something."""
    if isinstance(value, dict) and set(value) == {"Fn::If"}:
        return [found for branch in value["Fn::If"][1:] for found in branches(branch)]
    return [] if value == {"Ref": "AWS::NoValue"} else [value]


def as_list(value):
    return value if isinstance(value, list) else [value]


def consumed(template):
    """The queues that a function stands behind."""
    return {target(mapping.get("EventSourceArn")) for mapping in template.of_type("AWS::Lambda::EventSourceMapping").values()}


def check_mappings(template):
    queues = template.of_type("AWS::SQS::Queue")
    functions = template.of_type("AWS::Serverless::Function", "AWS::Lambda::Function")
    for name, mapping in template.of_type("AWS::Lambda::EventSourceMapping").items():
        queue, function = target(mapping.get("EventSourceArn")), target(mapping.get("FunctionName"))
        if queue not in queues or function not in functions:
            template.say(name, f"queue {queue!r} or function {function!r} is not in this template")
            continue
        if mapping.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            template.say(name, "without ReportBatchItemFailures one bad message fails its whole batch")
        if "FilterCriteria" in mapping:
            template.say(name, "a message that matches no filter is deleted unread; do not filter")
        window = template.number(mapping.get("MaximumBatchingWindowInSeconds", 0), name)
        size = template.number(mapping.get("BatchSize", 10), name)
        template.number(functions[function].get("Timeout"), function)
        template.number(queues[queue].get("VisibilityTimeout"), queue)
        if None in (window, size):
            continue
        if queues[queue].get("FifoQueue"):
            if "MaximumBatchingWindowInSeconds" in mapping:
                template.say(name, "a FIFO queue takes no batching window")
            if size > 10:
                template.say(name, f"batch size {size}: a FIFO queue allows 10")
        elif size > 10 and window < 1:
            template.say(name, f"batch size {size} needs a batching window of at least 1 s")
    for queue, what in visibility.breaches(template.resources, template.default):
        template.say(queue, what)
    for name in queues:
        if "RedrivePolicy" in queues[name] and name not in consumed(template):
            template.say(name, "no function consumes this queue")


def check_queues(template, dead_letters_required):
    queues = template.of_type("AWS::SQS::Queue")
    for name, queue in queues.items():
        if queue.get("MessageRetentionPeriod") != FOURTEEN_DAYS:
            template.say(name, "retention is not 14 days; a dead letter's age counts from its first enqueue")
        if queue.get("SqsManagedSseEnabled") is not True and "KmsMasterKeyId" not in queue:
            template.say(name, "not encrypted")
        if not dead_letters_required:
            continue
        redrive = queue.get("RedrivePolicy")
        if redrive is None:
            if name not in {target(q.get("RedrivePolicy", {}).get("deadLetterTargetArn")) for q in queues.values()}:
                template.say(name, "neither has a dead-letter queue nor is one")
            continue
        dead = queues.get(target(redrive.get("deadLetterTargetArn")))
        if dead is None:
            template.say(name, "its dead-letter queue is not in this template")
        elif bool(dead.get("FifoQueue")) != bool(queue.get("FifoQueue")):
            template.say(name, "a dead-letter queue must be FIFO exactly when its source is")
        # Fewer only where a function takes up what failed: nothing is lost to a queue that nobody reads.
        least = 3 if target(redrive.get("deadLetterTargetArn")) in consumed(template) else 5
        if not least <= redrive.get("maxReceiveCount", 0) <= 1000:
            template.say(name, f"maxReceiveCount must be {least} to 1000")


def check_buckets(template):
    for name, bucket in template.of_type("AWS::S3::Bucket").items():
        rules = bucket.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [])
        algorithms = [
            algorithm
            for rule in rules
            for algorithm in branches(rule.get("ServerSideEncryptionByDefault", {}).get("SSEAlgorithm"))
        ]
        if not algorithms or not set(algorithms) <= {"AES256", "aws:kms"}:
            template.say(name, "no default encryption")
        if name == "StagingBucket" and algorithms != ["AES256"]:
            template.say(name, "must be SSE-S3: ETags of staged objects are compared")
        block = bucket.get("PublicAccessBlockConfiguration", {})
        if missing := [key for key in PUBLIC_ACCESS if block.get(key) is not True]:
            template.say(name, f"public access block lacks {', '.join(missing)}")
        owners = [rule.get("ObjectOwnership") for rule in bucket.get("OwnershipControls", {}).get("Rules", [])]
        if owners != ["BucketOwnerEnforced"]:
            template.say(name, "ownership is not BucketOwnerEnforced")
        if not any("AbortIncompleteMultipartUpload" in rule for rule in bucket.get("LifecycleConfiguration", {}).get("Rules", [])):
            template.say(name, "abandoned uploads are never removed")
        if template.resources[name].get("DeletionPolicy") not in ("Retain", "RetainExceptOnCreate"):
            template.say(name, "would be deleted with the stack")
        denied = [
            statement
            for policy in template.of_type("AWS::S3::BucketPolicy").values()
            if target(policy.get("Bucket")) == name
            for statement in policy["PolicyDocument"]["Statement"]
            if statement.get("Sid") == "TlsOnly" and statement["Effect"] == "Deny"
        ]
        if not denied:
            template.say(name, "no TlsOnly statement in its policy")


def check_staging(template):
    for name in ("StagingBucket", "StateBucket"):
        bucket = template.of_type("AWS::S3::Bucket").get(name)
        if bucket is None:
            template.say(name, "missing")
            continue
        if bucket.get("VersioningConfiguration") != {"Status": "Enabled"}:
            template.say(name, "not versioned")
        for rule in bucket.get("LifecycleConfiguration", {}).get("Rules", []):
            if "ExpirationInDays" in rule or "ExpirationDate" in rule:
                template.say(name, f"rule {rule.get('Id')} would expire current objects")


def check_temps(template):
    """The client's temps must outlive the 72 h hold with room to repair."""
    rules = template.of_type("AWS::S3::Bucket").get("LakeBucket", {}).get("LifecycleConfiguration", {}).get("Rules", [])
    temps = [rule for rule in rules if "ExpirationInDays" in rule]
    if len(temps) != 1 or temps[0].get("Prefix") != {"Ref": "TempPrefix"}:
        template.say("LakeBucket", "exactly one rule must expire objects, that of TempPrefix")
    elif temps[0]["ExpirationInDays"] < 7:
        template.say("LakeBucket", "temps expire in less than 7 days")


def statements_of(value):
    """Every policy statement anywhere below a resource, also behind Fn::If."""
    if isinstance(value, dict):
        if "Effect" in value:
            yield value
        for inner in value.values():
            yield from statements_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from statements_of(inner)


def check_policies(template):
    for name, resource in template.resources.items():
        for statement in statements_of(resource.get("Properties", {})):
            label = f"{name}/{statement.get('Sid', '?')}"
            if statement["Effect"] != "Allow":
                continue
            if "*" in as_list(statement.get("Resource")):
                template.say(label, 'Allow on Resource "*"')
            for action in as_list(statement.get("Action")):
                if "*" in action:
                    template.say(label, f"action {action} is a wildcard")
            if {"NotAction", "NotResource", "NotPrincipal"} & set(statement):
                template.say(label, "allows everything but something")
            principal = statement.get("Principal")
            if principal == "*" or (isinstance(principal, dict) and "*" in as_list(principal.get("AWS"))):
                template.say(label, "open to everybody")
        if resource["Type"] == "AWS::IAM::Role" and "ManagedPolicyArns" in resource.get("Properties", {}):
            template.say(name, "managed policies are broader than needed; write the statements")


def check_functions(template):
    functions = template.of_type("AWS::Serverless::Function")
    if set(functions) != set(ENVIRONMENT):
        template.say("functions", f"expected {sorted(ENVIRONMENT)}, found {sorted(functions)}")
    roles = [target(function.get("Role")) for function in functions.values()]
    if None in roles or len(set(roles)) != len(roles):
        template.say("functions", "each must have a role of its own")
    groups = template.of_type("AWS::Logs::LogGroup")
    for name, function in functions.items():
        variables = function.get("Environment", {}).get("Variables", {})
        given = {variable for variable in variables if variable.startswith("LANDFALL_")}
        wanted = ENVIRONMENT.get(name, set())
        for variable in sorted(given - wanted):
            template.say(name, f"{variable} is not a name the function reads")
        for variable in sorted(wanted - given):
            template.say(name, f"{variable} is not set")
        logging = function.get("LoggingConfig", {})
        if logging.get("LogFormat") != "JSON" or target(logging.get("LogGroup")) not in groups:
            template.say(name, "LoggingConfig must be JSON and name a log group of this template")
    for name, group in groups.items():
        if "RetentionInDays" not in group:
            template.say(name, "logs would be kept for ever")


def check_trust(template):
    for name, role in template.of_type("AWS::IAM::Role").items():
        for statement in role["AssumeRolePolicyDocument"]["Statement"]:
            if "AWS" not in statement.get("Principal", {}):
                continue
            if statement.get("Condition", {}).get("StringEquals", {}).get("sts:ExternalId") != {"Ref": "ExternalId"}:
                template.say(name, "trusts another account without its ExternalId")
    if template.parameters.get("ExternalId", {}).get("NoEcho") is not True:
        template.say("ExternalId", "must be NoEcho")


def check_alarms(template):
    """Each dead-letter queue, each queue that is consumed and each function has the alarms it needs."""
    watched = set()
    for alarm in template.of_type("AWS::CloudWatch::Alarm").values():
        for dimension in alarm.get("Dimensions", []):
            watched.add((alarm["Namespace"], alarm["MetricName"], dimension["Name"], target(dimension["Value"])))
        if "AlarmActions" not in alarm:
            template.say(alarm.get("MetricName", "alarm"), "an alarm that tells nobody")
    queues = template.of_type("AWS::SQS::Queue")
    dead = {target(queue["RedrivePolicy"]["deadLetterTargetArn"]) for queue in queues.values() if "RedrivePolicy" in queue}
    dead -= consumed(template)
    wanted = [
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible" if name in dead else "ApproximateAgeOfOldestMessage", "QueueName", name)
        for name in queues
    ]
    for name in template.of_type("AWS::Serverless::Function"):
        wanted += [("AWS/Lambda", metric, "FunctionName", name) for metric in ("Errors", "Throttles")]
    for alarm in wanted:
        if alarm not in watched:
            template.say(alarm[-1], f"no alarm on its {alarm[1]}")


def check_provider(path):
    template = Template(path)
    check_mappings(template)
    check_queues(template, dead_letters_required=True)
    check_buckets(template)
    check_staging(template)
    check_policies(template)
    check_functions(template)
    check_alarms(template)
    return template.problems


def check_keys(template):
    """A client's key serves one service only."""
    for name, role in template.of_type("AWS::IAM::Role").items():
        for statement in statements_of(role):
            keyed = any(action.startswith("kms:") for action in as_list(statement.get("Action")))
            if keyed and "kms:ViaService" not in statement.get("Condition", {}).get("StringEquals", {}):
                template.say(f"{name}/{statement.get('Sid', '?')}", "a key without kms:ViaService")


def check_client(path):
    template = Template(path)
    # The client's queue is consumed, and its failures are handled, by the client.
    check_queues(template, dead_letters_required=False)
    check_buckets(template)
    check_temps(template)
    check_policies(template)
    check_trust(template)
    check_keys(template)
    return template.problems


def main():
    infra = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--provider", type=Path, default=infra / "template.yaml")
    parser.add_argument("--client", type=Path, default=infra / "client.yaml")
    args = parser.parse_args()
    problems = check_provider(args.provider) + check_client(args.client)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print(f"check_templates: {len(problems)} problem(s)", file=sys.stderr)
        return 1
    print("check_templates: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
