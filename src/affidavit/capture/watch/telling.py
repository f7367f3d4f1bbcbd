"""Open sessions are told what changes for them: what is recorded of them, and what they may do.

Whenever the state has moved, each session's context is compared with the one that its person was last told of. Where
they differ, a `presented` record says what they are told, and then a NOTICE says it: between two messages of the
answer, behind what is held. Clients show it at once or when they read the next answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from affidavit.capture.gateway.opening import AsyncLog, LiveState
from affidavit.capture.gateway.session import Session
from affidavit.errors import AffidavitError, Unavailable
from affidavit.limits import TELL_INTERVAL_S, TOLD_LINES_MAX
from affidavit.state.settings import APP_PREFIX
from affidavit.wire.postgres import notices

_WAIT_S = 60.0
_log = logging.getLogger(__name__)


class Telling:
    """Tells the sessions of one gateway."""

    def __init__(self, log: AsyncLog, live: LiveState, sessions: Callable[[], Iterable[Session]]) -> None:
        self._log, self._live, self._sessions = log, live, sessions
        self._told: dict[Session, Mapping[str, Any]] = {}

    def begin(self, session: Session, content: Mapping[str, Any]) -> None:
        """The person behind `session` was told what applies under the context `content`."""
        self._told[session] = content

    def end(self, session: Session) -> None:
        """The session is over."""
        self._told.pop(session, None)

    async def run(self) -> None:
        """Tell until cancelled."""
        index = -1
        while True:
            if index == self._live.index:
                try:
                    await self._live.reached(index + 1, _WAIT_S)
                except Unavailable:
                    continue
            index = self._live.index
            for session in list(self._sessions()):
                try:
                    await self._tell(session)
                except AffidavitError as error:
                    _log.error("a session could not be told what changed: %s", error)
                except Exception:  # of one session; the others are told
                    _log.exception("a session could not be told what changed")
                await asyncio.sleep(0)  # many sessions: others have their turn in between
            await asyncio.sleep(TELL_INTERVAL_S)

    async def _tell(self, session: Session) -> None:
        recorder, before = session.recorder, self._told.get(session)
        if before is None or session.closing:
            return
        context = self._live.context(recorder.actor, recorder.system)
        now = context.content
        if now is before:
            return
        lines = what_changed(before, now)
        self._told[session] = now
        if not lines:
            return
        text = [f"Affidavit: what applies to you on {recorder.system} has changed.", *lines]
        content = {"how": "notice", "text": text, "state": context.state}
        answer = await self._log.append((recorder.draft("presented", recorder.clock.now_ns(), content),))
        if answer.refusal is not None:
            if session in self._told:
                self._told[session] = before  # said at the next change, if the session lives so long
            _log.error("a session could not be told what changed: %s", answer.refusal.message)
            return
        if not session.closing:
            session.answers.tell(notices.notice("NOTICE", "00000", "\n".join(text)))


def what_changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What the person behind a session is told when `before` has become `now`, both contents of contexts."""
    lines = []
    old, new = _named(before, "settings", "name"), _named(now, "settings", "name")
    for name in sorted(old.keys() | new.keys()):
        if name.startswith(APP_PREFIX):
            continue  # it is neither recorded nor allowed by that
        was, is_now = old.get(name, {}), new.get(name, {})
        if was.get("value") != is_now.get("value"):
            lines.append(f"{name}: {_value(was)} until now, {_value(is_now)} from now on.")
    if before.get("configured") != now.get("configured"):
        lines.append(
            "You have settings of your own now."
            if now.get("configured")
            else "You have no settings of your own any more, so everything is captured."
        )
    for part, key, one in (("grants", "name", "The grant"), ("groups", "group", "The group"), ("policies", "name", "")):
        old, new = _named(before, part, key), _named(now, part, key)
        shown = [(name, "applies to you now") for name in sorted(new.keys() - old.keys())]
        shown += [(name, "does not apply to you any more") for name in sorted(old.keys() - new.keys())]
        shown += [
            (name, "says something else now") for name in sorted(old.keys() & new.keys()) if old[name] != new[name]
        ]
        lines += [f"{f'{one} ' if one else ''}{_last(name, part)} {what}." for name, what in shown]
    if before.get("identity") != now.get("identity"):
        lines.append("What is known of your identity has changed.")
    if before.get("observed") != now.get("observed"):
        lines.append("The database was found to enforce something else than before.")
    if len(lines) > TOLD_LINES_MAX:
        lines = [*lines[:TOLD_LINES_MAX], f"And {len(lines) - TOLD_LINES_MAX} more."]
    return lines


def _named(content: Mapping[str, Any], part: str, key: str) -> dict[str, Any]:
    return {str(item[key]): item for item in content.get(part, ())}


def _value(setting: Mapping[str, Any]) -> str:
    return f"{setting['value']} ({setting['scope']})" if setting else "unset"


def _last(name: str, part: str) -> str:
    return name.rpartition("/")[2] if part == "grants" else name
