"""`make cost-table`: what a terabyte of JSON costs with landfall at list prices, computed from what the other benchmarks measured.

Prices are US dollars of us-east-1 without free tiers and discounts, as public copies of the pricing pages had them in 2026:
read them again before a number is quoted. What was measured is an argument, so that another machine's figures can be put in.
"""

import argparse

# Lambda, "Duration", Arm: a GB-second. A function of 1,769 MB has one vCPU ("Configure Lambda function memory").
LAMBDA_GB_SECOND = 0.0000133334
MB_PER_VCPU = 1769
# Firehose, Direct PUT, first 500 TB a month: a GB, each record rounded up to 5 KB; "Format conversion": a GB of the same bytes.
FIREHOSE_GB = 0.029
FIREHOSE_CONVERSION_GB = 0.018
FIREHOSE_RECORD = 5 * 1024
# S3, "PUT ... (per 1,000 requests)": the producer's own, who stages each object.
PUT = 0.005 / 1000

TERABYTE = 1e12


def arguments():
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--cpu-per-gb", type=float, default=3.8, help="CPU s of the engine a GB of JSON: make bench-scale, click")
    given.add_argument("--cpu-per-gb-small", type=float, default=6.4, help="the same in objects of 5 KB: make bench-peers, small")
    given.add_argument("--cpu-per-get", type=float, default=47e-6, help="CPU s of the client a GET: make bench-gets")
    given.add_argument("--requests-per-million", type=float, default=0.91, help="dollars a million objects: make request-cost")
    given.add_argument("--used", type=float, default=0.5, help="the share of its time in which the function computes: assumed")
    given.add_argument("--record", type=int, default=860, help="bytes of a record of JSON: the set click")
    return given.parse_args()


def landfall(given, object_bytes, cpu_per_gb):
    """Dollars for compute, requests, and the producer's own puts."""
    objects = TERABYTE / object_bytes
    cpu = cpu_per_gb * TERABYTE / 1e9 + given.cpu_per_get * objects
    compute = cpu / given.used * (MB_PER_VCPU / 1024) * LAMBDA_GB_SECOND
    return compute, objects / 1e6 * given.requests_per_million, objects * PUT


def firehose(record):
    """Dollars for records put one by one: the bytes that are billed are those of whole 5 KB."""
    billed = -(-record // FIREHOSE_RECORD) * FIREHOSE_RECORD / record
    return billed * TERABYTE / 1e9 * (FIREHOSE_GB + FIREHOSE_CONVERSION_GB)


def main():
    given = arguments()
    print("| a TB of JSON | compute | requests | all | with the producer's PUTs |\n|---|---:|---:|---:|---:|")
    for name, size, cpu in [("5 KB", 5_000, given.cpu_per_gb_small), ("1 MB", 1_000_000, given.cpu_per_gb)]:
        compute, requests, puts = landfall(given, size, cpu)
        print(f"| landfall, objects of {name} | {compute:.2f} | {requests:.2f} | {compute + requests:.2f} | {compute + requests + puts:,.2f} |")
    for name, record in [(f"records of {given.record} bytes", given.record), ("records packed to 5 KB", FIREHOSE_RECORD)]:
        price = firehose(record)
        print(f"| Firehose to Parquet, {name} | | | {price:.2f} | {price:,.2f} |")


if __name__ == "__main__":
    main()
