"""Findings from what the watcher saw: drift that no record explains, and connections past the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from affidavit.capture.watch.direct import CAUSE
from affidavit.evidence.drifts import unexplained
from affidavit.evidence.findings.finding import Finding
from affidavit.evidence.wording import list_words
from affidavit.limits import FINDINGS_PEOPLE_MAX
from affidavit.record.read import Record

_FIELDS_SHOWN = 5


def unexplained_drift(record: Record) -> Iterator[Finding]:
    """What a `drift` found that no record of ours explains."""
    fields = unexplained(record.content)
    if fields:
        system = record.header.system
        said = f"Record {record.index} found that {system} enforces something else than before, and no record of ours "
        said += f"explains {list_words(fields, most=_FIELDS_SHOWN)}."
        objects = tuple(str(op.get("name")) for op in record.content.get("objects", ()))
        yield Finding("drift.unexplained", "certain", said, (record.index,), None, system, objects, len(fields))


class Passed:
    """Connections past a gateway that nobody declared: told once each, with their end where the stretch has it."""

    def __init__(self) -> None:
        self._there: dict[int, Record] = {}

    def take(self, record: Record) -> Iterator[Finding]:
        """The next `log.gap`."""
        content = record.content
        if content.get("cause") != CAUSE or content.get("declared"):
            return
        if content.get("end") is not None:
            began = int(content["gap"])
            self._there.pop(began, None)
            yield _passed(record, (began, record.index))
        elif len(self._there) < FINDINGS_PEOPLE_MAX:
            self._there[record.index] = record
        else:
            yield _passed(record, (record.index,))

    def rest(self) -> Iterator[Finding]:
        """Those whose end did not come."""
        for index, record in self._there.items():
            yield _passed(record, (index,))


def _passed(record: Record, records: tuple[int, ...]) -> Finding:
    content, system = record.content, record.header.system
    backend: dict[str, Any] = content["backend"]
    who = f"{backend.get('role') or 'Somebody'} from {backend.get('address') or 'the socket of the database'}"
    gone = content.get("end")
    until = "whose end the stretch does not show" if gone is None else f"which a look at {_moment(gone)} did not show"
    said = f"{who} connected to {backend.get('database') or 'the server'} past the gateway of {system} at "
    said += f"{_moment(content['start'])} by the database's clock (record {records[0]}), a connection {until}"
    said += f" any more (record {record.index})." if gone is not None else "."
    return Finding(
        "gateway.passed", "certain", f"{said} What was done there is not in this log.", records, None, system
    )


def _moment(at: object) -> str:
    text = str(at)
    return f"{text[:10]} {text[11:19]} UTC"
