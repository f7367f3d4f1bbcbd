"""What people mean by a resource and by facts when they ask who could or did, as what policies are asked with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from affidavit.errors import InvalidInput
from affidavit.state.changing import action_for
from affidavit.state.deciding import Request
from affidavit.state.facts import CHANGE_FACTS, FACTS, SESSION_FACTS, STATEMENT_FACTS, Fact, cedar_context
from affidavit.state.objects import KINDS, parse_name
from affidavit.state.policy import LOG_SYSTEM
from affidavit.state.schema import ACTIONS
from affidavit.state.view import StateView

SYSTEM, TABLE, LOG, KIND, OBJECT = "System", "Table", "Log", "ObjectKind", "Object"
_TRUTH: Final = {"true": True, "false": False}


@dataclass(frozen=True)
class Resource:
    """What is asked about: an entity's `type` and `id`, and the `system` that it belongs to, or `log`."""

    type: str
    id: str
    system: str

    @property
    def shown(self) -> str:
        """As people name it."""
        return f"{self.id}/" if self.type == KIND else self.id

    @property
    def of_log(self) -> bool:
        """Whether it is the log, or an object of its state."""
        return self.system == LOG_SYSTEM

    @property
    def is_object(self) -> bool:
        """Whether it is an object of the log's state, or all of a kind."""
        return self.type in (OBJECT, KIND)

    @property
    def table(self) -> str:
        """`schema.name` of a table."""
        return self.id.partition("/")[2]

    def request(self, action: str) -> Request:
        """The question that a gateway, or the administration of the log, would ask. Raises `InvalidInput`."""
        if action not in ACTIONS:
            raise InvalidInput("who.action", f"There is no action `{action[:40]}`.", f"Known: {', '.join(ACTIONS)}.")
        if self.is_object:
            asked = action_for(self.id.partition("/")[0])
            if action != asked:
                raise InvalidInput(
                    "who.action",
                    f"A change of `{self.shown}` is asked of policy as `{asked}`, not as `{action}`.",
                    f"Ask `who can {asked} {self.shown}`.",
                )
        return Request(action, self.type, self.id)

    def unknown(self, action: str, given: Mapping[str, Fact]) -> frozenset[str]:
        """Names of the facts that such a request may come with, and that were not given."""
        if self.is_object:
            names = set(CHANGE_FACTS)
        elif self.of_log:
            names = set()
        elif action == "login":
            names = set(SESSION_FACTS)
        else:
            names = {*SESSION_FACTS, *STATEMENT_FACTS}
        return frozenset(names - given.keys())


def resource_named(text: str, state: StateView) -> Resource:
    """The resource that `text` names in `state`: `clinic`, `clinic/public.patients`, `log`, `grant/` (any grant), or an
    object with people by handle, such as `grant/ana/recall`. It need not exist, but a system must.

    Raises `InvalidInput`.
    """
    first, slash, rest = text.partition("/")
    if text == LOG_SYSTEM:
        return Resource(LOG, LOG_SYSTEM, LOG_SYSTEM)
    if _is_system(first, state):
        if not slash:
            return Resource(SYSTEM, first, first)
        if "." not in rest:
            raise InvalidInput("who.resource", f"`{text[:120]}` is no table.", f"Write {first}/SCHEMA.TABLE.")
        return Resource(TABLE, text, first)
    if first in KINDS:
        if not rest:
            return Resource(KIND, first, LOG_SYSTEM)
        named = "/".join([first, *(state.identity_of_handle(part) or part for part in rest.split("/"))])
        return Resource(OBJECT, parse_name(named).text, LOG_SYSTEM)
    systems = ", ".join(name.partition("/")[2] for name in state.names("system/")) or "none"
    raise InvalidInput(
        "who.resource",
        f"`{text[:120]}` is no system, table or object there was then.",
        f"Systems were: {systems}. Else write log, or KIND/NAME as `affidavit state at` shows it.",
    )


def facts_given(pairs: Mapping[str, str]) -> dict[str, Fact]:
    """Facts as people type them: `tls=true`, `approvals=1`, `tables=public.a,public.b`. Raises `InvalidInput`."""
    facts = {name: _fact(name, text) for name, text in pairs.items()}
    cedar_context(tuple(sorted(facts.items())))
    return facts


def _fact(name: str, text: str) -> Fact:
    kind = FACTS.get(name)
    cedar = "" if kind is None else kind.cedar
    if cedar == "Bool":
        return _TRUTH.get(text, text)
    if cedar == "Long":
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else text
    return tuple(text.split(",")) if cedar == "Set<String>" else text


def _is_system(text: str, state: StateView) -> bool:
    try:
        return state.get(parse_name(f"system/{text}").text) is not None
    except InvalidInput:
        return False
