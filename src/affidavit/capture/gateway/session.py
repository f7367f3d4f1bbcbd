"""One session: what the client sends is decided, recorded as its guarantee says, and passed on.

**Shape.** Both sides feed events (`from_client`, `from_upstream`, sealed records); each event is worked off at once,
without waiting. Where something has to be durable first, the session is *blocked*: further messages of the client
stay in the inbox, in order, until the answer of the log resumes it. So no message overtakes a record.

**Who may mean what.** A prepared statement is known here by the text that its Parse carried. What a name means
changes only when the upstream confirms it (`answers.py`); a message that uses a name whose confirmation is still due
from before the last Sync waits for it, because an error before could have made the upstream skip it.

**A denied statement** is replaced upstream by one that cannot be parsed, and its error by ours, so that both sides
agree on the state of the transaction. In the extended protocol what follows is dropped up to the next Sync, as the
server would.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from affidavit.capture.gateway.answers import Answers, denial
from affidavit.capture.gateway.catalogue import Catalogue
from affidavit.capture.gateway.channel import Channel
from affidavit.capture.gateway.forgetting import fetches_portal, forget
from affidavit.capture.gateway.inbox import Inbox
from affidavit.capture.gateway.judging import Head, Judge
from affidavit.capture.gateway.outbox import Outbox
from affidavit.capture.gateway.planning import Plan, Planner, unknown_statement
from affidavit.capture.gateway.recording import Recorder
from affidavit.capture.gateway.refusals import FETCH_OF_PORTAL, FUNCTION_CALL
from affidavit.capture.gateway.rendering import Parameters
from affidavit.capture.gateway.transactions import Transaction, Transactions
from affidavit.capture.gateway.unit import (
    AFTER,
    BEFORE_ANSWER,
    Expected,
    Portal,
    Prepared,
    Unit,
    View,
    name_text,
)
from affidavit.capture.gateway.upstream import Upstream
from affidavit.errors import InvalidInput
from affidavit.limits import AFTER_QUEUE_MAX, PREPARED_MAX
from affidavit.record.draft import Answer, Draft
from affidavit.state.deciding import Decider
from affidavit.wire.postgres import codes, notices
from affidavit.wire.postgres import frontend_messages as frontend
from affidavit.wire.postgres.backend import Exchange
from affidavit.wire.postgres.framing import Framer, message

_COUNTED = frozenset({"access", "access.intent"})
_FAILING_NAME = b"affidavit_denied"


class Log(Protocol):
    """Where drafts go. `done` is called in the event loop, once, when the group is durable or was refused."""

    def submit(self, drafts: tuple[Draft, ...], done: Callable[[Answer], None]) -> None: ...


class Session:
    """The client side of a session, and what both sides share.

    `current` gives the view of the state as it is now, or None where its context has to be recorded first; then
    `refresh(session, state)` does that and calls `viewed`. `ended` is called once, when both sides are closed and
    everything is recorded but the end itself.
    """

    def __init__(
        self,
        *,
        log: Log,
        head: Head,
        recorder: Recorder,
        planner: Planner,
        catalogue: Catalogue,
        client: Channel,
        client_framer: Framer,
        upstream: Upstream,
        session_facts: dict[str, str | bool],
        current: Callable[[], tuple[View, Decider] | None],
        refresh: Callable[[Session, int], None],
        ended: Callable[[Session], None],
    ) -> None:
        self.log, self.recorder, self.planner = log, recorder, planner
        self.judge = Judge(head, recorder, catalogue, current)
        self.client, self.upstream = client, upstream
        self._framer = client_framer
        self._session_facts = session_facts
        self._refresh, self._ended = refresh, ended
        self._then: list[Callable[[], None]] = []
        self._viewing = 0  # views that were asked for
        self.exchange: Exchange[Expected] = Exchange()
        self.outbox = Outbox(client.write)
        self.transactions = Transactions(self._transaction_ended)
        self.answers = Answers(self)
        self.statements: dict[bytes, Prepared] = {}
        self.portals: dict[bytes, Portal] = {}
        self.segment = 0
        self._inbox = Inbox()
        self._upstream_slow = self._throttled = False
        self._releasing = False  # a message waits for its own records
        self.waits_for: Expected | None = None
        self._skipping = False
        self._copying: Expected | None = None  # a COPY FROM STDIN whose first answer is due
        self._to_upstream: list[bytes] = []
        self.client_slow = False
        self._left_upstream = False
        self.outstanding = 0  # groups of drafts that are not answered yet
        self.accesses = 0
        self.received_bytes = self.sent_bytes = 0
        self.closing = ""
        self.closed = False

    # events

    def from_client(self, data: bytes) -> None:
        if self.closing:
            return
        self.received_bytes += len(data)
        fault: InvalidInput | None = None
        try:
            self._framer.feed(data)
        except InvalidInput as error:
            fault = error
        self._inbox.put(self._framer.messages())
        self.pump()
        if fault is not None:
            self.fail("protocol", "08P01", fault.message)

    def from_upstream(self, data: bytes) -> None:
        if not self.closed:
            self.sent_bytes += len(data)
            self.answers.take(data)
            self.after_answers()

    def client_lost(self) -> None:
        self.close("client")

    def upstream_lost(self) -> None:
        if not self.closing:
            self.fail("upstream", "08006", "The database closed the connection.")
        elif not self.closed:
            self.answers.lost()
            self.finish()

    def client_slows(self, slow: bool) -> None:
        """The client reads more slowly than answers come: let the upstream wait."""
        self.client_slow = slow
        if slow:
            self.upstream.channel.pause()
        else:
            self.answers.relieve()

    def upstream_slow(self, slow: bool) -> None:
        """The upstream reads more slowly than the client sends."""
        self._upstream_slow = slow
        self._throttle()

    def _throttle(self) -> None:
        """Read no more of the client than can be passed on: what waits is bounded."""
        throttled = self._upstream_slow or self._inbox.crowded
        if throttled and not self._throttled:
            self.client.pause()
        elif self._throttled and not throttled:
            self.client.resume()
        self._throttled = throttled

    def after_answers(self) -> None:
        """What waited for an answer may go on; what a lost client left behind may be closed."""
        waits = self.waits_for
        if waits is not None and waits.answered:
            self.waits_for = None
        self.pump()
        if self.closing and not self.exchange.tokens():
            self.finish()

    @property
    def _blocked(self) -> bool:
        """Whether the next message has to wait. Each reason ends by itself; none may end another's wait."""
        return self._releasing or self.waits_for is not None or self._viewing > 0

    def pump(self) -> None:
        """Work off the inbox until it is empty or something has to be waited for."""
        while self._inbox and not self._blocked and not self.closing:
            code, payload = self._inbox.take()
            try:
                if not self._handle(code, payload):
                    self._inbox.back(code, payload)
            except InvalidInput as error:
                self.fail("protocol", "08P01", error.message)
                return
        if self._to_upstream:
            parts, self._to_upstream = self._to_upstream, []
            self.upstream.channel.write(b"".join(parts) if len(parts) > 1 else parts[0])
        self._throttle()

    @property
    def _upstream_skips(self) -> bool:
        """The upstream has answered an error: it skips what comes before a Sync, and names keep their meaning."""
        return self.exchange.head is None and not self.exchange.idle

    # the client's messages; each handler returns False to be called again, after a wait

    def _handle(self, code: int, payload: bytes) -> bool:
        if (self._skipping or self._upstream_skips) and code not in (codes.SYNC, codes.TERMINATE):
            return True
        if code == codes.EXECUTE:
            return self._execute(payload)
        if code == codes.BIND:
            return self._bind(payload)
        if code == codes.SYNC:
            return self._sync(payload)
        if code == codes.QUERY:
            return self._query(payload)
        if code == codes.PARSE:
            return self._parse(payload)
        if code in (codes.DESCRIBE, codes.CLOSE):
            return self._name(code, payload)
        if code == codes.FLUSH:
            self._to_upstream.append(frontend.FLUSH)
        elif code == codes.TERMINATE:
            self.close("client")
        elif code in (codes.COPY_DATA, codes.COPY_DONE, codes.COPY_FAIL):
            self._copy(code, payload)
        else:
            return self._function_call(payload)
        return True

    def _query(self, payload: bytes) -> bool:
        text = frontend.decode_query(payload)
        plans = self.planner.plan(text)
        raw = message(codes.QUERY, payload)
        if not plans:
            self._send(raw, Expected(codes.QUERY, self.segment))
            return True
        if fetches_portal(plans, self.portals):
            self._fail_upstream(FETCH_OF_PORTAL, simple=True)
            return True
        units = self._decide(plans, "simple")
        if units is None:
            return False
        expected = Expected(codes.QUERY, self.segment, units=units)
        if any(unit.authorization.decision != "allow" for unit in units):
            self._deny(units, simple=True, again=(codes.QUERY, payload))
            return True
        self._release(units, lambda: self._send(raw, expected), (codes.QUERY, payload))
        return True

    def _parse(self, payload: bytes) -> bool:
        parse = frontend.decode_parse(payload)
        plans = self.planner.plan(parse.query)
        units = self._decide(plans, "extended", prepared=name_text(parse.name))
        if units is None:
            return False
        if any(unit.authorization.decision != "allow" for unit in units):
            self._deny(units, simple=False, again=(codes.PARSE, payload))
            return True
        known = self.statements.get(parse.name)
        if parse.name and self._must_wait(known):
            return False
        statement = Prepared(parse.name, parse.query, plans, parse.oids, self.segment)
        statement.unit = units[0] if units else None
        expected = Expected(codes.PARSE, self.segment, statement=statement, before=known)
        self._send(message(codes.PARSE, payload), expected)
        if parse.name and known is not None:
            # The upstream refuses a name that is taken, unless it has lost it meanwhile: wait for what it says.
            self._to_upstream.append(frontend.FLUSH)
            self._wait(expected)
            return True
        if len(self.statements) >= PREPARED_MAX:
            raise InvalidInput("gateway.prepared", f"More than {PREPARED_MAX} prepared statements in one session.")
        self.statements[parse.name] = statement
        return True

    def _bind(self, payload: bytes) -> bool:
        bind = frontend.decode_bind(payload)
        statement = self.statements.get(bind.statement)
        known = self.portals.get(bind.portal)
        if self._must_wait(statement) or (bind.portal and self._must_wait(known)):
            return False
        oids = statement.oids if statement is not None else ()
        parameters = Parameters(bind.values, bind.formats, oids)
        portal = Portal(bind.portal, statement, parameters, bind.result_formats, self.segment)
        if statement is None:
            portal.statement = self._unknown(bind.statement)
        else:
            portal.columns = statement.columns
        expected = Expected(codes.BIND, self.segment, portal=portal, before=known)
        self._send(message(codes.BIND, payload), expected)
        if bind.portal and known is not None:
            self._to_upstream.append(frontend.FLUSH)
            self._wait(expected)
            return True
        if len(self.portals) >= PREPARED_MAX:
            raise InvalidInput("gateway.portals", f"More than {PREPARED_MAX} portals in one session.")
        self.portals[bind.portal] = portal
        return True

    def _execute(self, payload: bytes) -> bool:
        execute = frontend.decode_execute(payload)
        portal = self.portals.get(execute.portal)
        if self._must_wait(portal):
            return False
        if portal is None:
            portal = Portal(execute.portal, self._unknown(execute.portal), Parameters((), (), ()), (), self.segment)
        statement = portal.statement
        plans = self.planner.again(statement.plans) if statement is not None else ()
        if fetches_portal(plans, self.portals):
            self._fail_upstream(FETCH_OF_PORTAL, simple=False)
            return True
        units = self._decide(plans[:1], "extended", name_text(statement.name if statement else b""), portal)
        if units is None:
            return False
        if any(unit.authorization.decision != "allow" for unit in units):
            self._deny(units, simple=False, again=(codes.EXECUTE, payload))
            return True
        expected = Expected(codes.EXECUTE, self.segment, units=units, portal=portal)
        if plans and plans[0].statement.verb == "COPY FROM":
            self._copying = expected
        raw = message(codes.EXECUTE, payload)
        self._release(units, lambda: self._send(raw, expected), (codes.EXECUTE, payload))
        return True

    def _sync(self, payload: bytes) -> bool:
        frontend.decode_empty(payload, "Sync")
        copying = self._copying
        if copying is not None:
            if not copying.answered:
                self._to_upstream.append(frontend.FLUSH)
                self._wait(copying)
                return False
            self._copying = None
            if self.exchange.taking_copy:
                return True  # the server ignores a Sync while it takes COPY data; the client sends another
        self._skipping = False
        self._send(frontend.SYNC, Expected(codes.SYNC, self.segment))
        self.segment += 1
        return True

    def _name(self, code: int, payload: bytes) -> bool:
        target = frontend.decode_describe(payload) if code == codes.DESCRIBE else frontend.decode_close(payload)
        expected = Expected(code, self.segment)
        if target.kind == codes.STATEMENT:
            expected.statement = self.statements.get(target.name)
        else:
            expected.portal = self.portals.get(target.name)
        if self._must_wait(expected.statement) or self._must_wait(expected.portal):
            return False
        self._send(message(code, payload), expected, target.kind)
        return True

    def _copy(self, code: int, payload: bytes) -> None:
        expected = self.exchange.head
        if code == codes.COPY_DATA and expected is not None and expected.units and self.exchange.taking_copy:
            unit = expected.units[min(self.answers.statement, len(expected.units) - 1)]
            unit.sent_copy_bytes += len(payload)
            if unit.result.digester is not None:
                unit.result.digester.update(payload)
        self.exchange.sent(code, Expected(code, self.segment))
        self._to_upstream.append(message(code, payload))

    def _function_call(self, payload: bytes) -> bool:
        frontend.decode_function_oid(payload)
        self._fail_upstream(FUNCTION_CALL, simple=True)
        return True

    def _decide(
        self, plans: tuple[Plan, ...], protocol: str, prepared: str = "", portal: Portal | None = None
    ) -> list[Unit] | None:
        """Units of `plans`, decided under the current state; None where a new view has to be made first."""
        units = self.judge.decide(plans, protocol, prepared, portal)
        if units is None:
            self._viewing += 1
            self._refresh(self, self.judge.state)
        return units

    # passing on

    def _send(self, raw: bytes, expected: Expected, target: int = 0) -> None:
        self.exchange.sent(expected.code, expected, target)
        self._to_upstream.append(raw)
        for unit in expected.units:
            statement = unit.plan.statement
            forget(statement, self.statements, self.portals)
            # What follows may be planned before this is answered: it counts from here on.
            self.planner.changed_by(statement)
            if self.transactions.current is not None and statement.transaction == "commit":
                self.transactions.current.committing = True

    def _release(self, units: list[Unit], send: Callable[[], None], again: tuple[int, bytes]) -> None:
        """Pass a decided statement on, now or when its intents are durable."""
        if not units or units[0].guarantee in (BEFORE_ANSWER, AFTER):
            send()
            return
        self._releasing = True

        def sealed(answer: Answer) -> None:
            self._releasing = False
            for unit, receipt in zip(units, answer.receipts, strict=False):
                unit.intent = receipt.index
            if answer.refusal is not None:
                self._not_recorded(answer, units[: len(answer.receipts)], again)
                return
            if self.closing or self._upstream_skips or not self._in_place(send):
                self._did_not_run(units)
            self.pump()

        self.append(tuple(self.recorder.intent(unit) for unit in units), sealed)

    def _deny(self, units: list[Unit], simple: bool, again: tuple[int, bytes]) -> None:
        """Record a refusal, then make both sides see an error in its place."""
        self._releasing = True
        for unit in units:
            unit.outcome = "none"

        def sealed(answer: Answer) -> None:
            self._releasing = False
            if answer.refusal is not None:
                self._not_recorded(answer, [], again)
                return
            if self.closing:
                return
            refused = next(i for i, unit in enumerate(units) if unit.authorization.decision != "allow")
            error = denial(units[refused], answer.receipts[refused].index)
            if self._in_place(lambda: self._fail_upstream(error, simple)):
                self.pump()

        self.append(tuple(self.recorder.access(unit) for unit in units), sealed)

    def _in_place(self, send: Callable[[], None]) -> bool:
        """Whether `send` had a place behind what came meanwhile. Raises nothing: other sessions share the log."""
        try:
            send()
        except InvalidInput as error:
            self.fail("protocol", "08P01", error.message)
            return False
        return True

    def _not_recorded(self, answer: Answer, intents: list[Unit], again: tuple[int, bytes]) -> None:
        """The state moved on between decision and record: decide the message again. Intents that were sealed before
        the refused one did not run, and their records say so."""
        refusal = answer.refusal
        if refusal is None or refusal.code != "conflict":
            self.log_failed(refusal.message if refusal else "")
            return
        self._did_not_run(intents)
        self._inbox.back(*again)
        self.when_viewed(refusal.state, self.pump)

    def _did_not_run(self, units: list[Unit]) -> None:
        """Intents whose statements were not passed on: their outcomes say so."""
        for unit in units:
            unit.finished, unit.outcome = True, "none"
            self.append((self.recorder.outcome(unit),), self._recorded_or_failed)

    def _fail_upstream(self, error: bytes, simple: bool) -> None:
        """Send something that must fail, and answer with `error` in its place."""
        text = b"affidavit refused this statement"
        if simple:
            self._send(frontend.encode_query(text), Expected(codes.QUERY, self.segment, denied=error))
        else:
            parse = frontend.encode_parse(frontend.Parse(_FAILING_NAME, text, ()))
            self._send(parse, Expected(codes.PARSE, self.segment, denied=error))
            self._skipping = True

    def _unknown(self, name: bytes) -> Prepared:
        plan = unknown_statement(name.decode("utf-8", "backslashreplace"), self.recorder.system, self._session_facts)
        return Prepared(name, b"", (plan,), (), self.segment, pending=False)

    # waiting

    def _must_wait(self, named: Prepared | Portal | None) -> bool:
        """Whether the upstream has yet to say what became of this name, before the current segment. If so, wait."""
        if named is None or not named.pending or named.segment == self.segment:
            return False
        for expected in self.exchange.tokens():
            if expected.statement is named or expected.portal is named:
                self._to_upstream.append(frontend.FLUSH)
                self._wait(expected)
                return True
        return False

    def _wait(self, expected: Expected) -> None:
        self.waits_for = expected

    def when_viewed(self, state: int, then: Callable[[], None]) -> None:
        """Make a view of at least `state`, then call `then`."""
        self._then.append(then)
        self._viewing += 1
        self._refresh(self, state)

    def viewed(self, view: View, decider: Decider) -> None:
        """A new view is recorded."""
        self.judge.seen(view, decider)
        self._viewing -= 1
        waiting, self._then = self._then, []
        for then in waiting:
            then()
        self.pump()
        if self.closing:
            self.finish()

    def not_viewed(self, reason: str) -> None:
        """No view could be recorded: what waited for one cannot be recorded either."""
        self._viewing -= 1
        self._then.clear()
        self.log_failed(reason)
        self.finish()

    # recording

    def append(self, drafts: tuple[Draft, ...], done: Callable[[Answer], None]) -> None:
        """Hand drafts to the log; `done` follows in the event loop."""
        self.outstanding += 1

        def answered(answer: Answer) -> None:
            self.outstanding -= 1
            for draft in drafts[: len(answer.receipts)]:
                self.accesses += draft.kind in _COUNTED
            done(answer)
            if self.closing:
                self.finish()

        self.log.submit(drafts, answered)

    def _recorded_or_failed(self, answer: Answer) -> None:
        if answer.refusal is not None:
            self.log_failed(answer.refusal.message)

    def _transaction_ended(self, transaction: Transaction) -> None:
        self.append((self.recorder.transaction(transaction),), self._recorded_or_failed)

    @property
    def after_full(self) -> bool:
        """So many records under `after` are waiting that answers have to wait too."""
        return self.outstanding > AFTER_QUEUE_MAX

    # the end

    def log_failed(self, reason: str) -> None:
        """The log cannot write: refuse, and end the session."""
        self.fail("log", "58030", "Affidavit cannot record, so nothing may pass.", reason)

    def fail(self, reason: str, sqlstate: str, text: str, detail: str = "") -> None:
        """Tell the client why, and end the session. What was held back and not recorded is not sent."""
        if self.closing:
            return
        self.outbox.drop()
        self.client.write(notices.error("FATAL", sqlstate, text, detail=detail))
        self.close(reason)

    def close(self, reason: str) -> None:
        """End the session: let what the upstream is doing come to its end, record it, then close both sides."""
        if self.closing:
            return
        self.closing = reason
        self._inbox.clear()
        if reason != "client" or self.upstream.channel.lost:
            self.cut()
            return
        self.answers.discard = True
        if self.exchange.taking_copy:
            self._send_copy_fail()
        if not self.exchange.tokens():
            self.finish()

    def _send_copy_fail(self) -> None:
        fail = frontend.encode_copy_fail("the client closed its connection")
        self.exchange.sent(codes.COPY_FAIL, Expected(codes.COPY_FAIL, self.segment))
        self.upstream.channel.write(fail + frontend.SYNC)
        self.exchange.sent(codes.SYNC, Expected(codes.SYNC, self.segment))

    def cut(self) -> None:
        """Close the upstream now. What was under way ends as unknown."""
        self._leave_upstream()
        self.answers.lost()
        self.finish()

    def _leave_upstream(self) -> None:
        if not self._left_upstream:
            self._left_upstream = True
            if not self.upstream.channel.lost:
                self.upstream.channel.write(frontend.TERMINATE)
            self.upstream.channel.close()

    def finish(self) -> None:
        """Close both sides once everything is answered and recorded."""
        if self.closed or self.outstanding or self._then or (self.exchange.tokens() and not self.answers.cut_off):
            return
        if not self.answers.cut_off:
            self.answers.lost()
            if self.outstanding:
                return
        self.closed = True
        self._leave_upstream()
        self.client.close()
        self._ended(self)
