"""`affidavit reconcile`: the database's own log against ours, to find what happened that we did not carry."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TextIO

from cyclopts import Parameter

from affidavit.cli.client import Client, connect
from affidavit.cli.options import DEFAULTS, Common
from affidavit.cli.output import print_json, say
from affidavit.clock import SystemClock
from affidavit.config import GatewayConfig, load_config
from affidavit.errors import InvalidInput
from affidavit.evidence.reconciling import Reconciler
from affidavit.evidence.wording import count_words
from affidavit.limits import (
    RECONCILE_TOLERANCE_S,
    RECONCILE_TOLERANCE_S_MAX,
    SERVER_LOG_EVENTS_MAX,
    SERVER_LOG_LINE_CHARS_MAX,
)
from affidavit.wire.postgres.serverlog import form_of, read_events

_SHOWN_MAX = 3  # statements of one connection


def reconcile(
    files: Annotated[tuple[Path, ...], Parameter(help="Files of the database's log, oldest first.")],
    /,
    *,
    system: Annotated[str, Parameter(help="The system whose database wrote them.")],
    tolerance: Annotated[
        int, Parameter(help="Seconds that the two clocks, and a session's end and its record, may lie apart.")
    ] = RECONCILE_TOLERANCE_S,
    common: Common = DEFAULTS,
) -> int:
    """Compare the database's own log with this one: what did the gateway not carry?

    Reads jsonlog, csvlog, and stderr with log_line_prefix = '%m [%p] %q%u@%d ': statements (log_statement), pgaudit's
    lines, connections (log_connections). Each is carried by a session of ours, excluded for a reason that is counted,
    or unexplained.

    Example: affidavit reconcile --system clinic /var/log/postgresql/postgresql-15-main.log

    Exit status 1 if something is unexplained.
    """
    if not 0 <= tolerance <= RECONCILE_TOLERANCE_S_MAX:
        raise InvalidInput(
            "reconcile.tolerance", f"A tolerance of {tolerance} s is too much.", f"At most {RECONCILE_TOLERANCE_S_MAX}."
        )
    gateway = _gateway(common, system)
    with connect(common) as client:
        found = _reconciler(client, gateway, tolerance)
    read = [_read(path, found) for path in files]
    answer = {**found.answer(), "files": read}
    if common.json:
        print_json(answer)
    else:
        _say(answer)
    return 1 if answer["unexplained"] else 0


def _gateway(common: Common, system: str) -> GatewayConfig:
    for gateway in load_config(common.data).gateways:
        if gateway.system == system:
            return gateway
    raise InvalidInput(
        "reconcile.system", f"No gateway stands before a system {system!r}.", "See [[gateway]] in affidavit.toml."
    )


def _reconciler(client: Client, gateway: GatewayConfig, tolerance: int) -> Reconciler:
    """With all that the log says of the system."""
    objects = client.get("/v1/state", prefix=f"system/{gateway.system}")["objects"]
    name = f"system/{gateway.system}"
    allowed = next((one["value"].get("past_gateway", ()) for one in objects if one["name"] == name), ())
    covered_until_ns = SystemClock().now_ns()  # before the records are read: later sessions are in none of them
    began = client.get("/v1/records/0")["header"]["log"]["at"]
    found = Reconciler(
        gateway.system, gateway.database, gateway.upstream_user, allowed, (began, covered_until_ns), tolerance
    )
    last = -1
    streams = [_records(client, f"system:{gateway.system}"), _records(client, "kind:log.gap")]
    for record in heapq.merge(*streams, key=lambda one: int(one["index"])):
        if record["index"] != last:
            found.record(record)
        last = record["index"]
    return found


def _records(client: Client, query: str) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in client.lines("/v1/export", query=query))


def _read(path: Path, found: Reconciler) -> dict[str, Any]:
    """Hand the events of a file over; what it was."""
    try:
        with path.open(encoding="utf-8", errors="backslashreplace", newline="") as file:
            first = file.readline(SERVER_LOG_LINE_CHARS_MAX)
            if not first:
                return {"name": path.name, "form": "empty", "events": 0}
            form = form_of(first)
            file.seek(0)
            count = 0
            for event in read_events(_lines(file), form):
                found.event(event, path.name)
                count += 1
                if count > SERVER_LOG_EVENTS_MAX:
                    raise InvalidInput(
                        "reconcile.size", f"{path} has more than {SERVER_LOG_EVENTS_MAX:,} events.", "Split it by time."
                    )
            return {"name": path.name, "form": form, "events": count}
    except OSError as error:
        raise InvalidInput("reconcile.file", f"{path} cannot be read: {error.strerror or error}.") from None


def _lines(file: TextIO) -> Iterator[str]:
    return iter(lambda: file.readline(SERVER_LOG_LINE_CHARS_MAX), "")


def _say(answer: dict[str, Any]) -> None:
    said = count_words(answer["events"], "event")
    say(f"{said} of the database's log, from {_moment(answer['first'])} to {_moment(answer['last'])} by its clock.")
    say(f"{answer['carried'] + answer['carried_by_order']:>9,}  carried by sessions of ours", "allow")
    if answer["carried_by_order"]:
        say(f"           ({answer['carried_by_order']:,} of them by order alone: their text was not captured in full)")
    for item in answer["excluded"]:
        say(f"{item['count']:>9,}  excluded: {item['reason']}")
    say(f"{answer['unexplained']:>9,}  unexplained", "deny" if answer["unexplained"] else "allow")
    for one in answer["connections"]:
        _say_connection(one)
    if answer["connections_not_shown"]:
        more = answer["connections_not_shown"]
        say(f"And {more:,} more connections, which --json does not list either: give fewer files.")
    lone = answer["records_without_line"]
    if lone:
        said = count_words(lone, "record")
        say(f"{said} of ours without a line in this log: it logs less than all, or covers another time.")
    say(f"Both clocks count as equal within {answer['tolerance_s']} s.", "dim")
    verdict = "What nothing of ours explains is listed above." if answer["unexplained"] else "Nothing is unexplained."
    say(verdict, "strong")


def _say_connection(one: dict[str, Any]) -> None:
    backend = one["backend"]
    who = f"{backend['role'] or 'somebody'}@{backend['address'] or 'unknown address'}, backend {backend['pid']}"
    record = "" if one["record"] is None else f", record {one['record']}"
    say()
    say(f"{one['why']}: {who}{record}: {count_words(one['count'], 'event')}", "deny")
    say(f"  between {_moment(one['first'])} and {_moment(one['last'])} by the database's clock")
    after, before = one["after_record"], one["before_record"]
    if after is not None or before is not None:
        parts = [f"after record {after}"] if after is not None else []
        parts += [f"before record {before}"] if before is not None else []
        say(f"  {' and '.join(parts)} by ours")
    for act in one["acts"][:_SHOWN_MAX]:
        say(f"  {act['file']}:{act['line']}  {act['act']}: {' '.join(act['text'].split())[:120]}")


def _moment(at: str) -> str:
    return f"{at[:10]} {at[11:23]} UTC" if at else "an unknown time"
