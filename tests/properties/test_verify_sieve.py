"""The sieve makes no difference: a verdict with it is the verdict of the exact checks alone, whatever was tampered with."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logmaker import BODY_KEY, SIGNER, Rec, afternoon, stored, with_content, write_log
from test_verify_properties import mutate, mutate_header

from affidavit.archive.open import open_archive
from affidavit.record.body import BodyKey
from affidavit.verify.sift import LEFT, QUIET_KINDS, Sieve, Sifted, Task
from affidavit.verify.verdict import Verdict
from affidavit.verify.verify import Only, verify

RECORDS = tuple(afternoon(12).paper.records)
QUIET = tuple(at for at, record in enumerate(RECORDS) if record.header.kind in QUIET_KINDS)
T = TypeVar("T")


class Exact:
    """A mapper that passes nothing: the exact checks judge every record."""

    def sift(
        self, keys: Mapping[bytes, BodyKey], tasks: Iterator[tuple[T, Task | None]]
    ) -> Iterator[tuple[T, Sifted | None]]:
        for beside, _ in tasks:
            yield beside, None


def both_ways(folder: str, keys: Mapping[bytes, BodyKey], only: Only) -> tuple[Verdict, Verdict]:
    archive = open_archive(folder)
    exact = verify(archive, [SIGNER.verifier], keys, only=only, mapper=Exact())
    return exact, verify(archive, [SIGNER.verifier], keys, only=only)


def compare(records: list[Rec], keys: Mapping[bytes, BodyKey] = {BODY_KEY.id: BODY_KEY}, only: Only = "all") -> Verdict:
    with tempfile.TemporaryDirectory() as folder:
        write_log(Path(folder), records, (3,))
        exact, sifted = both_ways(folder, keys, only)
    assert exact == sifted
    return sifted


def test_the_sieve_passes_every_quiet_record_of_a_right_log() -> None:
    entries, slots = zip(*stored(RECORDS), strict=True)
    sifted = Sieve({BODY_KEY.id: BODY_KEY}).sift(Task(list(entries), list(slots)))
    assert list(QUIET) == [at for at, number in enumerate(sifted.shape_of) if number != LEFT]


@pytest.mark.parametrize("only", ["all", "structure"])
@pytest.mark.parametrize("keys", [{BODY_KEY.id: BODY_KEY}, {}])
def test_a_right_log(keys: Mapping[bytes, BodyKey], only: Only) -> None:
    assert not any(check.findings for check in compare(list(RECORDS), keys, only).checks)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(QUIET))
def test_any_quiet_body(seed: int, index: int) -> None:
    choose = random.Random(seed)
    salt = RECORDS[index].content["salt"]

    def change(content: dict[str, Any]) -> None:
        changed = mutate({name: value for name, value in content.items() if name != "salt"}, choose)
        content.clear()
        content.update(changed if isinstance(changed, dict) else {}, salt=salt)

    compare([with_content(one, change) if at == index else one for at, one in enumerate(RECORDS)])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, len(RECORDS) - 1), st.booleans())
def test_any_header(seed: int, index: int, keyed: bool) -> None:
    changed = mutate_header(RECORDS[index], random.Random(seed))
    records = [changed if at == index else one for at, one in enumerate(RECORDS)]
    compare(records, {BODY_KEY.id: BODY_KEY} if keyed else {})


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32))
def test_any_byte_of_any_file(seed: int) -> None:
    choose = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        write_log(Path(folder), RECORDS, (3,))
        parts = [path for part in ("log", "bodies", "journal") for path in Path(folder, part).rglob("*")]
        path = choose.choice(sorted(path for path in parts if path.is_file() and path.name != "checkpoint"))
        data = bytearray(path.read_bytes())
        data[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
        path.write_bytes(data)
        exact, sifted = both_ways(folder, {BODY_KEY.id: BODY_KEY}, "all")
    assert exact == sifted


def test_a_record_twice_a_hole_and_a_record_taken_out() -> None:
    for at in QUIET:
        compare([*RECORDS[: at + 1], RECORDS[at], *RECORDS[at + 1 :]])
        compare([*RECORDS[:at], *RECORDS[at + 1 :]])


HEADER_BYTES = (
    (b'"v":1}', b'"v":1,"x":1}'),
    (b'"v":1}', b'"v":1} '),
    (b'"seq":', b'"seq":1.0,"zzz":'),
    (b'"seq":', b'"seq":-'),
    (b'"seq":', b'"seq":9007199254740993,"zz":'),
    (b'"basis":"observed"', b'"basis":"\\u006fbserved"'),
    (b'"basis":"observed"', b'"basis":"\xc3\xb6bserved"'),
    (b"-7", b"-6"),
    (b'Z"', b'z"'),
    (b"2026-", b"2026:"),
    (b'"body":"', b'"body":"A'),
)


@pytest.mark.parametrize("change", HEADER_BYTES)
def test_bytes_of_a_header_that_a_strict_reader_refuses_are_left(change: tuple[bytes, bytes]) -> None:
    entries, slots = zip(*stored(RECORDS), strict=True)
    changed = list(entries)
    changed[QUIET[2]] = entries[QUIET[2]].replace(*change)
    sifted = Sieve({}).sift(Task(changed, list(slots)))
    assert [at for at in QUIET if at != QUIET[2]] == [at for at, one in enumerate(sifted.shape_of) if one != LEFT]


def test_what_the_sieve_gives_survives_being_sent() -> None:
    entries, slots = zip(*stored(RECORDS), strict=True)
    task = Task(list(entries), list(slots))
    assert task == msgspec.msgpack.decode(msgspec.msgpack.encode(task), type=Task)
    sifted = Sieve({BODY_KEY.id: BODY_KEY}).sift(task)
    assert sifted == msgspec.msgpack.decode(msgspec.msgpack.encode(sifted), type=Sifted)
