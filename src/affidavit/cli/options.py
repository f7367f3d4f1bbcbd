"""Options that every command has, and small readers of what people type."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from affidavit.errors import InvalidInput

_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"(\d{1,9})([smhd])")


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """Which log, who asks, and how to print."""

    data: Annotated[Path, Parameter(env_var="AFFIDAVIT_DATA", help="The data folder.")] = Path("affidavit-data")
    token: Annotated[
        str | None,
        Parameter(
            env_var="AFFIDAVIT_TOKEN",
            show_default=False,
            help="Act as the owner of this personal token, not as your user of this machine.",
        ),
    ] = None
    json: Annotated[bool, Parameter(negative="", show_default=False, help="Print JSON.")] = False


DEFAULTS = Common()
Reason = Annotated[str, Parameter(help="Why. It stands in the log.")]
Ticket = Annotated[str, Parameter(help="The ticket that asks for it.", show_default=False)]
From = Annotated[
    str | None, Parameter(name="--from", show_default=False, help="From this index or time; else from the start.")
]
To = Annotated[str | None, Parameter(show_default=False, help="Up to this index or time; else up to now.")]
Words = Annotated[tuple[str, ...], Parameter(allow_leading_hyphen=True)]


def duration_s(text: str) -> int:
    """The seconds in `2h`, `90m`, `1h30m`, `7d`. Raises `InvalidInput`."""
    parts = _DURATION.findall(text)
    if not parts or "".join(count + unit for count, unit in parts) != text:
        raise InvalidInput("duration", f"{text!r} is no length of time.", "Write 90s, 30m, 2h or 7d.")
    return sum(int(count) * _UNITS_S[unit] for count, unit in parts)


def index_of(text: str) -> int:
    """A record's index as people type it. Raises `InvalidInput`."""
    digits = text.replace(",", "")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 16:
        raise InvalidInput(
            "index", f"{text!r} is no record's index.", "Give a number, as `affidavit timeline` shows it."
        )
    return int(digits)


def joined(words: Sequence[str]) -> str:
    """A query from its words. Raises `InvalidInput` for what was meant as an option."""
    for word in words:
        if word.startswith("--"):
            raise InvalidInput(
                "cli.usage", f"Unknown option: {word.partition('=')[0]}.", "The command's --help has all options."
            )
    return " ".join(words)
