"""Whose answer is whose: the conversation with the upstream, as a queue of expected answers.

**Theory.** A client may send many messages before the first answer comes. The server works through them in order and
answers most, but not all: Flush, Terminate and COPY data have no answer of their own, and after an error in the
extended protocol everything up to the next Sync is read and thrown away. So the answers can be told apart only by
following the server's own rules (PostgreSQL manual, "Message Flow"; `PostgresMain` and `CopyGetData` in its source):

1. Each message that has answers stands in a queue with the caller's token. Answers belong to the head.
2. After ErrorResponse to Parse, Bind, Describe, Execute or Close, the server skips to the next Sync: also past a
   Query. Those tokens are reported as `aborted`. An error at a Query or at Sync itself (a commit that failed) skips
   nothing.
3. Query is answered by any number of statements, each ending with CommandComplete, EmptyQueryResponse or
   ErrorResponse, then ReadyForQuery. Nothing says how many statements there were, so they are numbered from 0.
4. While the server takes COPY data it ignores Flush and Sync; a Sync sent right behind Execute, as many clients
   send it, gets no ReadyForQuery if that Execute turns out to be COPY FROM STDIN. It is reported as `aborted`.
   Outside of COPY the server drops CopyData, CopyDone and CopyFail without a word.
5. ParameterStatus, NoticeResponse and NotificationResponse come at any time, and an ErrorResponse when nothing is
   expected: a FATAL one, before the server closes. A FATAL error while something is expected is taken as the head's,
   although the server may have failed before it read that message: what became of it is then unknown.

**Where rule 4 is blind.** If COPY FROM STDIN fails after CopyInResponse but before the server read the Sync behind
Execute (a view, a failing BEFORE STATEMENT trigger), that Sync does get its ReadyForQuery. The two cases look alike
from here. Then one ReadyForQuery more than expected comes, and is refused as out of order as soon as it fits
nothing: the session ends, no answer is given to the wrong statement. A caller who wants to be exact holds such a
Sync back until Execute has its first answer, and drops it after CopyInResponse.

**Transitions** of the head, by what it is and its stage; ✓ ends it, ✗ ends it and skips to Sync:

| head | stage | answers |
|---|---|---|
| Parse, Bind, Close | start | 1, 2, 3 ✓ · E ✗ |
| Describe statement | start | t → parameters · E ✗ |
|  | parameters | T ✓ · n ✓ · E ✗ |
| Describe portal | start | T ✓ · n ✓ · E ✗ |
| Execute | start | D → rows · C ✓ · I ✓ · s ✓ · G → copy in · H → copy out · E ✗ |
|  | rows | D · C ✓ · s ✓ · E ✗ |
|  | copy in | E ✗ — CopyDone or CopyFail sent → copy in ended |
|  | copy in ended | C ✓ · E ✗ |
|  | copy out | d · c → copy out ended · E ✗ |
|  | copy out ended | C ✓ · E ✗ |
| Query | start, between | T → rows · C → between · I → between · G → copy in · H → copy out · E → failed |
|  | between | also Z ✓ |
|  | rows, copy … | as Execute, but C → between, E → failed, and no s |
|  | failed | Z ✓ · E |
| Sync | start | Z ✓ · E → failed |
|  | failed | Z ✓ · E |

Whatever is not in the table raises `Unavailable` (`pg.upstream_order`): no answer can be attributed any more, so the
session must be closed, and the client's next act is to try again on a new one. What a client may not send raises
`InvalidInput` (`pg.client_order`). CopyBothResponse (replication) and function calls are in neither: they are refused.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Final, Generic, TypeVar

import msgspec

from affidavit.errors import InvalidInput, Unavailable
from affidavit.limits import PIPELINE_MESSAGES_MAX
from affidavit.wire.postgres import codes

T = TypeVar("T")


class Stage(Enum):
    """What an answer says about the message that it answers."""

    PARSED = "parsed"
    BOUND = "bound"
    CLOSED = "closed"
    PARAMETERS = "parameters"  # ParameterDescription
    COLUMNS = "columns"  # RowDescription: in a Query, the beginning of a statement's rows
    NO_DATA = "no data"
    ROW = "row"  # DataRow
    COMPLETE = "complete"  # CommandComplete: the end of one statement
    EMPTY = "empty"  # EmptyQueryResponse
    SUSPENDED = "suspended"  # PortalSuspended: the row limit was reached
    COPY_IN = "copy in"  # the server takes COPY data now
    COPY_OUT = "copy out"
    COPY_DATA = "copy data"  # from the server
    COPY_DONE = "copy done"  # from the server
    ERROR = "error"
    READY = "ready"  # ReadyForQuery
    ASYNC = "async"  # belongs to no message: ParameterStatus, NoticeResponse, NotificationResponse


class Event(msgspec.Struct, Generic[T], frozen=True):
    """One answer, attributed.

    `token` is the caller's for the message answered: for `ASYNC` the one being answered meanwhile; None where
    nothing is expected. `done`: no further answer belongs to the token. `statement` numbers the statements of a
    Query from 0; at its `READY` it is how many ended well. `aborted` are the tokens of messages that the server
    skips or ignores: they will have no answer.
    """

    token: T | None
    stage: Stage
    done: bool = False
    statement: int = 0
    aborted: tuple[T, ...] = ()


# Plain integers, not enums: they are hashed for every answer, and an enum's hash is Python code.
_PARSE, _BIND, _CLOSE, _DESCRIBE_STATEMENT, _DESCRIBE_PORTAL, _EXECUTE, _QUERY, _SYNC = range(8)
_COPY_DATA, _COPY_END = 8, 9  # sent, without an answer: kept only to know what the server reads in COPY
_START, _PARAMETERS, _ROWS, _COPY_IN, _COPY_IN_ENDED, _COPY_OUT, _COPY_OUT_ENDED, _BETWEEN, _FAILED = range(9)
_DONE, _SKIP = -1, -2  # next stages that end the head

_HEADS: Final = {
    codes.PARSE: _PARSE,
    codes.BIND: _BIND,
    codes.CLOSE: _CLOSE,
    codes.EXECUTE: _EXECUTE,
    codes.QUERY: _QUERY,
    codes.SYNC: _SYNC,
}
_DESCRIBES: Final = {codes.STATEMENT: _DESCRIBE_STATEMENT, codes.PORTAL: _DESCRIBE_PORTAL}
_ASYNC: Final = frozenset({codes.PARAMETER_STATUS, codes.NOTICE_RESPONSE, codes.NOTIFICATION_RESPONSE})

_Key = tuple[int, int, int]
_Step = tuple[Stage, int]


def _running(head: int, complete: int, failed: int) -> dict[_Key, _Step]:
    """The transitions that Execute and Query share: `complete` and `failed` are where C and E lead."""
    error = (Stage.ERROR, failed)
    end = (Stage.COMPLETE, complete)
    steps: dict[_Key, _Step] = {
        (head, _ROWS, codes.DATA_ROW): (Stage.ROW, _ROWS),
        (head, _ROWS, codes.COMMAND_COMPLETE): end,
        (head, _COPY_IN_ENDED, codes.COMMAND_COMPLETE): end,
        (head, _COPY_OUT, codes.COPY_DATA): (Stage.COPY_DATA, _COPY_OUT),
        (head, _COPY_OUT, codes.COPY_DONE): (Stage.COPY_DONE, _COPY_OUT_ENDED),
        (head, _COPY_OUT_ENDED, codes.COMMAND_COMPLETE): end,
    }
    for stage in (_ROWS, _COPY_IN, _COPY_IN_ENDED, _COPY_OUT, _COPY_OUT_ENDED):
        steps[head, stage, codes.ERROR_RESPONSE] = error
    for stage in (_START, _BETWEEN) if head == _QUERY else (_START,):
        steps[head, stage, codes.COMMAND_COMPLETE] = end
        steps[head, stage, codes.EMPTY_QUERY_RESPONSE] = (Stage.EMPTY, complete)
        steps[head, stage, codes.COPY_IN_RESPONSE] = (Stage.COPY_IN, _COPY_IN)
        steps[head, stage, codes.COPY_OUT_RESPONSE] = (Stage.COPY_OUT, _COPY_OUT)
        steps[head, stage, codes.ERROR_RESPONSE] = error
    return steps


_SKIPPING: Final = (Stage.ERROR, _SKIP)
_READY: Final = (Stage.READY, _DONE)
_STILL_FAILED: Final = (Stage.ERROR, _FAILED)

_TABLE: Final[dict[_Key, _Step]] = {
    (_PARSE, _START, codes.PARSE_COMPLETE): (Stage.PARSED, _DONE),
    (_PARSE, _START, codes.ERROR_RESPONSE): _SKIPPING,
    (_BIND, _START, codes.BIND_COMPLETE): (Stage.BOUND, _DONE),
    (_BIND, _START, codes.ERROR_RESPONSE): _SKIPPING,
    (_CLOSE, _START, codes.CLOSE_COMPLETE): (Stage.CLOSED, _DONE),
    (_CLOSE, _START, codes.ERROR_RESPONSE): _SKIPPING,
    (_DESCRIBE_STATEMENT, _START, codes.PARAMETER_DESCRIPTION): (Stage.PARAMETERS, _PARAMETERS),
    (_DESCRIBE_STATEMENT, _START, codes.ERROR_RESPONSE): _SKIPPING,
    (_DESCRIBE_STATEMENT, _PARAMETERS, codes.ROW_DESCRIPTION): (Stage.COLUMNS, _DONE),
    (_DESCRIBE_STATEMENT, _PARAMETERS, codes.NO_DATA): (Stage.NO_DATA, _DONE),
    (_DESCRIBE_STATEMENT, _PARAMETERS, codes.ERROR_RESPONSE): _SKIPPING,
    (_DESCRIBE_PORTAL, _START, codes.ROW_DESCRIPTION): (Stage.COLUMNS, _DONE),
    (_DESCRIBE_PORTAL, _START, codes.NO_DATA): (Stage.NO_DATA, _DONE),
    (_DESCRIBE_PORTAL, _START, codes.ERROR_RESPONSE): _SKIPPING,
    **_running(_EXECUTE, _DONE, _SKIP),
    (_EXECUTE, _START, codes.DATA_ROW): (Stage.ROW, _ROWS),
    (_EXECUTE, _START, codes.PORTAL_SUSPENDED): (Stage.SUSPENDED, _DONE),
    (_EXECUTE, _ROWS, codes.PORTAL_SUSPENDED): (Stage.SUSPENDED, _DONE),
    **_running(_QUERY, _BETWEEN, _FAILED),
    (_QUERY, _START, codes.ROW_DESCRIPTION): (Stage.COLUMNS, _ROWS),
    (_QUERY, _BETWEEN, codes.ROW_DESCRIPTION): (Stage.COLUMNS, _ROWS),
    (_QUERY, _BETWEEN, codes.READY_FOR_QUERY): _READY,
    (_QUERY, _FAILED, codes.READY_FOR_QUERY): _READY,
    (_QUERY, _FAILED, codes.ERROR_RESPONSE): _STILL_FAILED,
    (_SYNC, _START, codes.READY_FOR_QUERY): _READY,
    (_SYNC, _START, codes.ERROR_RESPONSE): _STILL_FAILED,
    (_SYNC, _FAILED, codes.READY_FOR_QUERY): _READY,
    (_SYNC, _FAILED, codes.ERROR_RESPONSE): _STILL_FAILED,
}


class Exchange(Generic[T]):
    """Follows one session with the upstream, from behind the ReadyForQuery that ends the login.

    Call `sent` before the bytes of a message go out, so that no answer can overtake it, and only for what really
    goes out; call `received` for each message of the upstream, once: of one in pieces, for its head only.
    """

    def __init__(self) -> None:
        self._queue: deque[tuple[int, T | None]] = deque()
        self._stage = _START  # of the head
        self._statement = 0
        self._copy_data = False  # CopyData went out since CopyInResponse
        self._skipping = False  # the server reads up to a Sync that was not sent yet; the queue is empty then
        self._row: Event[T] | None = None  # the event of each further row or COPY datum, made once
        self._row_code = -1

    @property
    def idle(self) -> bool:
        """Nothing is expected, and the next message will be heeded."""
        return not self._queue and not self._skipping

    @property
    def head(self) -> T | None:
        """The token whose answer comes next; None if none is expected."""
        return self._queue[0][1] if self._queue else None

    @property
    def taking_copy(self) -> bool:
        """The server takes COPY data of the head now, and has not been told of its end."""
        return self._stage == _COPY_IN

    def tokens(self) -> tuple[T, ...]:
        """The tokens still expected, in order: what is `unknown` when the connection is lost."""
        return tuple(token for _, token in self._queue if token is not None)

    def sent(self, code: int, token: T, target: int = 0) -> bool:
        """Note a message that goes out. True if answers to it will come, False if it has none or is skipped.

        `target` is `codes.STATEMENT` or `codes.PORTAL` for Describe. Raises `InvalidInput`: `pg.client_order` for
        what may not be sent now (do not send it; close the session), `pg.pipeline` if too many answers are due
        (take some first).
        """
        kind = _DESCRIBES.get(target) if code == codes.DESCRIBE else _HEADS.get(code)
        if kind is None:
            return self._sent_silent(code)
        if self._stage == _COPY_IN and len(self._queue) == 1:
            if kind == _SYNC and not self._copy_data:
                return False
            raise _client_order("the server takes COPY data: only CopyData, CopyDone or CopyFail may follow")
        if self._queue and self._queue[-1][0] == _COPY_DATA:
            raise _client_order("COPY data was sent and not ended by CopyDone or CopyFail")
        if self._skipping:
            if kind != _SYNC:
                return False
            self._skipping = False
        self._append(kind, token)
        return True

    def _sent_silent(self, code: int) -> bool:
        """Note a message that has no answer of its own."""
        if code in (codes.COPY_DATA, codes.COPY_DONE, codes.COPY_FAIL):
            self._sent_copy(_COPY_DATA if code == codes.COPY_DATA else _COPY_END)
        elif code not in (codes.FLUSH, codes.TERMINATE):
            raise _client_order(f"a message of type {chr(code)!r} is not supported")
        return False

    def _sent_copy(self, kind: int) -> None:
        if not self._queue:
            return  # the server drops it: left over from a COPY that failed meanwhile
        if self._stage == _COPY_IN and len(self._queue) == 1:
            self._copy_data = True
            if kind == _COPY_END:
                self._stage = _COPY_IN_ENDED
        elif kind != _COPY_DATA or self._queue[-1][0] != _COPY_DATA:
            self._append(kind, None)

    def _append(self, kind: int, token: T | None) -> None:
        if len(self._queue) >= PIPELINE_MESSAGES_MAX:
            raise InvalidInput(
                "pg.pipeline",
                f"{PIPELINE_MESSAGES_MAX} messages wait for their answers.",
                "Read answers before sending more.",
            )
        self._queue.append((kind, token))

    def received(self, code: int) -> Event[T]:
        """Attribute an answer of the upstream. Raises `Unavailable` (`pg.upstream_order`) if it has no place here."""
        if code == self._row_code and self._row is not None:
            return self._row
        if code in _ASYNC:
            return Event(self.head, Stage.ASYNC)
        if not self._queue:
            if code == codes.ERROR_RESPONSE:
                return Event(None, Stage.ERROR)
            raise _upstream_order(code)
        kind, token = self._queue[0]
        step = _TABLE.get((kind, self._stage, code))
        if step is None:
            raise _upstream_order(code)
        return self._step(token, *step)

    def _step(self, token: T | None, stage: Stage, to: int) -> Event[T]:
        """Apply one row of the table to the head."""
        statement = self._statement
        self._row_code = -1
        if to in (_DONE, _SKIP):
            aborted = self._end_head(to)
            return Event(token, stage, True, statement, aborted)
        self._stage = to
        if to == _COPY_IN:
            return Event(token, stage, False, statement, self._enter_copy())
        if stage in (Stage.COMPLETE, Stage.EMPTY):
            self._statement += 1
        event = Event(token, stage, False, statement)
        if stage in (Stage.ROW, Stage.COPY_DATA):
            self._row = event
            self._row_code = codes.DATA_ROW if stage is Stage.ROW else codes.COPY_DATA
        return event

    def _end_head(self, to: int) -> tuple[T, ...]:
        """Go on to the next message; after an error in the extended protocol to the next Sync. The tokens skipped."""
        self._queue.popleft()
        self._stage = _START
        self._statement = 0
        self._copy_data = False
        aborted: list[T] = []
        while self._queue:
            kind, token = self._queue[0]
            if kind == _SYNC or (to == _DONE and kind < _COPY_DATA):
                return tuple(aborted)
            self._queue.popleft()
            if token is not None:
                aborted.append(token)
        self._skipping = to == _SKIP
        return tuple(aborted)

    def _enter_copy(self) -> tuple[T, ...]:
        """Read, as the server now does, what was sent behind the head: Syncs up to the data are ignored."""
        self._copy_data = False
        head = self._queue.popleft()
        ignored: list[T] = []
        while self._queue and self._stage == _COPY_IN:
            kind, token = self._queue[0]
            if kind not in (_SYNC, _COPY_DATA, _COPY_END):
                break  # the server will refuse it and close: its FATAL error is on the way
            self._queue.popleft()
            if kind == _COPY_DATA:
                self._copy_data = True
            elif kind == _COPY_END:
                self._stage = _COPY_IN_ENDED
            elif token is not None:
                ignored.append(token)
        self._queue.appendleft(head)
        return tuple(ignored)


def _client_order(problem: str) -> InvalidInput:
    return InvalidInput("pg.client_order", f"The client broke the protocol's order: {problem}.", "Close the session.")


def _upstream_order(code: int) -> Unavailable:
    return Unavailable(
        "pg.upstream_order",
        f"The upstream sent a message of type {chr(code)!r} that answers nothing that was asked.",
        "Close the session and connect again; if it recurs, the upstream speaks a protocol that is not supported.",
    )
