"""A journal that begins later than the log: what verify compares of it, what it says, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from logmaker import BODY_KEY, ORIGIN, SIGNER, afternoon, write_log

from affidavit.archive.folder import Folder
from affidavit.archive.open import open_archive
from affidavit.record.frame import (
    SEGMENT_HEADER_BYTES,
    Frame,
    encode_frame,
    read_frames,
    segment_header,
    segment_name,
)
from affidavit.verify.verdict import Verdict
from affidavit.verify.verify import verify


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_log(tmp_path / "data", afternoon(300).paper.records)
    return tmp_path / "data"


def judge(folder: Path) -> Verdict:
    return verify(open_archive(str(folder)), [SIGNER.verifier], {BODY_KEY.id: BODY_KEY})


def codes(verdict: Verdict) -> list[str]:
    return sorted({finding.code for check in verdict.checks for finding in check.findings})


def frames(folder: Path) -> tuple[Path, bytes, list[Frame]]:
    path = sorted((folder / "journal").iterdir())[0]
    data = path.read_bytes()
    return path, data, [frame for frame in read_frames(data) if isinstance(frame, Frame)]


def test_a_journal_without_its_beginning_is_compared_from_where_it_begins(folder: Path) -> None:
    path, _, found = frames(folder)
    path.unlink()
    assert SEGMENT_HEADER_BYTES == found[0].offset
    begins = found[-1].first + len(found[-1].records)
    verdict = judge(folder)
    check = verdict.checks[11]
    assert (0, "passed") == (verdict.exit_status, check.status)
    assert f"compared from record {begins} on, where the journal begins" in check.detail
    rest = sorted((folder / "journal").iterdir())[0]
    data = bytearray(rest.read_bytes())
    data[200] ^= 1
    rest.write_bytes(data)
    assert "journal.damaged" in codes(judge(folder))


def test_a_journal_that_begins_beyond_what_is_published(folder: Path) -> None:
    path, _, found = frames(folder)
    data = segment_header(1_000, ORIGIN) + encode_frame(1_000, found[0].records)
    for segment in sorted((folder / "journal").iterdir()):
        segment.unlink()
    path.with_name(segment_name(1_000)).write_bytes(data)
    assert ["journal.begins"] == codes(judge(folder))


def test_a_journal_that_holds_only_what_is_not_published_yet(folder: Path) -> None:
    _, __, found = frames(folder)
    size = judge(folder).scope.size
    assert size is not None
    for segment in sorted((folder / "journal").iterdir()):
        segment.unlink()
    data = segment_header(size, ORIGIN) + encode_frame(size, found[0].records)
    (folder / "journal" / segment_name(size)).write_bytes(data)
    verdict = judge(folder)
    assert ("not_applicable", 0) == (verdict.checks[11].status, verdict.exit_status)
    assert len(found[0].records) == verdict.scope.journal_beyond


def test_a_hole_in_the_journal(folder: Path) -> None:
    _, __, found = frames(folder)
    later = found[20].first
    for segment in sorted((folder / "journal").iterdir())[1:]:
        segment.unlink()
    path = folder / "journal" / segment_name(later)
    path.write_bytes(segment_header(later, ORIGIN) + encode_frame(later, found[20].records))
    first = folder / "journal" / segment_name(0)
    first.write_bytes(first.read_bytes()[: found[10].offset])
    assert {("journal.order", found[10].first), ("journal.missing", found[10].first)} <= {
        (one.code, one.index) for one in judge(folder).checks[11].findings
    }


class Pruning(Folder):
    """A journal that loses its first segment to a running writer between being listed and being read."""

    def get(self, path: str, limit: int) -> bytes | None:
        if path == segment_name(0):
            (self.path / path).unlink()
        return super().get(path, limit)


def test_a_segment_that_is_pruned_while_it_is_read(folder: Path) -> None:
    _, __, found = frames(folder)
    archive = replace(open_archive(str(folder)), journal=Pruning(folder / "journal"))
    verdict = verify(archive, [SIGNER.verifier], {BODY_KEY.id: BODY_KEY})
    check = verdict.checks[11]
    last = found[-1].first + len(found[-1].records) - 1
    assert "passed" == check.status, check
    assert f"records 0 to {last} were pruned from the journal while it was read" in check.detail
