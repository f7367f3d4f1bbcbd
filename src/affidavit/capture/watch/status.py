"""How it goes with a watch, for whoever tells it without watching."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from affidavit.capture.watch.direct import Direct


@dataclass(frozen=True)
class WatchStatus:
    """How it goes with one upstream. `looked_ns`: when the last look succeeded. `sees` is None before the first one;
    `hidden`, `direct` are as of it. `runs`: a watcher runs in this process."""

    system: str
    database: str
    role: str
    interval_s: int
    runs: bool
    looked_ns: int | None = None
    failing_since_ns: int | None = None
    failures: int = 0
    problem: str = ""
    sees: bool | None = None
    hidden: int = 0
    direct: tuple[Direct, ...] = ()
