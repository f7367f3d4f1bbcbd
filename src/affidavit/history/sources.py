"""When sources were last heard of, and which are silent: a fold over `log.heartbeat` and `log.gap` records.

A silence begins with a `log.gap` of the cause `silence` without an end. It ends with the next heartbeat of its source;
a second `log.gap` says from when to when it was. Where the writer died between these two, the heartbeat alone stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from affidavit.history.asof import Records
from affidavit.record.read import Record
from affidavit.state.sources import Expected

#: The kinds of records that this fold has to be shown.
SOURCE_KINDS = frozenset({"log.heartbeat", "log.gap"})


@dataclass(frozen=True, slots=True)
class Heard:
    """What the log says of a source under its present declaration.

    `index` and `at` are those of its last heartbeat, None and empty where there was none. `gap` is the index of the
    `log.gap` that says it is silent, None where nothing does; `start` is when that silence began, `before` the
    heartbeat before it.
    """

    index: int | None = None
    at: str = ""
    gap: int | None = None
    start: str = ""
    before: int | None = None

    @property
    def silent(self) -> bool:
        """The log says that it is silent, and no heartbeat came since."""
        return self.gap is not None and self.index == self.before

    @property
    def ended(self) -> bool:
        """A heartbeat has ended its silence, and no `log.gap` says so yet."""
        return self.gap is not None and self.index != self.before


def named_source(record: Record) -> str | None:
    """The source that a heartbeat or a gap of silence names; None for any other record."""
    if record.header.kind not in SOURCE_KINDS:
        return None
    content = record.content
    if record.header.kind == "log.gap" and content.get("cause") != "silence":
        return None
    name = content.get("source")
    return name if isinstance(name, str) else None


def heard_after(heard: Heard, record: Record) -> Heard:
    """`heard` after the next record that names the source."""
    content: Mapping[str, Any] = record.content
    if record.header.kind == "log.heartbeat":
        return replace(heard, index=record.index, at=record.header.log.at)
    if content.get("end") is not None:
        return Heard(heard.index, heard.at)
    before = content.get("heard")
    return replace(
        heard,
        gap=record.index,
        start=str(content.get("start", "")),
        before=before if isinstance(before, int) else None,
    )


def heard_before(records: Records, stop: int, sources: Mapping[str, Expected], floor: int = 0) -> dict[str, Heard]:
    """What the records before `stop` say of each of these sources, as far as they say anything.

    Reads back from `stop` until each source was found, at most to `floor` or the oldest declaration: a source that
    sends heartbeats is found within one of them.
    """
    found: dict[str, Heard] = {}
    wanted = dict(sources)
    at = stop
    while wanted and at > max(floor, min(one.declared for one in wanted.values()) + 1):
        at -= 1
        if records.header(at).kind not in SOURCE_KINDS:
            continue
        record = records.record(at)
        name = named_source(record)
        if name in wanted and wanted[name].declared < at:
            found[name] = _last(record)
            del wanted[name]
    return found


def _last(record: Record) -> Heard:
    """What the last record that names a source says of it, all by itself."""
    content = record.content
    heard = content.get("heard")
    index = heard if isinstance(heard, int) else None
    if record.header.kind == "log.gap" and content.get("end") is not None:
        return Heard(index, str(content["end"]))
    at = "" if index is None else str(content.get("start", ""))
    return heard_after(Heard(index, at), record)
