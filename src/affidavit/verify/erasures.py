"""Why something cannot be looked at because of an erasure, in words that name both records."""

from __future__ import annotations

from affidavit.state.hidden import ErasedContent, Hidden, bearing, erased_words
from affidavit.state.policy import LOG_SYSTEM
from affidavit.state.view import StateView
from affidavit.verify.line import Line

#: Why a body and its stub may both be there.
ERASING = "an erasure that is not published yet is under way or was cut short (start the writer, then verify again)"


def erased_reason(line: Line) -> str:
    """Why nothing can be said of a line whose own body was erased; empty where it was not."""
    return "" if line.erased is None else erased_words([Hidden(line.index, line.erased.by)])


def hidden_reason(state: StateView, actor: str | None, system: str | None) -> str:
    """Why the context of `actor` on `system` (None: the log) cannot be made again under `state`; empty where it can."""
    if not state.hidden or actor is None:
        return ""
    groups = [group for group, _ in state.groups_of(actor)]
    hidden = tuple(bearing(state.hidden, actor, system or LOG_SYSTEM, groups))
    return f"not replayable: {ErasedContent(hidden).reason}" if hidden else ""
