"""The closed list of kinds, and what a header of each kind must and may refer to.

The sequencer refuses a draft that breaks a rule here; verify fails a record that does. Both read this table.
"""

from __future__ import annotations

from dataclasses import dataclass

BASES = frozenset({"observed", "asserted", "imported"})
GUARANTEES = frozenset({"before_action", "before_answer", "after"})
DECISIONS = frozenset({"allow", "deny", "none"})
OUTCOMES = frozenset({"ok", "error", "none", "unknown"})
ACTIONS = frozenset({"read", "write", "define", "grant", "login", "session", "admin"})


@dataclass(frozen=True)
class KindRule:
    """What holds for every record of a kind.

    `needs`: header fields that must be present. `ref`: kinds that `ref` may name (empty: no `ref`).
    `state`: the kind changes state: it carries `root` and `decided`, and nothing else does.
    `erasable`: its body may be erased.
    """

    needs: frozenset[str] = frozenset()
    ref: frozenset[str] = frozenset()
    state: bool = False
    erasable: bool = True


def _rule(needs: str = "", ref: str = "", state: bool = False, erasable: bool = True) -> KindRule:
    return KindRule(frozenset(needs.split()), frozenset(ref.split()), state, erasable)


KINDS: dict[str, KindRule] = {
    "log.open": _rule("body", erasable=False),
    "log.close": _rule("body"),
    "log.gap": _rule("body", erasable=False),
    "log.heartbeat": _rule("body", erasable=False),
    "log.key": _rule("body", erasable=False),
    "log.read": _rule("actor body"),
    "log.export": _rule("actor body"),
    "log.verdict": _rule("body"),
    "log.import": _rule("actor body"),
    "change": _rule("actor action decision decided root body", ref="proposal", state=True),
    "proposal": _rule("actor action decision decided body"),
    "approval": _rule("actor action decision decided ref body", ref="proposal access"),
    "lapse": _rule("decided root body", state=True),
    "drift": _rule("decided root system body", state=True),
    "session.open": _rule("system action decision outcome body"),
    "session.close": _rule("actor session system outcome body"),
    "context": _rule("actor system decided body"),
    "presented": _rule("actor session system body"),
    "access": _rule("actor session system action decision outcome context decided body"),
    "access.intent": _rule("actor session system action decision context decided body"),
    "access.outcome": _rule("actor session system outcome ref body", ref="access.intent"),
    "transaction": _rule("actor session system outcome body", ref="access access.intent"),
    "clock": _rule("body", erasable=False),
    "anchor": _rule("body", erasable=False),
    "review": _rule("actor body", ref="*"),
    "erase": _rule("actor ref decision decided body", ref="*", erasable=False),
}

STATE_KINDS = frozenset(kind for kind, rule in KINDS.items() if rule.state)
#: Records whose decision is ours: refused with `Conflict` when the state has moved on since they were decided.
DECIDED_KINDS = frozenset(
    {
        "change",
        "proposal",
        "approval",
        "lapse",
        "drift",
        "session.open",
        "context",
        "access",
        "access.intent",
        "erase",
        "review",
    }
)
