"""The upstream's side of a session: whose answer is whose, what it says for the record, and when it may leave.

The answer to a statement under `before_answer` is held behind a gate until its one record is durable. Where it grows
beyond the hold limit, an intent goes to the log first and then it streams. Everything else passes on as it comes, in
runs of whole messages, without being encoded again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from affidavit.capture.gateway.outbox import Gate
from affidavit.capture.gateway.unit import AFTER, BEFORE_ANSWER, Expected, Portal, Prepared, Unit
from affidavit.capture.gateway.wording import denial_words
from affidavit.errors import InvalidInput, Unavailable
from affidavit.limits import HOLD_BYTES_MAX
from affidavit.record.draft import Answer
from affidavit.wire.postgres import backend_messages as backend
from affidavit.wire.postgres import codes, notices
from affidavit.wire.postgres.backend import Event, Stage
from affidavit.wire.postgres.framing import PIECE_HEAD, PIECE_MORE
from affidavit.wire.postgres.values import parameter_text

if TYPE_CHECKING:
    from affidavit.capture.gateway.session import Session

_HEADER_BYTES = 5
# Members of an enumeration are looked up by Python code, at every answer: once is enough.
_ASYNC, _BOUND, _PARSED, _READY, _ERROR = Stage.ASYNC, Stage.BOUND, Stage.PARSED, Stage.READY, Stage.ERROR
_COMPLETE, _EMPTY, _SUSPENDED, _ROW = Stage.COMPLETE, Stage.EMPTY, Stage.SUSPENDED, Stage.ROW
_COLUMNS, _PARAMETERS = Stage.COLUMNS, Stage.PARAMETERS
_COPY_DATA, _COPY_IN, _COPY_OUT = Stage.COPY_DATA, Stage.COPY_IN, Stage.COPY_OUT


def denial(unit: Unit, index: int) -> bytes:
    """The error that a refused statement is answered with. It names the record that says why."""
    policies = sorted({item["policy"] for item in unit.authorization.block()["determining"]})
    message, detail, hint = denial_words(index, policies, errs=bool(unit.authorization.errors))
    return notices.error("ERROR", "42501", message, detail=detail, hint=hint)


class Answers:
    """Works on the session that owns it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._buffer = b""
        self._run = 0  # where the bytes begin that go to the client as they are
        self.statement = 0  # of the simple query that is being answered
        self.discard = False  # the client is gone
        self.cut_off = False  # the upstream is gone, or we left it
        self._notices: list[bytes] = []  # of ours, that wait for the end of a message in pieces

    def take(self, data: bytes) -> None:
        """Bytes of the upstream."""
        session = self._session
        framer = session.upstream.framer
        try:
            framer.feed(data)
            self._buffer, spans = framer.spans()
            self._run = 0
            received = session.exchange.received
            end = 0
            for code, start, end in spans:
                if code >= PIECE_MORE:
                    self._piece(code, start, end)
                    continue
                event = received(code & 0xFF)
                if event.stage is _ROW and not code & PIECE_HEAD:
                    self._row(event, start, end)
                else:
                    self._event(event, code, start, end)
            self._flush(end)
        except (Unavailable, InvalidInput) as error:
            session.fail("upstream", "08P01", "The database broke the protocol.", error.message)
        finally:
            self._buffer = b""
        if self._notices:
            self._tell_waiting()
        self._hold()

    def tell(self, notice: bytes) -> None:
        """Give the client a notice of ours, between two messages of what the upstream says."""
        self._notices.append(notice)
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        if self._session.upstream.framer.in_pieces:
            return
        waiting, self._notices = self._notices, []
        if not self.discard and not self._session.closing:
            self._session.outbox.put(b"".join(waiting))

    def _flush(self, end: int) -> None:
        """Pass on what stands between the run's start and `end`."""
        if end > self._run and not self.discard:
            self._session.outbox.put(self._buffer[self._run : end])
        self._run = end

    # events

    def _row(self, event: Event[Expected], start: int, end: int) -> None:
        unit = self._unit(event)
        if unit is None:
            return
        if not unit.begun:
            self._begin(unit)
        payload = self._buffer[start + _HEADER_BYTES : end]
        unit.result.row(payload)
        if unit.watched:
            self._subjects(unit, payload)
        elif not unit.columns and not unit.result.overlooked:
            # Nobody asked what the columns are, so no data subject can be seen in them.
            unit.result.overlooked = True
            self._session.judge.overlooked(unit)
        if unit.result.capture.rows_max:
            self._keep(unit, payload)

    def _event(self, event: Event[Expected], code: int, start: int, end: int) -> None:
        stage, expected = event.stage, event.token
        if stage is _ASYNC or expected is None:
            # What answers nothing the client sees as it is; one setting changes how texts are to be read.
            if code == codes.PARAMETER_STATUS:
                name, value = backend.decode_parameter_status(self._buffer[start + _HEADER_BYTES : end])
                if (name, value) == ("standard_conforming_strings", "off"):
                    self._session.planner.strings_changed()
                elif name == "client_encoding" and value != "UTF8":
                    self._session.planner.encoding_changed()
                elif name == "search_path":
                    self._session.planner.search_path_changed()
            return
        self.statement = event.statement
        if stage is _BOUND or stage is _PARSED:
            self._answered(expected, ok=True)
            return
        payload = self._buffer[start + _HEADER_BYTES : end]
        if stage is _READY:
            for left in expected.units:
                if not left.finished:
                    # A text that was not read ends here; what was read and got no answer may have run or not.
                    self.finish(left, "unknown" if left.plan.statement.parsed else "ok", end)
            self._session.transactions.ready(backend.decode_ready_for_query(payload))
            self._ready(expected)
            self._answered(expected, ok=True)
            return
        if expected.denied is not None:
            self._denied(expected, stage, start, end)
        unit = self._unit(event)
        if unit is not None and not unit.begun and expected.denied is None:
            self._begin(unit)
        if stage is _COMPLETE or stage is _EMPTY or stage is _SUSPENDED:
            if unit is not None:
                self._end(unit, stage, payload, end)
        elif stage is _ERROR:
            self._error(event, expected, unit, payload, end)
        elif stage is _COLUMNS:
            self._columns(expected, unit, payload)
        elif stage is _PARAMETERS and expected.statement is not None:
            expected.statement.oids = backend.decode_parameter_description(payload)
        elif (stage is _COPY_DATA or stage is _ROW) and unit is not None:
            if code & PIECE_HEAD:
                self._large(unit)
            else:
                unit.result.row(payload)
        for skipped in reversed(event.aborted):
            self._restore(skipped)
        if event.done or stage is _COPY_IN or stage is _COPY_OUT or stage is _ROW:
            self._answered(expected, ok=stage is not _ERROR)
        for skipped in event.aborted:
            self._aborted(skipped)

    def _piece(self, code: int, start: int, end: int) -> None:
        expected = self._session.exchange.head
        if expected is not None and expected.units:
            unit = expected.units[min(self.statement, len(expected.units) - 1)]
            unit.result.part(self._buffer[start:end], begins=False)

    def _large(self, unit: Unit) -> None:
        """A row begins that is too large to be held: counted, but not looked into, and the record says so."""
        unit.result.part(b"", begins=True)
        unit.result.captured_overflow = True
        if unit.watched or not unit.columns:
            self._session.judge.overlooked(unit)

    def _unit(self, event: Event[Expected]) -> Unit | None:
        expected = event.token
        if expected is None or not expected.units:
            return None
        units = expected.units
        if event.statement < len(units):
            unit = units[event.statement]
        elif event.stage is _ERROR or not units[-1].plan.statement.parsed:
            unit = units[-1]
        else:
            # What it answers now was neither decided nor recorded: the text means more than we read in it.
            raise Unavailable("gateway.more_statements", "The database ran more statements than its text was read as.")
        return None if unit.finished else unit

    # what a message says

    def _denied(self, expected: Expected, stage: Stage, start: int, end: int) -> None:
        """Ours in place of the upstream's error."""
        if stage is _ERROR and expected.denied:
            self._flush(start)
            self._run = end
            if not self.discard:
                self._session.outbox.put(expected.denied)
            expected.denied = b""

    def _columns(self, expected: Expected, unit: Unit | None, payload: bytes) -> None:
        if not self._session.judge.watches and (unit is None or not unit.result.capture.rows_max):
            return
        columns = backend.decode_row_description(payload)
        if unit is not None:
            self._session.judge.columns(unit, columns, ())
        elif expected.statement is not None:
            expected.statement.columns = columns
        elif expected.portal is not None:
            expected.portal.columns = columns
            for later in self._session.exchange.tokens():
                # The Execute of this portal is usually on its way already.
                if later.portal is expected.portal and later.units:
                    self._session.judge.columns(later.units[0], columns, ())

    def _subjects(self, unit: Unit, payload: bytes) -> None:
        for position, name in unit.watched:
            value = backend.column_at(payload, position)
            if value is not None:
                column = unit.columns[position]
                self._session.judge.subject(unit, name, parameter_text(value, column.format, column.type_oid)[0])

    def _keep(self, unit: Unit, payload: bytes) -> None:
        if unit.result.captured_overflow:
            return
        values: list[str | None] = []
        for position, value in enumerate(backend.decode_data_row(payload)):
            column = unit.columns[position] if position < len(unit.columns) else None
            form, oid = (column.format, column.type_oid) if column is not None else (0, 0)
            values.append(None if value is None else parameter_text(value, form, oid)[0])
        unit.result.keep(values)

    def _end(self, unit: Unit, stage: Stage, payload: bytes, end: int) -> None:
        result = unit.result
        if stage is _COMPLETE:
            result.tag = backend.decode_command_complete(payload)
            counted = backend.rows_of(result.tag)
            if counted is not None and not result.rows:
                result.rows = counted
        elif stage is _SUSPENDED:
            result.tag = "suspended"
        if unit.plan.statement.parsed or unit.protocol != "simple":
            self.finish(unit, "ok", end)
        # else: a text that was not read may hold further statements; its end is ReadyForQuery

    def _error(self, event: Event[Expected], expected: Expected, unit: Unit | None, payload: bytes, end: int) -> None:
        if expected.denied is not None:
            return
        if expected.code == codes.SYNC or (expected.units and all(u.finished for u in expected.units)):
            # All were answered, and yet the transaction failed at its end.
            self._session.transactions.failed_at_end()
        if unit is None:
            unit = self._unit_of_failure(event, expected)
        if unit is not None:
            fields = notices.decode_fields(payload)
            unit.result.sqlstate = notices.field(fields, notices.SQLSTATE)
            if unit.result.capture.statement == "full" and not unit.plan.statement.credential:
                # The server's words may quote a value.
                unit.result.message = notices.field(fields, notices.MESSAGE)
            self.finish(unit, "error", end)
        for rest in expected.units:
            if not rest.finished:
                rest.begun = True
                self.finish(rest, "none", end)

    def _unit_of_failure(self, event: Event[Expected], expected: Expected) -> Unit | None:
        """A statement that failed at Parse or Bind. Where its Execute is on its way, that is its record."""
        statement = expected.statement if expected.code == codes.PARSE else None
        if expected.portal is not None and expected.code == codes.BIND:
            statement = expected.portal.statement
        if statement is None or statement.unit is None:
            return None
        for skipped in event.aborted:
            if skipped.units and skipped.units[0].plan is statement.unit.plan and not skipped.units[0].finished:
                unit = skipped.units[0]
                break
        else:
            if statement.unit.finished:
                return None
            unit = statement.unit
            unit.guarantee = BEFORE_ANSWER
        self._begin(unit)
        return unit

    def _answered(self, expected: Expected, ok: bool) -> None:
        """The first answer that says what became of a message."""
        if expected.answered:
            return
        expected.answered = True
        session = self._session
        if expected.code == codes.PARSE and expected.statement is not None:
            self._settle(session.statements, expected.statement, expected, ok)
        elif expected.code == codes.BIND and expected.portal is not None:
            self._settle(session.portals, expected.portal, expected, ok)
        elif expected.code == codes.CLOSE and ok:
            if expected.statement is not None and session.statements.get(expected.statement.name) is expected.statement:
                del session.statements[expected.statement.name]
            if expected.portal is not None and session.portals.get(expected.portal.name) is expected.portal:
                del session.portals[expected.portal.name]

    def _settle(
        self,
        names: dict[bytes, Prepared] | dict[bytes, Portal],
        named: Prepared | Portal,
        expected: Expected,
        ok: bool,
    ) -> None:
        """What a name means from now on. A failed Parse or Bind of the unnamed one destroys it.

        A name that was given another meaning meanwhile, by a message sent since, keeps that one.
        """
        table: dict[bytes, Prepared | Portal] = names  # type: ignore[assignment]  # both values are of one kind
        if ok:
            named.pending = False
            if expected.before is not None and self._session.waits_for is expected:
                table[named.name] = named  # a taken name: the session waited, so nothing else was sent since
        elif table.get(named.name) is named:
            del table[named.name]
        elif not named.name and expected.before is not None and table.get(b"") is expected.before:
            del table[b""]

    def _restore(self, expected: Expected) -> None:
        """The upstream skipped this message: names keep their meaning. To be called for the latest message first."""
        session = self._session
        for named, table in ((expected.statement, session.statements), (expected.portal, session.portals)):
            if named is None or expected.code not in (codes.PARSE, codes.BIND):
                continue
            names: dict[bytes, Prepared | Portal] = table  # type: ignore[assignment]  # as in _settle
            if named.pending and names.get(named.name) is named:
                if expected.before is not None:
                    names[named.name] = expected.before
                else:
                    del names[named.name]

    def _aborted(self, expected: Expected) -> None:
        """The upstream skipped this message: it did nothing."""
        expected.answered = True
        for unit in expected.units:
            if not unit.finished:
                unit.begun = True
                self.finish(unit, "none", self._run)

    def _ready(self, expected: Expected) -> None:
        """The end of a segment: outside of a transaction its portals are gone."""
        session = self._session
        if session.transactions.current is None and session.portals:
            gone = [name for name, portal in session.portals.items() if portal.segment <= expected.segment]
            for name in gone:
                if not session.portals[name].pending:
                    del session.portals[name]

    # recording

    def _begin(self, unit: Unit) -> None:
        """The first byte of a unit's answer: from here on it is held, where its guarantee asks for that."""
        unit.begun = True
        if unit.guarantee == BEFORE_ANSWER or (unit.guarantee == AFTER and self._session.after_full):
            # What stands before it in the same chunk waits with it: one write less, and the client waits anyway.
            unit.gate = self._session.outbox.gate()

    def finish(self, unit: Unit, outcome: str, end: int) -> None:
        """A unit was answered, or never will be: record it."""
        session = self._session
        unit.finished = True
        unit.outcome = outcome
        unit.duration_ns = session.recorder.clock.monotonic_ns() - unit.started_ns
        if outcome in ("ok", "error"):
            unit.transaction = session.transactions.join()
            session.transactions.answered(unit.plan.statement.transaction, unit.result.tag, outcome)
        if unit.gate is not None:
            # The end of this answer belongs behind the gate; what follows goes behind the next one, or through.
            self._flush(end)
        if unit.intent_pending:
            return  # recorded as an outcome as soon as the intent is durable
        self.record(unit)

    def record(self, unit: Unit) -> None:
        """Append a finished unit: the outcome of its intent, or its one record."""
        session = self._session
        draft = session.recorder.outcome(unit) if unit.intent is not None else session.recorder.access(unit)
        session.append((draft,), lambda answer: self._sealed(unit, answer))

    def _sealed(self, unit: Unit, answer: Answer) -> None:
        session = self._session
        refusal = answer.refusal
        if refusal is not None and refusal.code == "conflict" and unit.intent is None:
            session.when_viewed(refusal.state, lambda: self._again(unit))
            return
        if unit.transaction is not None:
            index = unit.intent if unit.intent is not None else next((r.index for r in answer.receipts), None)
            session.transactions.sealed(unit.transaction, index)
        if refusal is not None:
            session.log_failed(refusal.message)
        else:
            self._open(unit.gate)

    def _again(self, unit: Unit) -> None:
        """The state moved on while the answer was held: decide again, and withhold what is not allowed any more."""
        session = self._session
        allowed = session.judge.redecide(unit).decision == "allow"
        if allowed:
            self.record(unit)
            return
        draft = session.recorder.access(unit, withheld=True)

        def sealed(answer: Answer) -> None:
            if answer.refusal is not None and answer.refusal.code == "conflict":
                session.when_viewed(answer.refusal.state, lambda: self._again(unit))
                return
            if unit.transaction is not None:
                index = next((r.index for r in answer.receipts), None)
                session.transactions.sealed(unit.transaction, index)
            if answer.refusal is not None:
                session.log_failed(answer.refusal.message)
                return
            record = answer.receipts[0].index
            session.fail("revoked", "42501", f"permission was revoked while the answer was held (record {record})")

        session.append((draft,), sealed)

    def _open(self, gate: Gate | None) -> None:
        if gate is not None:
            self._session.outbox.open(gate)
            self.relieve()

    # an answer beyond the hold limit

    def _hold(self) -> None:
        """Where too much is held for one statement, record an intent and let it stream."""
        session = self._session
        expected = session.exchange.head
        if session.outbox.held_bytes <= HOLD_BYTES_MAX:
            return
        session.upstream.channel.pause()
        if expected is None or not expected.units:
            return
        unit = expected.units[min(self.statement, len(expected.units) - 1)]
        if unit.gate is None or unit.gate.opened or unit.finished or unit.intent_pending or unit.intent is not None:
            return
        unit.intent_pending = True
        session.append((session.recorder.intent(unit),), lambda answer: self._streams(unit, answer))

    def _streams(self, unit: Unit, answer: Answer) -> None:
        session = self._session
        unit.intent_pending = False
        refusal = answer.refusal
        if refusal is None:
            unit.intent = answer.receipts[0].index
            self._open(unit.gate)
            if unit.finished:
                self.record(unit)
        elif refusal.code == "conflict":
            session.when_viewed(refusal.state, lambda: self._stream_again(unit))
        else:
            session.log_failed(refusal.message)

    def _stream_again(self, unit: Unit) -> None:
        session = self._session
        allowed = session.judge.redecide(unit).decision == "allow"
        if allowed and not unit.finished:
            unit.intent_pending = True
            session.append((session.recorder.intent(unit),), lambda answer: self._streams(unit, answer))
        elif allowed:
            self.record(unit)
        else:
            if not unit.finished:
                unit.finished, unit.outcome = True, "unknown"
            self._again(unit)

    def relieve(self) -> None:
        """Read the upstream again, unless too much is held or the client is slow."""
        if self._session.outbox.held_bytes <= HOLD_BYTES_MAX and not self._session.client_slow:
            self._session.upstream.channel.resume()

    # the end

    def lost(self) -> None:
        """No answer will come any more: what was under way ends as unknown."""
        if self.cut_off:
            return
        self.cut_off = True
        session = self._session
        tokens = session.exchange.tokens()
        committing = any(u.plan.statement.transaction == "commit" for e in tokens for u in e.units if not u.finished)
        for expected in tokens:
            for unit in expected.units:
                if not unit.finished:
                    unit.begun = True
                    self.finish(unit, "unknown", self._run)
        session.transactions.lost(in_flight=committing)
