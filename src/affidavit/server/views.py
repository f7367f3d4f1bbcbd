"""What the API shows of values: JSON shapes, documented in docs/reference/http.md."""

from __future__ import annotations

from typing import Any

from affidavit.capture.administration import Result
from affidavit.capture.declared import Difference
from affidavit.evidence.export import record_fields
from affidavit.evidence.sentence import headline, sentence
from affidavit.record.read import Record
from affidavit.search.matching import Match
from affidavit.server.services import Services


def record_view(record: Record, services: Services) -> dict[str, Any]:
    """A record with every field, and what it says in words."""
    bound_ns = services.bounds(record.header)
    names = services.live.name_of
    head = headline(record, names)
    return {
        **record_fields(record),
        "bound_ns": bound_ns,
        "sentence": sentence(record, names, bound_ns),
        "headline": {"who": head.who, "what": head.what, "verdict": head.verdict, "below": head.below},
    }


def match_view(record: Record, how: Match, services: Services) -> dict[str, Any]:
    """A record that was found, and how surely it is what was asked for."""
    return {**record_view(record, services), "match": how}


def result_view(result: Result) -> dict[str, Any]:
    """What a wish became."""
    return {
        "kind": result.kind,
        "index": result.index,
        "change": result.change,
        "state": result.state,
        "differences": [difference_view(item) for item in result.differences],
    }


def difference_view(item: Difference) -> dict[str, Any]:
    """One object's change."""
    return {
        "name": item.name,
        "shown": item.shown,
        "based": item.based,
        "before": item.before,
        "after": item.after,
    }
