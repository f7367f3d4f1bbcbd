"""One statement on its way through the gateway, and the messages whose answers are awaited."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from affidavit.capture.gateway.outbox import Gate
from affidavit.capture.gateway.planning import Plan
from affidavit.capture.gateway.rendering import Capture, Parameters, Result, Subjects
from affidavit.state.deciding import Authorization
from affidavit.wire.postgres.backend_messages import Column

if TYPE_CHECKING:
    from affidavit.capture.gateway.transactions import Transaction

BEFORE_ACTION, BEFORE_ANSWER, AFTER = "before_action", "before_answer", "after"


@dataclass(frozen=True)
class View:
    """The state that a session decides under: a recorded context and what follows from it.

    `until_ns`: when the credential that the session logged in with ends; None where it does not.
    """

    state: int
    context: int
    capture: Capture
    read_guarantee: str
    write_guarantee: str
    until_ns: int | None = None


@dataclass(slots=True, eq=False)
class Unit:
    """A statement that was decided. `at_ns` is the moment of the decision, `started_ns` monotonic."""

    plan: Plan
    view: View
    authorization: Authorization
    guarantee: str
    at_ns: int
    started_ns: int
    protocol: str
    result: Result
    prepared: str = ""
    parameters: Parameters | None = None
    subjects: Subjects | None = None
    columns: tuple[Column, ...] = ()
    watched: tuple[tuple[int, str], ...] = ()  # columns of the result that hold data subjects: position, name
    intent: int | None = None  # index of its access.intent
    intent_pending: bool = False
    gate: Gate | None = None
    begun: bool = False
    finished: bool = False
    outcome: str = ""
    duration_ns: int = 0
    transaction: Transaction | None = None
    sent_copy_bytes: int = 0


@dataclass(slots=True, eq=False)
class Prepared:
    """A prepared statement as the client named it. `pending` until the upstream has confirmed it."""

    name: bytes
    query: bytes
    plans: tuple[Plan, ...]
    oids: tuple[int, ...]
    segment: int
    pending: bool = True
    columns: tuple[Column, ...] = ()
    unit: Unit | None = None  # as it was decided at Parse, to record a failure there


@dataclass(slots=True, eq=False)
class Portal:
    """A bound statement. `pending` until the upstream has confirmed it."""

    name: bytes
    statement: Prepared | None
    parameters: Parameters
    result_formats: tuple[int, ...]
    segment: int
    pending: bool = True
    columns: tuple[Column, ...] = ()


@dataclass(slots=True, eq=False)
class Expected:
    """A message that went upstream, whose answer is due. `denied` is the error that replaces the upstream's."""

    code: int
    segment: int
    units: list[Unit] = field(default_factory=list)
    statement: Prepared | None = None
    portal: Portal | None = None
    before: Prepared | Portal | None = None  # what the name meant before
    denied: bytes | None = None
    own: bool = False  # ours: its answers are not for the client
    answered: bool = False


def name_text(name: bytes) -> str:
    """A name of the protocol as it stands in records."""
    return name.decode("utf-8", "backslashreplace")
