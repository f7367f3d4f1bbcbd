"""How a session comes to be: the login is decided and recorded, the person told.

In this order, each step durable before the next, and after the watcher has looked at what the upstream enforces:
`context` where none says what applies now, `session.open` with the decision, `presented` with what the person was told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from affidavit.capture.gateway.login import LoginFailed
from affidavit.capture.gateway.recording import Recorder
from affidavit.capture.gateway.rendering import Capture
from affidavit.capture.gateway.unit import View
from affidavit.errors import Unavailable
from affidavit.limits import CONFLICTS_MAX, STATE_WAIT_S
from affidavit.record.draft import Answer, Draft
from affidavit.state.change import Op
from affidavit.state.deciding import Authorization, Decider, Request
from affidavit.state.fold import State, Version
from affidavit.state.objects import end_ns, has_ended
from affidavit.state.settings import Effective


class ContextView(Protocol):
    """What the live state gives for an actor and a system; see `affidavit.history.live`."""

    @property
    def state(self) -> int: ...
    @property
    def content(self) -> dict[str, Any]: ...
    @property
    def decider(self) -> Decider: ...
    @property
    def settings(self) -> Mapping[str, Effective]: ...
    @property
    def configured(self) -> bool: ...
    @property
    def recorded(self) -> int | None: ...


class LiveState(Protocol):
    """The state as of the last durable change."""

    index: int

    def context(self, actor: str, system: str) -> ContextView: ...
    def preview(self, ops: tuple[Op, ...]) -> State: ...
    def version(self, name: str) -> Version | None: ...
    async def reached(self, index: int, timeout_s: float) -> None: ...


class AsyncLog(Protocol):
    """Where drafts go when we can wait."""

    async def append(self, drafts: tuple[Draft, ...]) -> Answer: ...


@dataclass(frozen=True)
class Opened:
    """A login that was decided and recorded at `index`."""

    index: int
    authorization: Authorization
    view: View
    decider: Decider
    settings: Mapping[str, Effective]
    configured: bool
    content: Mapping[str, Any]  # of the context


async def current_view(log: AsyncLog, live: LiveState, recorder: Recorder, state: int = 0) -> tuple[View, ContextView]:
    """The view of the state as it is now, at least at `state`, with its context recorded.

    Raises `Unavailable` when it cannot be recorded.
    """
    if live.index < state:
        await live.reached(state, STATE_WAIT_S)
    for _ in range(CONFLICTS_MAX):
        context = live.context(recorder.actor, recorder.system)
        if context.recorded is not None:
            held = live.version(f"credential/{recorder.credential}")
            return view_of(context, context.recorded, None if held is None else end_ns(held.value)), context
        draft = recorder.draft("context", recorder.clock.now_ns(), context.content, decided=context.state)
        await appended(log, live, draft)
    raise restless()


def view_of(context: ContextView, recorded: int, until_ns: int | None) -> View:
    """What a session needs of a context that is recorded at index `recorded`; its credential ends at `until_ns`."""
    settings = context.settings
    return View(
        context.state,
        recorded,
        Capture.of(settings),
        settings["guarantee.read"].value,
        settings["guarantee.write"].value,
        until_ns,
    )


async def open_session(
    log: AsyncLog, live: LiveState, recorder: Recorder, facts: Mapping[str, Any], about: Mapping[str, Any]
) -> Opened:
    """Decide the login and record it. `about` are the body's parts `actor`, `client`, `upstream`, `gateway`.

    Raises `LoginFailed` where the credential was revoked or has ended since it was proved.
    """
    request = (Request("login", "System", recorder.system),)
    for _ in range(CONFLICTS_MAX):
        view, context = await current_view(log, live, recorder)
        now = recorder.clock.now_ns()
        _check_credential(live, recorder, str(about["actor"].get("name", "")), now)
        authorization = context.decider.decide(request, facts, now)
        allowed = authorization.decision == "allow"
        content = {
            **about,
            "authorization": authorization.block(),
            "settings": context.content["settings"],
            "configured": context.configured,
        }
        draft = recorder.draft(
            "session.open", now, content, action="login", decision=authorization.decision,
            outcome="ok" if allowed else "none", context=view.context, decided=view.state,
        )  # fmt: skip
        answer = await log.append((draft,))
        if answer.refusal is None:
            index = answer.receipts[0].index
            settings, configured = context.settings, context.configured
            return Opened(index, authorization, view, context.decider, settings, configured, context.content)
        await _or_raise(live, answer)
    raise restless()


def _check_credential(live: LiveState, recorder: Recorder, handle: str, at_ns: int) -> None:
    """Raise `LoginFailed` where the credential that the client proved counts no more: the way here takes its time."""
    held = live.version(f"credential/{recorder.credential}")
    if held is None or has_ended(held.value, at_ns):
        why = "The token was revoked or has ended."
        raise LoginFailed("28P01", why, "authentication", handle, recorder.actor)


def what_is_recorded(system: str, opened: Opened) -> list[str]:
    """What the person is told at the beginning: what of their work is recorded, and where that was set."""
    of = opened.settings
    names = ("capture.statement", "capture.parameters", "capture.result")
    parts = [f"{name.partition('.')[2]} {of[name].value} ({of[name].scope})" for name in names]
    lines = [
        f"Affidavit records this session on {system} (record {opened.index}): {', '.join(parts)}.",
        f"Reads are recorded {_when(of['guarantee.read'].value)}, writes {_when(of['guarantee.write'].value)}.",
    ]
    if not opened.configured:
        lines.append("You have no settings of your own, so everything is captured.")
    return lines


def _when(guarantee: str) -> str:
    return {
        "before_action": "before they run",
        "before_answer": "before you see the answer",
        "after": "after the answer",
    }[guarantee]


async def appended(log: AsyncLog, live: LiveState, draft: Draft) -> bool:
    """Whether the draft stands in the log; False where the state moved on and it has to be made again."""
    answer = await log.append((draft,))
    if answer.refusal is None:
        return True
    await _or_raise(live, answer)
    return False


async def _or_raise(live: LiveState, answer: Answer) -> None:
    refusal = answer.refusal
    if refusal is not None and refusal.code == "conflict":
        await live.reached(refusal.state, STATE_WAIT_S)
        return
    raise Unavailable(
        "gateway.log", "Affidavit cannot record, so nothing may pass.", refusal.message if refusal else ""
    )


def restless() -> Unavailable:
    """The error where the state moves on at every attempt."""
    return Unavailable("gateway.restless", "The state changed at every attempt to record under it.", "Try again.")
