"""What a `drift` record says of itself: which of its lines a record of ours explains, and which none does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def unexplained(content: Mapping[str, Any]) -> list[str]:
    """The fields of a drift that no record of ours explains. The first sight of an upstream needs none."""
    objects, lines = content.get("objects"), content.get("difference")
    first = isinstance(objects, list) and bool(objects) and objects[0].get("based") is None
    if first or not isinstance(lines, list):
        return []
    return [str(line.get("field")) for line in lines if isinstance(line, dict) and "record" not in line]


def explaining(content: Mapping[str, Any]) -> list[int]:
    """The records that explain lines of a drift, in order."""
    lines = content.get("difference")
    return sorted({line["record"] for line in lines if isinstance(line, dict) and "record" in line}) if lines else []
