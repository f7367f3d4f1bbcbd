"""Altering, removing, swapping or adding any one part of a log is found, and the finding names the part."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from logmaker import BODY_KEY, SIGNER, afternoon, write_log

from affidavit.archive.open import open_archive
from affidavit.record.body import plain_slot
from affidavit.record.frame import SEGMENT_HEADER_BYTES, Frame, decode_bundle, encode_bundle, encode_frame, read_frames
from affidavit.tlog.tiles import decode_entries, encode_entries
from affidavit.verify.verdict import Finding
from affidavit.verify.verify import verify

ACCESSES = 300
BUNDLE = "log/tile/entries/000"
BODIES = "bodies/000"
TILE = "log/tile/0/000"
HIGHER = "log/tile/1/000.p/1"
LAST = "log/tile/entries/001.p/66"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("original") / "data"
    write_log(root, afternoon(ACCESSES).paper.records, (3, 200, 290))
    assert (root / LAST).exists()
    return root


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "data"))


def judge(folder: Path) -> list[Finding]:
    verdict = verify(open_archive(str(folder)), [SIGNER.verifier], {BODY_KEY.id: BODY_KEY})
    assert (1, False) == (verdict.exit_status, verdict.holds)
    return [finding for check in verdict.checks for finding in check.findings]


def edit(path: Path, change: Callable[[list[bytes]], None], *, bodies: bool = False) -> None:
    """Change the parts of a bundle in place."""
    data = path.read_bytes()
    count = 256 if ".p" not in str(path) else int(path.name)
    parts = decode_bundle(data, count) if bodies else decode_entries(data, count)
    change(parts)
    encode = encode_bundle if bodies else _encode_any
    path.write_bytes(encode(parts))


def _encode_any(entries: list[bytes]) -> bytes:
    """A bundle of any number of entries, also more than a log may write."""
    return b"".join(encode_entries([entry]) for entry in entries)


def put(parts: list[bytes], at: int, value: bytes) -> None:
    parts[at] = value


def swap(parts: list[bytes], a: int, b: int) -> None:
    parts[a], parts[b] = parts[b], parts[a]


ENTRIES: list[tuple[str, Callable[[list[bytes]], None], str, int | None]] = [
    ("altered", lambda e: put(e, 100, e[100].replace(b'"allow"', b'"deny"')), "entry.altered", 100),
    ("byte", lambda e: put(e, 17, b"[" + e[17][1:]), "entry.altered", 17),
    ("removed", lambda e: e.pop(100), "bundle.short", None),
    ("removed, shown", lambda e: e.pop(100), "entry.altered", 100),
    ("swapped", lambda e: swap(e, 41, 42), "entry.altered", 41),
    ("added at the end", lambda e: e.append(e[-1]), "bundle.trailing", None),
    ("added within", lambda e: e.insert(50, e[50]), "entry.altered", 51),
]


@pytest.mark.parametrize(("name", "change", "code", "index"), ENTRIES, ids=[case[0] for case in ENTRIES])
def test_entries(folder: Path, name: str, change: Callable[[list[bytes]], None], code: str, index: int | None) -> None:
    edit(folder / BUNDLE, change)
    assert (code, BUNDLE, index) in [(one.code, one.where, one.index) for one in judge(folder)]


def test_an_altered_entry_is_the_only_entry_blamed(folder: Path) -> None:
    edit(folder / BUNDLE, lambda e: put(e, 100, e[100].replace(b'"allow"', b'"deny"')))
    assert [100] == [one.index for one in judge(folder) if one.code == "entry.altered"]


def test_an_entry_of_the_last_bundle(folder: Path) -> None:
    edit(folder / LAST, lambda e: put(e, 3, e[3].replace(b'"allow"', b'"deny"')))
    assert ("entry.altered", LAST, 259) in [(one.code, one.where, one.index) for one in judge(folder)]


def test_a_removed_bundle(folder: Path) -> None:
    (folder / BUNDLE).unlink()
    assert ("log.absent", BUNDLE) in [(one.code, one.where) for one in judge(folder)]


def test_swapped_bundles(folder: Path) -> None:
    one, other = (folder / BUNDLE).read_bytes(), (folder / LAST).read_bytes()
    (folder / BUNDLE).write_bytes(other)
    (folder / LAST).write_bytes(one)
    assert {BUNDLE, LAST} <= {one.where for one in judge(folder)}


SLOTS: list[tuple[str, Callable[[list[bytes]], None], str, int | None]] = [
    ("altered", lambda s: put(s, 100, s[100][:-1] + bytes([s[100][-1] ^ 1])), "body.altered", 100),
    ("removed", lambda s: put(s, 100, b""), "bodies.removed", 100),
    ("cut out", lambda s: s.pop(100), "bundle.short", None),
    ("swapped", lambda s: swap(s, 41, 42), "body.altered", 42),
    ("added", lambda s: s.append(s[-1]), "bundle.long", None),
    ("another, plain", lambda s: put(s, 100, plain_slot(b'{"salt":"AAAAAAAAAAAAAAAAAAAAAA"}')), "body.altered", 100),
    ("no known form", lambda s: put(s, 100, b"\x09" + s[100][1:]), "slot.form", 100),
    ("a stub without an erase record", lambda s: put(s, 100, b"\x03\0\0\0\0stub"), "bodies.erased", 100),
    ("a stub for what may not be erased", lambda s: put(s, 1, b"\x03\0\0\0\0stub"), "bodies.erased", 1),
]


@pytest.mark.parametrize(("name", "change", "code", "index"), SLOTS, ids=[case[0] for case in SLOTS])
def test_bodies(folder: Path, name: str, change: Callable[[list[bytes]], None], code: str, index: int | None) -> None:
    edit(folder / BODIES, change, bodies=True)
    assert (code, BODIES, index) in [(one.code, one.where, one.index) for one in judge(folder)]


def test_a_removed_body_bundle(folder: Path) -> None:
    (folder / BODIES).unlink()
    assert ("bodies.absent", BODIES) in [(one.code, one.where) for one in judge(folder)]


def test_an_altered_tile_is_blamed_and_not_the_entry(folder: Path) -> None:
    data = bytearray((folder / TILE).read_bytes())
    data[100 * 32] ^= 1
    (folder / TILE).write_bytes(data)
    found = judge(folder)
    assert ("tile.altered", TILE, 100) in [(one.code, one.where, one.index) for one in found]
    assert [] == [one for one in found if one.code == "entry.altered"]


def test_an_altered_higher_tile(folder: Path) -> None:
    data = bytearray((folder / HIGHER).read_bytes())
    data[0] ^= 1
    (folder / HIGHER).write_bytes(data)
    assert ("tile.altered", HIGHER, 0) in [(one.code, one.where, one.index) for one in judge(folder)]


@pytest.mark.parametrize("path", [TILE, HIGHER, "log/tile/0/001.p/66"])
def test_a_removed_or_cut_tile(folder: Path, path: str) -> None:
    data = (folder / path).read_bytes()
    (folder / path).unlink()
    assert ("log.absent", path) in [(one.code, one.where) for one in judge(folder)]
    (folder / path).write_bytes(data[:-32])
    assert ("tile.length", path) in [(one.code, one.where) for one in judge(folder)]


def test_an_entry_altered_together_with_its_tile_leads_to_the_higher_tile(folder: Path) -> None:
    from affidavit.tlog.hashing import leaf_hash

    def change(entries: list[bytes]) -> None:
        put(entries, 100, entries[100].replace(b'"allow"', b'"deny"'))
        data = bytearray((folder / TILE).read_bytes())
        data[3200:3232] = leaf_hash(entries[100])
        (folder / TILE).write_bytes(data)

    edit(folder / BUNDLE, change)
    found = [(one.code, one.where, one.index) for one in judge(folder)]
    assert ("root.differs", "log/checkpoint", None) in found
    assert ("tile.altered", HIGHER, 0) in found
    assert ("journal.differs", 100) in [(one.code, one.index) for one in judge(folder)]


@pytest.mark.parametrize(
    "path", ["log/tile/0/007", "log/tile/0/002.p/4", "log/notes.txt", "bodies/002.p/9", "bodies/x", "journal/x"]
)
def test_added_files(folder: Path, path: str) -> None:
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_bytes(b"?" * 32)
    assert path in [one.where for one in judge(folder) if one.code.startswith("files.")]


@pytest.mark.parametrize("path", ["log/tile/0/000.p/200", "log/tile/entries/000.p/200", "bodies/000.p/200"])
def test_a_partial_of_an_earlier_size_must_be_right_too(folder: Path, path: str) -> None:
    data = bytearray((folder / path).read_bytes())
    data[-1] ^= 1
    (folder / path).write_bytes(data)
    assert ("files.partial", path) in [(one.code, one.where) for one in judge(folder)]


def _line(at: int, change: Callable[[str], str]) -> Callable[[list[str]], None]:
    def edit_line(lines: list[str]) -> None:
        lines[at] = change(lines[at])

    return edit_line


CHECKPOINTS: list[tuple[str, Callable[[list[str]], None], str]] = [
    ("origin", _line(0, lambda text: text + "x"), "note.signature"),
    ("size", _line(1, lambda text: str(int(text) - 1)), "note.signature"),
    ("root", _line(2, lambda text: "A" + text[1:] if text[0] != "A" else "B" + text[1:]), "note.signature"),
    ("signature", _line(4, lambda text: text[:-10] + ("A" if text[-10] != "A" else "B") + text[-9:]), "note.signature"),
    ("signer", _line(4, lambda text: text.replace("log.example", "log.invalid")), "note.unknown"),
    ("a line removed", lambda lines: lines.pop(2), "note.signature"),
    ("a line added", lambda lines: lines.insert(3, "more"), "note.signature"),
    ("lines swapped", lambda lines: lines.__setitem__(slice(0, 2), lines[1::-1]), "note.signature"),
    ("the signature removed", lambda lines: lines.pop(4), "note.malformed"),
]


@pytest.mark.parametrize(("name", "change", "code"), CHECKPOINTS, ids=[case[0] for case in CHECKPOINTS])
def test_checkpoint_lines(folder: Path, name: str, change: Callable[[list[str]], None], code: str) -> None:
    path = folder / "log/checkpoint"
    lines = path.read_text().split("\n")
    change(lines)
    path.write_text("\n".join(lines))
    assert [(code, "log/checkpoint")] == [(one.code, one.where) for one in judge(folder)]


def test_a_removed_checkpoint(folder: Path) -> None:
    (folder / "log/checkpoint").unlink()
    assert [("log.absent", "log/checkpoint")] == [(one.code, one.where) for one in judge(folder)]


def frames(folder: Path) -> tuple[Path, bytes, list[Frame]]:
    path = sorted((folder / "journal").iterdir())[0]
    data = path.read_bytes()
    found = [frame for frame in read_frames(data) if isinstance(frame, Frame)]
    return path, data, found


def test_an_altered_journal_frame(folder: Path) -> None:
    path, data, found = frames(folder)
    changed = bytearray(data)
    changed[found[4].offset + 50] ^= 1
    path.write_bytes(changed)
    place = f"journal/{path.name} offset {found[4].offset}"
    assert ("journal.damaged", place) in [(one.code, one.where) for one in judge(folder)]


def test_an_altered_journal_frame_with_a_right_checksum(folder: Path) -> None:
    path, data, found = frames(folder)
    frame = found[4]
    records = list(frame.records)
    records[2] = (records[2][0].replace(b'"allow"', b'"deny"'), records[2][1])
    path.write_bytes(data[: frame.offset] + encode_frame(frame.first, records) + data[frame.end :])
    place = f"journal/{path.name} offset {frame.offset}"
    assert [("journal.differs", place, frame.first + 2)] == [(one.code, one.where, one.index) for one in judge(folder)]


def test_a_removed_journal_frame(folder: Path) -> None:
    path, data, found = frames(folder)
    path.write_bytes(data[: found[4].offset] + data[found[4].end :])
    place = f"journal/{path.name} offset {found[4].offset}"
    assert ("journal.order", place, found[4].first) in [(one.code, one.where, one.index) for one in judge(folder)]


def test_swapped_journal_frames(folder: Path) -> None:
    path, data, found = frames(folder)
    one, other = found[4], found[5]
    changed = data[other.offset : other.end] + data[one.offset : one.end]
    path.write_bytes(data[: one.offset] + changed + data[other.end :])
    place = f"journal/{path.name} offset {one.offset}"
    assert ("journal.order", place) in [(finding.code, finding.where) for finding in judge(folder)]


def test_an_added_journal_frame(folder: Path) -> None:
    path, data, found = frames(folder)
    frame = found[4]
    path.write_bytes(data[: frame.end] + data[frame.offset : frame.end] + data[frame.end :])
    place = f"journal/{path.name} offset {frame.end}"
    assert ("journal.order", place) in [(one.code, one.where) for one in judge(folder)]


def test_a_removed_journal_segment(folder: Path) -> None:
    path, _, found = frames(folder)
    path.unlink()
    codes = {(one.code, one.index) for one in judge(folder)}
    assert {("journal.missing", 0), ("journal.order", 0)} <= codes
    assert SEGMENT_HEADER_BYTES == found[0].offset


def test_a_segment_of_another_log(folder: Path) -> None:
    path, data, _ = frames(folder)
    path.write_bytes(data[:28] + bytes(32) + data[60:])
    assert ("journal.header", f"journal/{path.name}") in [(one.code, one.where) for one in judge(folder)]


def test_a_checkpoint_put_back_to_an_older_one(folder: Path, tmp_path: Path) -> None:
    notes = write_log(tmp_path / "again", afternoon(ACCESSES).paper.records, (3, 200, 290))
    (folder / "log/checkpoint").write_bytes(notes[0])
    found = judge(folder)
    assert {"files.beyond"} == {one.code for one in found}
    assert BUNDLE in {one.where for one in found}


def test_a_link_in_the_place_of_a_file_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (folder / TILE).rename(tmp_path / "moved")
    (folder / TILE).symlink_to(tmp_path / "moved")
    assert ("archive.link", TILE) in [(one.code, one.where) for one in judge(folder)]
