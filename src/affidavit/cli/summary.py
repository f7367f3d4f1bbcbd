"""`affidavit timeline QUERY --count | --facet FIELD | --histogram STEP`: how many records, of whom, and when."""

from __future__ import annotations

from typing import Any

from affidavit.cli.client import connect
from affidavit.cli.options import Common
from affidavit.cli.output import print_json, print_table, say
from affidavit.cli.watching import answered
from affidavit.evidence.wording import count_words

_BAR_CHARS = 48
_BLOCKS = " ▏▎▍▌▋▊▉█"


def show_summary(query: str, facet: str | None, step: str | None, common: Common) -> int:
    """Ask and print. Returns the exit status."""
    asked: dict[str, Any] = {"query": query, "facet": facet, "step": step}
    given = {name: value for name, value in asked.items() if value is not None}
    with connect(common) as client:
        answer = answered(client.asked("/v1/summary", **given), "Reading the log", shown=not common.json)
    if common.json:
        print_json(answer)
        return 0
    say(f"{_counted(answer['count'])} of {answer['size']:,}", "strong")
    if facet is not None:
        _show_values(answer)
    if step is not None:
        _show_steps(answer["steps"])
    return 0


def _counted(count: dict[str, int]) -> str:
    possibly = f", and possibly {count['possibly']:,} more, whose clocks leave it open" if count["possibly"] else ""
    return f"{count_words(count['certainly'], 'record')}{possibly},"


def _show_values(answer: dict[str, Any]) -> None:
    rows = [_row(item["shown"], item) for item in answer["values"]]
    if answer["unsaid"]["certainly"] or answer["unsaid"]["possibly"]:
        rows.append(_row("(says nothing)", answer["unsaid"]))
    say()
    print_table((answer["facet"], "records", "possibly"), rows)
    more = answer["different"] - len(answer["values"])
    if more:
        say(f"and {count_words(more, 'other value')}", "dim")


def _row(name: str, item: dict[str, int]) -> tuple[str, str, str]:
    return name, f"{item['certainly']:,}", f"{item['possibly']:,}" if item["possibly"] else ""


def _show_steps(steps: list[dict[str, Any]]) -> None:
    most = max((item["certainly"] + item["possibly"] for item in steps), default=0)
    say()
    for item in steps:
        count = item["certainly"] + item["possibly"]
        say(f"{item['at'][:10]} {item['at'][11:19]} UTC  {count:>9,}  {_bar(count, most)}".rstrip())


def _bar(count: int, most: int) -> str:
    """A bar in eighths of a character; whatever is there at all is seen."""
    eighths = max(1, count * _BAR_CHARS * 8 // most) if count else 0
    return "█" * (eighths // 8) + _BLOCKS[eighths % 8].strip()
