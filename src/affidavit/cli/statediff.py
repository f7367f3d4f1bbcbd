"""`affidavit state diff A [B] [PREFIX]`: what became different between two moments, and the records that did it."""

from __future__ import annotations

from affidavit.cli.client import connect
from affidavit.cli.options import DEFAULTS, Common
from affidavit.cli.output import print_json, say
from affidavit.cli.statehistory import difference_text
from affidavit.evidence.wording import place_words

_SIGNS = {
    "added": ("+", "allow", ""),
    "removed": ("-", "deny", ""),
    "changed": ("~", "change", ""),
    "none": ("=", "dim", " is as it was"),
    "erased": ("?", "unknown", " is not known: what was put was erased"),
}


def diff(a: str, b: str = "now", prefix: str = "", /, *, common: Common = DEFAULTS) -> int:
    """What differs between the state at A and the later one at B (an index, a time, or now).

    PREFIX shows only what begins so. + was added, - removed, ~ changed; = was touched and is as before; ? was
    erased. For example: affidavit state diff 2026-11-22T14:00 2026-11-22T15:00 grant/
    """
    with connect(common) as client:
        answer = client.get("/v1/state/diff", a=a, b=b, prefix=prefix)
    if common.json:
        print_json(answer)
        return 0
    for name in ("a", "b"):
        say(f"{name.upper()}: state {answer[name]['state']}, {place_words(answer[name])}", "dim")
    for item in answer["objects"]:
        sign, style, words = _SIGNS[item["change"]]
        by = f"record {', '.join(map(str, item['records']))}"
        say(f"{sign} {item['shown']}{words}  ({by})", style)
        for part in item["difference"]:
            say(f"    {difference_text(part, item['change'])}")
    if not answer["objects"] and not answer["erased"]:
        say("No difference, and nothing was touched in between.")
    for item in answer["erased"]:
        say(f"Not known whole: record {item['index']}, which record {item['by']} erased.", "unknown")
    if answer["records"]:
        say()
        say("The records that did it", "strong")
    for item in answer["records"]:
        say(f"  {item['index']}: {item['sentence']}")
    return 0
