"""The visibility rule, for templates as written (check_templates.py) and as deployed (deploy.py).

For every mapping: visibility >= 6 x function timeout + batching window. Below it, a message returns while it is still
being worked on, and receives are burned by functions that are throttled.
"""

FUNCTIONS = ("AWS::Serverless::Function", "AWS::Lambda::Function")


def target(value):
    """The logical id behind Ref or GetAtt."""
    if not isinstance(value, dict):
        return None
    attribute = value.get("Fn::GetAtt")
    if isinstance(attribute, str):
        return attribute.split(".")[0]
    return attribute[0] if attribute else value.get("Ref")


def breaches(resources, number):
    """What breaks the rule, as (queue, what); `number` gives the seconds behind a property, None when it has none."""
    found = []
    for mapping in resources.values():
        if mapping["Type"] != "AWS::Lambda::EventSourceMapping":
            continue
        properties = mapping["Properties"]
        queue, function = target(properties.get("EventSourceArn")), target(properties.get("FunctionName"))
        if resources.get(queue, {}).get("Type") != "AWS::SQS::Queue" or resources.get(function, {}).get("Type") not in FUNCTIONS:
            continue
        timeout = number(resources[function]["Properties"].get("Timeout"))
        window = number(properties.get("MaximumBatchingWindowInSeconds", 0))
        visibility = number(resources[queue].get("Properties", {}).get("VisibilityTimeout"))
        if None not in (timeout, window, visibility) and visibility < 6 * timeout + window:
            found.append((queue, f"visibility {visibility} s is below 6 x {timeout} s + window {window} s ({function})"))
    return found
