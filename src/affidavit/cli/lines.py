"""How records look on a terminal: one compact line and what it says below it, the same in every command."""

from __future__ import annotations

import json
from typing import Any

from rich.text import Text

from affidavit.cli.output import STYLES, console, printable, say
from affidavit.evidence.wording import moment_words
from affidavit.record.kinds import STATE_KINDS

_CHANGES = STATE_KINDS | {"proposal", "approval"}
_INDEX_WIDTH = 6


def print_record(view: dict[str, Any], note: str = "") -> None:
    """A record of the timeline: index, time with zone and bound, who, what, what became of it; the text below.

    What changes the state stands out by a mark, `*`, not by colour alone; gaps by `!`.
    """
    header, head = view["header"], view["headline"]
    kind = header["kind"]
    mark, style = ("*", "change") if kind in _CHANGES else ("!", "unknown") if kind == "log.gap" else (" ", "")
    line = Text(f"{mark}{view['index']:>{_INDEX_WIDTH}}  ", STYLES.get(style, ""))
    line.append(f"{moment_words(header['time']['at'], view['bound_ns'])}  ", "dim")
    if head["who"]:
        line.append(printable(head["who"]), "bold")
        line.append(" ")
    line.append(printable(head["what"]), STYLES.get(style, ""))
    if head["verdict"]:
        decision = header.get("decision") or ""
        line.append(f"  [{head['verdict']}]", STYLES.get(decision, ""))
    if note:
        line.append(f"  ({note})", "dim")
    console().print(line)
    if head["below"]:
        console().print(Text(f"{'':>{_INDEX_WIDTH + 3}}{printable(head['below'])}", "dim"))


def say_when(when: dict[str, Any]) -> None:
    """When it happened, as far as that is claimed and proven: a sentence a line."""
    for sentence in when["sentences"]:
        say(f"  {sentence}")


def say_behind(behind: dict[str, Any] | None) -> None:
    """Who stands behind a record, how that was proved, who gave the means, and what nobody can know."""
    if behind is None:
        say("  Nobody: the log wrote it by itself, or nobody was known yet.")
        return
    proved = "" if behind["credential"] is None else f", proved by {behind['credential']} ({behind['how']})"
    came = [f"from {behind['address']}"] if behind["address"] else []
    came += [f"with an application that calls itself {behind['application']!r}"] if behind["application"] else []
    came += [f"through the account {behind['account']}"] if behind["account"] else []
    say(f"  {behind['handle']}, {behind['kind'] or 'unknown'}{proved}{', ' if came else ''}{', '.join(came)}")
    for one in behind["given"]:
        # The label of a machine's user only repeats its name.
        label = f" (“{one['label']}”)" if one["label"] and one["credential"].startswith("token-") else ""
        say(f"  {one['credential']}{label} was given by {one['given_by']}, {one['kind']}, in record {one['record']}")
    if behind["human"] is not None:
        say(f"  The human who answers for it: {behind['human']}")
    for text in behind["unknown"]:
        say(f"  Not known: {text}", "unknown")


def json_text(value: Any) -> str:
    """A value as indented JSON, for people."""
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
