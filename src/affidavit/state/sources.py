"""Sources that declare a heartbeat, and what counts as their silence (docs/spec/state.md, "Sources").

A source with `heartbeat_s` is heard of by `log.heartbeat` records that name it. It is silent when nothing was heard for
`heartbeat_s` and half of that again, at least `HEARTBEAT_TOLERANCE_S_MIN`. Each version of the declaration begins a new
expectation: what was silent under an older one is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from affidavit.limits import HEARTBEAT_TOLERANCE_S_MIN
from affidavit.state.view import StateView

_PREFIX = "source/"


@dataclass(frozen=True, slots=True)
class Expected:
    """A declared heartbeat. `declared` is the index of the record that put it."""

    name: str
    kind: str
    system: str | None
    heartbeat_s: int
    declared: int

    @property
    def tolerance_s(self) -> int:
        """How much later than `heartbeat_s` a heartbeat may come."""
        return tolerance_s(self.heartbeat_s)


def tolerance_s(heartbeat_s: int) -> int:
    """Half of the heartbeat, at least `HEARTBEAT_TOLERANCE_S_MIN`."""
    return max(HEARTBEAT_TOLERANCE_S_MIN, heartbeat_s // 2)


def expected(name: str, value: Mapping[str, Any], declared: int) -> Expected | None:
    """What `source/NAME` of this value and version declares; None where it has no heartbeat."""
    beat = value.get("heartbeat_s")
    if not isinstance(beat, int):
        return None
    return Expected(name.removeprefix(_PREFIX), str(value.get("kind")), value.get("system"), beat, declared)


def expected_sources(state: StateView) -> dict[str, Expected]:
    """All declared heartbeats by the source's name."""
    found: dict[str, Expected] = {}
    for name in state.names(_PREFIX):
        version = state.get(name)
        declared = None if version is None else expected(name, version.value, version.version)
        if declared is not None:
            found[declared.name] = declared
    return found
