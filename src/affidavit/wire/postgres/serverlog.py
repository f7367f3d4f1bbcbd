"""PostgreSQL's own log as events: jsonlog, csvlog, and stderr with Debian's `log_line_prefix`.

Pure: lines in, events out. The forms are those of the PostgreSQL manual, "Error Reporting and Logging"; stderr is read
with the prefix `%m [%p] %q%u@%d `, where a line that begins with a tab goes on with the message before it. Times must
be in UTC (`log_timezone`): the names of other zones do not say an offset for certain.

What an event says was done is its `act`: a statement (`log_statement`, `log_min_duration_statement`), a pgaudit line, a
connection. Everything else is `other`.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from affidavit.errors import InvalidInput
from affidavit.limits import SERVER_LOG_LINE_CHARS_MAX

JSON, CSV, STDERR = "jsonlog", "csvlog", "stderr"
STATEMENT, AUDIT, CONNECTION, RECEIVED, OTHER, UNREADABLE = (
    "statement", "audit", "connection", "received", "other", "unreadable",
)  # fmt: skip
_CSV_FIELDS_MIN = 23  # log_time … application_name; later versions add backend_type, leader_pid, query_id
_AUDIT_STATEMENT = 7  # the field that holds it: type, ids, class, command, object type and object stand before
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))? (UTC|GMT|\+00)")
_STDERR = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? \S+) \[(\d+)\] (?:(\S*)@(\S*) )?"
    r"(DEBUG\d?|INFO|NOTICE|WARNING|ERROR|LOG|FATAL|PANIC|DETAIL|HINT|QUERY|CONTEXT|STATEMENT|LOCATION|BACKTRACE):  "
    r"(.*)",
    re.DOTALL,
)
_DURATION = r"(?:duration: [\d.]+ ms  )?"
_STATEMENT = re.compile(rf"{_DURATION}(?:statement|execute (?:fetch from )?[^:]*): (.*)", re.DOTALL)
_REPLICATION = re.compile(r"received replication command: (.*)", re.DOTALL)
_AUTHORIZED = re.compile(
    r"(?:replication )?connection authorized: user=(\S+)(?: database=(\S+))?(?: application_name=(.*?))?"
    r"(?: SSL enabled.*)?",
    re.DOTALL,
)
_RECEIVED = re.compile(r"connection received: host=(\S+)(?: port=(\d+))?")
_UNKNOWN: Final = "[unknown]"


@dataclass(frozen=True)
class LogEvent:
    """One event of the server's log. `at` is a moment as in records, by the database's clock; `line` where it stands.

    `text` is the statement of an act, else the message. `audit` are pgaudit's fields up to the object: type, statement
    id, substatement id, class, command, object type, object. Texts are empty where the log does not say.
    """

    line: int
    at: str
    pid: int
    role: str
    database: str
    address: str
    application: str
    act: str
    text: str
    audit: tuple[str, ...] = ()


def form_of(first_line: str) -> str:
    """The form of a log whose first line this is. Raises `InvalidInput` where it is none of the three."""
    if first_line.startswith("{"):
        return JSON
    if _STDERR.fullmatch(first_line.rstrip("\r\n")):
        return STDERR
    if len(next(csv.reader([first_line]), ())) >= _CSV_FIELDS_MIN or _TIME.match(first_line[:40]):
        return CSV
    raise InvalidInput(
        "reconcile.form",
        "The first line is none of PostgreSQL's log.",
        "Give a jsonlog or csvlog file, or one of stderr with log_line_prefix = '%m [%p] %q%u@%d '.",
    )


def read_events(lines: Iterable[str], form: str) -> Iterator[LogEvent]:
    """The events of a log in `form`. A line that cannot be read is an event with the act `unreadable`.

    Raises `InvalidInput` (`reconcile.zone`) for a time that is not in UTC.
    """
    match form:
        case "jsonlog":
            return _json_events(lines)
        case "csvlog":
            return _csv_events(lines)
        case _:
            return _stderr_events(lines)


def _json_events(lines: Iterable[str]) -> Iterator[LogEvent]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found: Any = json.loads(line)
            yield _event(
                number, str(found["timestamp"]), int(found["pid"]), _text(found.get("user")),
                _text(found.get("dbname")), _text(found.get("remote_host")), _text(found.get("application_name")),
                _text(found.get("error_severity")), _text(found.get("message")),
            )  # fmt: skip
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            yield _unreadable(number, line)


def _csv_events(lines: Iterable[str]) -> Iterator[LogEvent]:
    for number, text in _csv_records(lines):
        try:
            (row,) = csv.reader(io.StringIO(text, newline=""), strict=True)
            if len(row) < _CSV_FIELDS_MIN:
                raise ValueError("too few fields")
            address = "" if row[4].startswith("[local]") else row[4].rpartition(":")[0] or row[4]
            yield _event(number, row[0], int(row[3]), row[1], row[2], address, row[22], row[11], row[13])
        except (ValueError, csv.Error):
            yield _unreadable(number, text)


def _csv_records(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Lines joined to records: one goes on while a quote is open."""
    parts: list[str] = []
    begin = quotes = size = 0
    for number, line in enumerate(lines, 1):
        if not parts:
            begin = number
        parts.append(line)
        quotes += line.count('"')
        size += len(line)
        if quotes % 2 == 0 or size > SERVER_LOG_LINE_CHARS_MAX:
            yield begin, "".join(parts)
            parts, quotes, size = [], 0, 0
    if parts:
        yield begin, "".join(parts)


def _stderr_events(lines: Iterable[str]) -> Iterator[LogEvent]:
    begin, parts, size = 0, [""], 0
    for number, line in enumerate(lines, 1):
        text = line.rstrip("\r\n")
        if text.startswith("\t") and begin:
            size += len(text)
            if size <= SERVER_LOG_LINE_CHARS_MAX:
                parts.append(text[1:])
            continue
        if begin:
            yield _stderr_event(begin, "\n".join(parts))
        begin, parts, size = (number, [text], len(text)) if text else (0, [""], 0)
    if begin:
        yield _stderr_event(begin, "\n".join(parts))


def _stderr_event(number: int, text: str) -> LogEvent:
    match = _STDERR.fullmatch(text)
    if match is None:
        return _unreadable(number, text)
    at, pid, role, database, severity, message = match.groups()
    try:
        return _event(number, at, int(pid), _text(role), _text(database), "", "", severity, message)
    except ValueError:
        return _unreadable(number, text)


def _event(
    line: int, at: str, pid: int, role: str, database: str, address: str, application: str, severity: str, message: str
) -> LogEvent:
    act, text = OTHER, message
    audit: tuple[str, ...] = ()
    if severity == "LOG":
        act, text, audit = _act(message)
    if act == CONNECTION and (match := _AUTHORIZED.fullmatch(message)):
        role, database, application = match[1], match[2] or database, match[3] or application
    if act == RECEIVED and (match := _RECEIVED.match(message)):
        address = "" if match[1] == "[local]" else match[1]
    role, database = (("" if name == _UNKNOWN else name) for name in (role, database))
    address = "" if address == "[local]" else address
    return LogEvent(line, _moment(at), pid, role, database, address, application, act, text, audit)


def _act(message: str) -> tuple[str, str, tuple[str, ...]]:
    if message.startswith("AUDIT: "):
        try:
            fields = next(csv.reader([message.removeprefix("AUDIT: ")]), [])
        except csv.Error:
            fields = []
        return (AUDIT, fields[7], tuple(fields[:7])) if len(fields) > _AUDIT_STATEMENT else (UNREADABLE, message, ())
    for pattern in (_STATEMENT, _REPLICATION):
        if match := pattern.fullmatch(message):
            return STATEMENT, match[1], ()
    if _AUTHORIZED.fullmatch(message):
        return CONNECTION, message, ()
    return (RECEIVED if _RECEIVED.match(message) else OTHER), message, ()


def _moment(at: str) -> str:
    match = _TIME.fullmatch(at)
    if match is None:
        if re.fullmatch(r"[\d-]+ [\d:.]+ \S+", at):
            raise InvalidInput(
                "reconcile.zone",
                f"The log's times are not in UTC: {at[:40]!r}.",
                "Set log_timezone = 'UTC' in the database; a zone's name does not say its offset for certain.",
            )
        raise ValueError("no time")
    year, month, day, hour, minute, second, fraction = (match[n] for n in range(1, 8))
    return f"{year}-{month}-{day}T{hour}:{minute}:{second}.{(fraction or '').ljust(9, '0')}Z"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _unreadable(number: int, text: str) -> LogEvent:
    return LogEvent(number, "", 0, "", "", "", "", UNREADABLE, text[:200])
