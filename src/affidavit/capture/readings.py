"""Reading the log is a record of the log: who asked for what, and how much they were shown.

The record is durable before the answer leaves, as for an access through a gateway. A process that only reads the log's
files can write none: what its user reads there they could read without Affidavit too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from affidavit.capture.administration import Actor, Appender, refusal_error
from affidavit.clock import Clock
from affidavit.record.body import SALT_BYTES, encode_body
from affidavit.record.draft import Draft
from affidavit.record.ids import RANDOM_BYTES, uuid7


class Readings:
    """Writes `log.read` records through `appender`; without one, none."""

    def __init__(self, appender: Appender | None, clock: Clock, randomness: Callable[[int], bytes]) -> None:
        self._appender, self._clock, self._randomness = appender, clock, randomness

    async def note(self, actor: Actor, asked: str, said: Mapping[str, Any]) -> int | None:
        """Record that `actor` asked (`search`, `count`, `export`, `follow`, `record`) and what is `said` of it: the
        body of docs/spec/record.md without `via`. The index of the record; None where none can be written.

        Raises `Unavailable` where the log refuses it: then nothing may be shown.
        """
        if self._appender is None:
            return None
        at = self._clock.now_ns()
        content = {"asked": asked, **said, "via": actor.via()}
        draft = Draft(
            kind="log.read",
            id=uuid7(at, self._randomness(RANDOM_BYTES)),
            at=at,
            actor=actor.identity,
            body=encode_body(content, self._randomness(SALT_BYTES)),
        )
        answer = await self._appender.append([draft])
        if answer.refusal is not None:
            raise refusal_error(answer.refusal)
        return answer.receipts[0].index
