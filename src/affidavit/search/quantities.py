"""Numbers as people type them in a query: counts, sizes (`10MB`) and lengths of time (`500ms`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from affidavit.errors import InvalidInput
from affidavit.limits import INTEGER_MAX
from affidavit.record.moment import NS
from affidavit.search.fields import Unit

_NUMBER = re.compile(r"(\d{1,19})(?:\.(\d{1,9}))?([A-Za-z]*)", re.ASCII)
_UNITS: Final[Mapping[Unit, Mapping[str, int]]] = {
    "": {"": 1},
    "bytes": {
        "": 1,
        "b": 1,
        "kb": 10**3,
        "mb": 10**6,
        "gb": 10**9,
        "kib": 2**10,
        "mib": 2**20,
        "gib": 2**30,
    },
    "duration": {
        "ns": 1,
        "us": 1_000,
        "ms": 1_000_000,
        "s": NS,
        "m": 60 * NS,
        "h": 3_600 * NS,
        "d": 86_400 * NS,
    },
}
_WRITE: Final[Mapping[Unit, str]] = {
    "": "Write a whole number.",
    "bytes": "Write 1000, 64kB, 10MB or 1GiB.",
    "duration": "Write a number with its unit: 500ms, 2s, 5m, 1h, 1d.",
}


def read_number(text: str, unit: Unit) -> int:
    """The whole number that `text` means: of bytes, of nanoseconds, or of what is counted. Raises `InvalidInput`."""
    match = _NUMBER.fullmatch(text)
    factor = None if match is None else _UNITS[unit].get(match[3].lower())
    if match is None or factor is None:
        what = {"": "number", "bytes": "number of bytes", "duration": "length of time"}[unit]
        raise InvalidInput("query.number", f"{text[:40]!r} is no {what}.", _WRITE[unit])
    fraction = match[2] or ""
    parts: int = 10 ** len(fraction)
    rest, odd = divmod(int(fraction or 0) * factor, parts)
    value = int(match[1]) * factor + rest
    if odd or value > INTEGER_MAX:
        raise InvalidInput("query.number", f"{text[:40]!r} is too fine or too large to be compared.", _WRITE[unit])
    return value
