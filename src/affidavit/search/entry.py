"""What the index holds of a record: the terms of every field, and the seconds that its time may lie between."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from affidavit.record.moment import NS, parse_moment
from affidavit.record.read import Record
from affidavit.search import blinding as terms_of
from affidavit.search import fields as fields_of
from affidavit.search.blinding import Blinding
from affidavit.search.fields import FIELDS
from affidavit.search.matching import BoundOf

#: Fields that the index has columns of its own for.
_COLUMNS = frozenset({"index", "at"})
_WORDS = tuple(field for field in FIELDS.values() if field.kind != "text" and field.name not in _COLUMNS)
_TEXTS = tuple(field for field in FIELDS.values() if field.kind == "text")


def _made_by() -> str:
    told = hashlib.blake2b(digest_size=16)
    for name in (__file__, fields_of.__file__, terms_of.__file__):
        told.update(Path(name).read_bytes())
    return told.hexdigest()


#: A digest of the code that entries follow from: an index that other code made may lack what this one asks for.
MADE_BY = _made_by()


class Entry:
    """What the index holds of a record: its index, the seconds that its time may lie between, its terms. And `raw`, the
    bytes of its header, by which a volume is known to be about this log."""

    __slots__ = ("from_s", "index", "line", "raw", "to_s")

    def __init__(self, index: int, raw: bytes, from_s: int, to_s: int, terms: Iterable[str]) -> None:
        self.index = index
        self.raw = raw
        self.from_s = from_s
        self.to_s = to_s
        self.line = f'{{"index":{index},"from":{from_s},"to":{to_s},"terms":[{",".join(terms)}]}}'


def entry_of(record: Record, blinding: Blinding, bound_of: BoundOf) -> Entry:
    """The entry of `record`. Its time is widened to whole seconds, so that the clock's bound, which a body says, is
    not in the files."""
    at_ns, bound_ns = parse_moment(record.header.time.at), bound_of(record.header) or 0
    terms: set[str] = set()
    for field in _WORDS:
        for value in field.values(record):
            terms.update(blinding.value(field.name, value))
    for field in _TEXTS:
        for text in field.values(record):
            terms.update(blinding.text(str(text)))
    return Entry(record.index, record.raw, max(0, at_ns - bound_ns) // NS, (at_ns + bound_ns) // NS, terms)
