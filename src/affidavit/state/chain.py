"""The states that held in a stretch of the log, by headers alone.

Each header says the index after the last record that changed state before it (`log.state`), and each such record its
root. So the changes form a chain that is walked back from any header, and none can be left out of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from affidavit.errors import VerificationError
from affidavit.record.header import Header
from affidavit.state.trie import EMPTY


@dataclass(frozen=True, slots=True)
class Held:
    """The state map had the root `root` from the state index `since` on. `by` is the record that gave it that, None
    for the empty map before the first change."""

    since: int
    by: int | None
    root: bytes


def states_between(header: Callable[[int], Header], first: int, last: int) -> list[Held]:
    """The states that held from the state index `first` to `last`, both included, oldest first.

    The oldest is said to hold since `first`, though it may be older. `header` gives the header at an index; it is asked
    for the one at `last` - 1 and then for each change back to the one that held at `first`. Raises `VerificationError`
    where the chain does not run backwards, and what `header` raises.
    """
    found: list[Held] = []
    below = last
    if last > 0:
        newest = header(last - 1)
        below = last if newest.root is not None else newest.log.state
    while below > 0:
        by = below - 1
        if by >= last:
            raise _broken(by)
        changed = header(by)
        if changed.root is None or changed.log.state > by:
            raise _broken(by)
        found.append(Held(max(below, first), by, bytes.fromhex(changed.root)))
        if below <= first:
            break
        below = changed.log.state
    else:
        if below < 0:
            raise _broken(below)
        found.append(Held(first, None, EMPTY))
    return found[::-1]


def _broken(index: int) -> VerificationError:
    return VerificationError("stateproof.chain", f"Record {index} is named as the last change, and cannot be that.")
