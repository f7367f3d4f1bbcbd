"""One line of the log as it came out of the archive: its header, and its body or why there is none to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from affidavit.record.body import Erased
from affidavit.record.header import Header
from affidavit.tlog.tiles import entries_path

#: `none`: the header names no body. `unread`: bodies were not asked for, or no key opens it. The rest is as it says.
Why = Literal["", "none", "unread", "erased", "absent", "altered"]


@dataclass(frozen=True, slots=True)
class Line:
    """A record whose header was read. `content` is the body where it could be read; else `why` says why not.

    `where` is the path of the entry bundle that holds it, below the archive. `erased` is the stub of an erased body.
    """

    index: int
    header: Header
    content: dict[str, Any] | None
    why: Why
    where: str
    erased: Erased | None = None


def entry_place(bundle: int, width: int) -> str:
    """The path of an entry bundle, as findings name it."""
    return f"log/{entries_path(bundle, width)}"


def body_place(bundle: int, width: int) -> str:
    """The path of a body bundle, as findings name it."""
    return f"bodies/{body_path(bundle, width)}"


def body_path(bundle: int, width: int) -> str:
    """The path of a body bundle below `bodies`: numbered as entry bundles are."""
    return entries_path(bundle, width).removeprefix("tile/entries/")
