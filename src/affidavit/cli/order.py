"""`affidavit order A B`: which of two things happened first, and what that rests on."""

from __future__ import annotations

from typing import Any

from affidavit.cli.client import connect
from affidavit.cli.lines import say_when
from affidavit.cli.options import DEFAULTS, Common, index_of
from affidavit.cli.output import print_json, say

_AMBIGUOUS = 4
_STATUS = {"a": 0, "b": 1, "unknown": _AMBIGUOUS}


def order(a: str, b: str, /, *, common: Common = DEFAULTS) -> int:
    """Whether what record A tells happened before what record B tells.

    The answer is *proven* (by what a record names, by its session, by time-stamps), *by interval* (by the times that
    both records claim, each with its bound, or by one clock that was not set in between), or *ambiguous*. The order of
    recording is always known: it is the position in the log.

    Exit status: 0 A happened first, 1 B happened first, 4 ambiguous; 2 and 3 as everywhere.
    """
    with connect(common) as client:
        answer = client.get("/v1/order", a=index_of(a), b=index_of(b))
    if common.json:
        print_json(answer)
        return _STATUS[answer["first"]]
    style = {"proven": "allow", "interval": "change", "ambiguous": "unknown"}[answer["result"]]
    result = {"proven": "Proven.", "interval": "By interval.", "ambiguous": "Ambiguous."}[answer["result"]]
    say(f"{result} {answer['sentence']}", style)
    say(answer["because"])
    if answer["recorded_first"] != "unknown":
        first, second = (answer["a"], answer["b"]) if answer["recorded_first"] == "a" else (answer["b"], answer["a"])
        say(f"Recorded: {first['index']} before {second['index']}, by position in the log.")
    for event in (answer["a"], answer["b"]):
        _event(event)
    return _STATUS[answer["first"]]


def _event(event: dict[str, Any]) -> None:
    say()
    say(f"{event['index']}  {event['sentence']}", "strong")
    say_when(event["when"])
    if event["when"]["proven"]["made_after"] is not None:
        say(f"  It names record {event['when']['proven']['made_after']}, so it was made after that was sealed.")
