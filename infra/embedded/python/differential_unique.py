"""Unique keys in the differential test: how they are asked for, and which records of a batch have one of their own."""

from collections import defaultdict

from compare import parse_type
from differential_json import Misfit
from differential_partitions import place_of
from differential_texts import bare
from differential_tracking import choose_key


class NotUnique(Misfit):
    """A record with the unique key of an earlier one of its batch."""

    reason = "not_unique"


def make_unique(draw, contract):
    """Asks for a key of one to three columns, whose values come again in other records."""
    names = [column["name"] for column in choose_key(draw, contract)]
    if len(names) > 1 and draw.chance(0.8):
        # With the id none comes again.
        names = [name for name in names if name != "id"]
    contract["unique_key"] = names
    if contract["on_violation"] == "strict":
        # Few of these are staged.
        draw.share_again, draw.most_earlier = 0.5, 10
    draw.repeated_columns = [column for column in contract["columns"][1:] if column["name"] in contract["unique_key"]]


def key_of(row, contract):
    """The texts of the key's values; none where the contract has no key."""
    kinds = {column["name"]: parse_type(column["type"]) for column in contract["columns"]}
    return tuple(bare(row[name], kinds[name]) for name in contract.get("unique_key", []))


def admit(row, contract, batch, taken):
    """The place of a row, whose unique key is no other's of its batch from now on; a misfit where it has none."""
    if isinstance(row, Misfit):
        raise row
    key = key_of(row, contract)
    if taken.is_taken(batch, key):
        raise NotUnique("an earlier record of the batch has its unique key")
    place = place_of(row, contract, batch)
    taken.take(key)
    return place


class Taken:
    """The keys that records of each batch have, those of the current object apart: it may be set aside."""

    def __init__(self):
        self.batches = defaultdict(set)
        self.of_object = set()
        # Those that objects had which were set aside.
        self.given_back = defaultdict(set)

    def is_taken(self, batch, key):
        return bool(key) and (key in self.of_object or key in self.batches[batch])

    def was_given_back(self, batch, key):
        return bool(key) and key in self.given_back[batch]

    def take(self, key):
        self.of_object.add(key)

    def keep(self, batch):
        """The current object is delivered."""
        self.batches[batch] |= self.of_object
        self.of_object = set()

    def give_back(self, batch):
        """The current object is set aside."""
        self.given_back[batch] |= self.of_object
        self.of_object = set()
