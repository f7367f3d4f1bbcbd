"""`affidavit show INDEX`: one record whole."""

from __future__ import annotations

from affidavit.cli.client import connect
from affidavit.cli.lines import json_text, say_behind, say_when
from affidavit.cli.options import DEFAULTS, Common, index_of
from affidavit.cli.output import print_json, say

_BODY_STATES = {
    "none": "This kind of record has no body here.",
    "erased": "The body was erased by record {erased_by}: see `affidavit show {erased_by}`.",
    "unreadable": "The body is encrypted under a key that is not in secrets/body.keys.",
}


def show(index: str, /, *, common: Common = DEFAULTS) -> int:
    """A record: its sentence, who stands behind it, its header, its body, every field."""
    with connect(common) as client:
        view = client.get(f"/v1/records/{index_of(index)}")
    if common.json:
        print_json(view)
        return 0
    say(view["sentence"], "strong")
    say_when(view["when"])
    say()
    say("behind")
    say_behind(view["behind"])
    say("header")
    say(json_text(view["header"]))
    say("body")
    say(json_text(view["body"]) if view["body"] is not None else _BODY_STATES[view["body_state"]].format(**view))
    return 0
