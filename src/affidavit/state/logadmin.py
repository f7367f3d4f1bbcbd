"""Who may rotate the log's key or erase a body: whom policy lets administer the log. Pure: verify decides it again."""

from __future__ import annotations

from affidavit.state.context import build_context
from affidavit.state.deciding import Authorization, Decider, Request
from affidavit.state.policy import LOG_SYSTEM
from affidavit.state.view import StateView


def decide_log_admin(state: StateView, actor: str, at_ns: int) -> Authorization:
    """The decision on `admin` of the log by `actor` at `at_ns` (nanoseconds since 1970)."""
    decider = Decider(build_context(state, actor, LOG_SYSTEM), state)
    return decider.decide((Request("admin", "Log", LOG_SYSTEM),), {}, at_ns)
