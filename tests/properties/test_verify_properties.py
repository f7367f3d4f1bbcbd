"""Whatever a maker with the log's keys writes into a record, verifying gives a verdict and never an error of its own."""

from __future__ import annotations

import random
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from logmaker import BODY_KEY, SIGNER, Rec, afternoon, with_content, with_fields, write_log

from affidavit.archive.open import open_archive
from affidavit.errors import AffidavitError
from affidavit.record.header import Log, Source, Time
from affidavit.verify.verdict import Verdict
from affidavit.verify.verify import verify

RECORDS = tuple(afternoon(2).paper.records)
VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    1,
    -1,
    2**53,
    "",
    "x",
    "u-" + "a" * 16,
    "a/b/c",
    [],
    [[]],
    {},
    [{}],
    {"a": {}},
    "é",
)
FIELDS = (
    "session",
    "context",
    "ref",
    "decided",
    "actor",
    "system",
    "action",
    "decision",
    "outcome",
    "guarantee",
    "kind",
)


def mutate(value: Any, choose: random.Random) -> Any:
    """`value` with one part of it, anywhere, replaced, removed or doubled."""
    if isinstance(value, dict) and value and choose.random() < 0.85:
        name = choose.choice(sorted(value))
        if choose.random() < 0.1:
            return {key: item for key, item in value.items() if key != name}
        return {**value, name: mutate(value[name], choose)}
    if isinstance(value, list) and value and choose.random() < 0.85:
        at = choose.randrange(len(value))
        if choose.random() < 0.1:
            return [*value, value[at]]
        return [*value[:at], mutate(value[at], choose), *value[at + 1 :]]
    return choose.choice(VALUES)


def mutate_header(record: Rec, choose: random.Random) -> Rec:
    """One field of the header replaced, by a value that a header may have."""
    name = choose.choice((*FIELDS, "log", "time", "source"))
    header = record.header
    value: Any = choose.choice((None, 0, 1, 5, 20, 10**6))
    if name == "kind":
        value = choose.choice([one.header.kind for one in RECORDS])
    elif name == "log":
        value = Log(header.log.at, choose.randrange(30))
    elif name == "time":
        value = Time(header.time.at, choose.choice((None, 0, 1, 25)))
    elif name == "source":
        value = Source(choose.choice((header.source.stream, "0f" * 16)), choose.randrange(10))
    elif name in FIELDS[4:]:
        value = choose.choice([getattr(one.header, name) for one in RECORDS])
    return replace(record, header=with_fields(header, **{name: value}))


def judge(records: list[Rec]) -> Verdict:
    with tempfile.TemporaryDirectory() as folder:
        write_log(Path(folder), records, (3,))
        return verify(open_archive(folder), [SIGNER.verifier], {BODY_KEY.id: BODY_KEY})


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, len(RECORDS) - 1))
def test_any_body(seed: int, index: int) -> None:
    choose = random.Random(seed)
    salt = RECORDS[index].content["salt"]

    def change(content: dict[str, Any]) -> None:
        changed = mutate({name: value for name, value in content.items() if name != "salt"}, choose)
        content.clear()
        content.update(changed if isinstance(changed, dict) else {}, salt=salt)

    records = [with_content(one, change) if at == index else one for at, one in enumerate(RECORDS)]
    assert judge(records).exit_status in (0, 1, 3)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, len(RECORDS) - 1))
def test_any_header(seed: int, index: int) -> None:
    changed = mutate_header(RECORDS[index], random.Random(seed))
    records = [changed if at == index else one for at, one in enumerate(RECORDS)]
    assert judge(records).exit_status in (0, 1, 3)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_any_byte_of_any_file(seed: int) -> None:
    """A changed byte never passes, except in what belongs to nothing: the zeros after the journal's last frame."""
    choose = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        write_log(Path(folder), RECORDS, (3,))
        parts = [
            path for part in ("log", "bodies", "journal") for path in Path(folder, part).rglob("*") if path.is_file()
        ]
        path = choose.choice(sorted(parts))
        data = bytearray(path.read_bytes())
        end = len(data) if path.suffix != ".segment" else len(data) - 4096
        data[choose.randrange(end)] ^= 1 << choose.randrange(8)
        path.write_bytes(data)
        try:
            verdict = verify(open_archive(folder), [SIGNER.verifier], {BODY_KEY.id: BODY_KEY})
        except AffidavitError as error:
            raise AssertionError(f"{path}: {error}") from error
        assert (1, False) == (verdict.exit_status, verdict.holds), path
