"""Alterations of files by somebody who does not sign anew: each file kind × change, cut, extend, swap, put back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from logmaker import ORIGIN, write_log

from affidavit.record.body import erased_slot, plain_slot
from affidavit.record.frame import Frame, decode_bundle, encode_bundle, encode_frame, read_frames
from affidavit.tlog.checkpoint import Checkpoint, sign_checkpoint
from affidavit.tlog.hashing import full_subtree_root, leaf_hash
from affidavit.tlog.notes import SignerKey
from affidavit.tlog.tiles import decode_entries, encode_entries, tile_hashes
from tampering.kinds import LONG, Case, Found, Need, Tampering

CHECKPOINT = "log/checkpoint"
BUNDLE, LAST = "log/tile/entries/000", "log/tile/entries/001.p/66"
TILE, LAST_TILE = "log/tile/0/000", "log/tile/0/001.p/66"
HIGHER = "log/tile/1/000.p/1"
BODIES, LAST_BODIES = "bodies/000", "bodies/001.p/66"
_PARTIALS = ("log/tile/0/000.p/200", "log/tile/entries/000.p/200", "bodies/000.p/200")
_ABSENT = "an archive need not hold the bodies, so the verdict says that they are not checked, and its exit status is 3"
_PRUNED = (
    "pruning does the same: what it held is published, and proved there; the verdict says from which record on the "
    "journal was compared"
)
_BEYOND = (
    "no checkpoint speaks of it yet: the verdict counts such records and vouches for none. The next start takes it up, as "
    "it would one that was written through the log, which root on the machine may do as well"
)
_SNAPSHOT = "no verdict reads it; a start takes it only under the log's key and root; `fsck` folds anew and compares"
_NO_JOURNAL = (
    "a public copy has no journal, so the verdict says that it was not looked at. `up` refuses to start without it, "
    "and `fsck` names it"
)

Alter = Callable[[Case], None]
Parts = Callable[[list[bytes]], object]


def _rows() -> list[Tampering]:
    return [*_checkpoints(), *_entries(), *_tiles(), *_bodies(), *_journal(), *_others()]


# -- tools ---------------------------------------------------------------------------------------------------------------


def _row(part: str, deed: str, alter: Alter, *found: Found, why: str = "") -> Tampering:
    return Tampering(part, deed, alter, found, why, LONG)


def _edit_parts(path: str, change: Parts, *, bodies: bool = False) -> Alter:
    def alter(case: Case) -> None:
        file = case.folder / path
        data, count = file.read_bytes(), 256 if ".p" not in path else int(file.name)
        parts = decode_bundle(data, count) if bodies else decode_entries(data, count)
        change(parts)
        # One by one: a bundle of more entries than a log may write is wanted too.
        encoded = encode_bundle(parts) if bodies else b"".join(encode_entries([part]) for part in parts)
        file.write_bytes(encoded)

    return alter


def _edit_bytes(path: str, change: Callable[[bytearray], object]) -> Alter:
    def alter(case: Case) -> None:
        data = bytearray((case.folder / path).read_bytes())
        change(data)
        (case.folder / path).write_bytes(data)

    return alter


def _remove(path: str) -> Alter:
    return lambda case: (case.folder / path).unlink()


def _exchange(one: str, other: str) -> Alter:
    def alter(case: Case) -> None:
        first, second = case.folder / one, case.folder / other
        data = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(data)

    return alter


def _replaced(path: str, by: str) -> Alter:
    """The file put back to what another one, of an earlier time, holds."""
    return lambda case: (case.folder / path).write_bytes((case.folder / by).read_bytes())


def _put(at: int, change: Callable[[bytes], bytes]) -> Parts:
    return lambda parts: parts.__setitem__(at, change(parts[at]))


def _swap(a: int, b: int) -> Parts:
    def swap(parts: list[bytes]) -> None:
        parts[a], parts[b] = parts[b], parts[a]

    return swap


def _flip(at: int) -> Callable[[bytearray], object]:
    return lambda data: data.__setitem__(at, data[at] ^ 1)


def _other_basis(entry: bytes) -> bytes:
    return entry.replace(b'"observed"', b'"imported"')


def _no_text(entry: bytes) -> bytes:
    return entry.replace(b'"body":"', b'"body":"\xb1', 1)


def _nested(entry: bytes) -> bytes:
    return b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"," + entry[1:]


# -- checkpoint ----------------------------------------------------------------------------------------------------------


def _line(at: int, change: Callable[[str], str]) -> Callable[[list[str]], object]:
    return lambda lines: lines.__setitem__(at, change(lines[at]))


def _note(change: Callable[[list[str]], object]) -> Alter:
    def alter(case: Case) -> None:
        path = case.folder / CHECKPOINT
        lines = path.read_text().split("\n")
        change(lines)
        path.write_text("\n".join(lines))

    return alter


def _other(text: str, at: int) -> str:
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


def _older_checkpoint(case: Case) -> None:
    (case.folder / CHECKPOINT).write_bytes(case.kept[0])


def _called_a_copy(case: Case) -> None:
    _older_checkpoint(case)
    (case.folder / "copying").mkdir()
    (case.folder / "copying/checkpoint").write_bytes(case.kept[-1])


def _signed_by(name: str) -> Alter:
    """The checkpoint signed by a key that the thief made."""

    def alter(case: Case) -> None:
        lines = (case.folder / CHECKPOINT).read_text().split("\n")
        checkpoint = Checkpoint.parse("\n".join(lines[:3]) + "\n")
        forged = Checkpoint(name, checkpoint.size, checkpoint.root)
        (case.folder / CHECKPOINT).write_bytes(sign_checkpoint(forged, SignerKey(name, bytes(32))))

    return alter


def _checkpoints() -> list[Tampering]:
    part = "checkpoint"

    def row(deed: str, change: Alter, code: str) -> Tampering:
        return _row(part, deed, change, Found(1, code, where=CHECKPOINT))

    return [
        row("origin changed", _note(_line(0, lambda text: text + "x")), "note.signature"),
        row("size changed", _note(_line(1, lambda text: str(int(text) - 1))), "note.signature"),
        row("root changed", _note(_line(2, lambda text: _other(text, 0))), "note.signature"),
        row("signature changed", _note(_line(4, lambda text: _other(text, -10))), "note.signature"),
        row(
            "signer's name changed",
            _note(_line(4, lambda text: text.replace("log.example", "log.invalid"))),
            "note.unknown",
        ),
        row("a line cut", _note(lambda lines: lines.pop(2)), "note.signature"),
        row("a line added", _note(lambda lines: lines.insert(3, "more")), "note.signature"),
        row("two lines swapped", _note(lambda lines: lines.__setitem__(slice(0, 2), lines[1::-1])), "note.signature"),
        row("the signature cut", _note(lambda lines: lines.pop(4)), "note.malformed"),
        row("removed", _remove(CHECKPOINT), "log.absent"),
        row("signed by another key of the same name", _signed_by(ORIGIN), "note.unknown"),
        row("swapped with another log's", _signed_by("log.example/other"), "note.unknown"),
        _row(part, "put back to an older one", _older_checkpoint, Found(4, "files.beyond", where=BUNDLE)),
        Tampering(
            part, "put back to an older one, and the folder called a copy on its way to the newer one", _called_a_copy, (),
            "only the newer checkpoint itself explains what lies beyond the older one, and the verdict says that the log "
            "signed it, and how many records it is of; exit status 3", LONG, said="this copy is not finished",
        ),
    ]  # fmt: skip


# -- entries -------------------------------------------------------------------------------------------------------------


def _entry_and_tile(case: Case) -> None:
    _edit_parts(BUNDLE, _put(100, _other_basis))(case)
    entries = decode_entries((case.folder / BUNDLE).read_bytes(), 256)
    _edit_bytes(TILE, lambda data: data.__setitem__(slice(3200, 3232), leaf_hash(entries[100])))(case)


def _entry_and_all_tiles(case: Case) -> None:
    _entry_and_tile(case)
    root = full_subtree_root(tile_hashes((case.folder / TILE).read_bytes(), 256))
    (case.folder / HIGHER).write_bytes(root)


def _entries() -> list[Tampering]:
    part = "entry bundle"
    root = Found(2, "root.differs", where=CHECKPOINT)

    def row(deed: str, change: Parts, code: str, index: int | None = None, path: str = BUNDLE) -> Tampering:
        return _row(part, deed, _edit_parts(path, change), Found(2, code, where=path, index=index))

    return [
        row("an entry changed", _put(100, _other_basis), "entry.altered", 100),
        row("an entry changed to what is no JSON", _put(17, lambda entry: b"[" + entry[1:]), "entry.altered", 17),
        row("an entry changed to what is no text", _put(17, _no_text), "entry.altered", 17),
        row("an entry changed to one that is nested too deep", _put(17, _nested), "entry.altered", 17),
        row("an entry cut out", lambda entries: entries.pop(100), "bundle.short"),
        row("an entry added at the end", lambda entries: entries.append(entries[-1]), "bundle.trailing"),
        row("an entry added within", lambda entries: entries.insert(50, entries[50]), "entry.altered", 51),
        row("two entries swapped", _swap(41, 42), "entry.altered", 41),
        row("an entry of the last, partial one changed", _put(3, _other_basis), "entry.altered", 259, LAST),
        _row(
            part,
            "the partial one put back to an older size",
            _replaced(LAST, "log/tile/entries/001.p/34"),
            Found(2, "bundle.short", where=LAST),
        ),
        _row(part, "removed", _remove(BUNDLE), Found(2, "log.absent", where=BUNDLE)),
        _row(part, "two swapped", _exchange(BUNDLE, LAST), Found(2, "bundle.short", where=BUNDLE)),
        _row(part, "an entry changed, and its hash in the tile", _entry_and_tile, root),
        _row(part, "an entry changed, and all tiles above it", _entry_and_all_tiles, root),
    ]


# -- tiles ---------------------------------------------------------------------------------------------------------------


def _tiles() -> list[Tampering]:
    rows = []
    # What is larger than any tile can be is refused before it is read.
    for part, path, index, longer in (
        ("level-0 tile", TILE, 100, "archive.too_large"),
        ("higher tile", HIGHER, 0, "tile.length"),
    ):

        def row(
            deed: str, alter: Alter, code: str, at: int | None = None, *, p: str = part, f: str = path
        ) -> Tampering:
            return _row(p, deed, alter, Found(3, code, where=f, index=at))

        rows += [
            row("a hash changed", _edit_bytes(path, _flip(index * 32)), "tile.altered", index),
            row("cut", _edit_bytes(path, lambda data: data.__delitem__(slice(-32, None))), "tile.length"),
            row("a hash added", _edit_bytes(path, lambda data: data.extend(bytes(32))), longer),
            row("removed", _remove(path), "log.absent"),
        ]

    def swap_hashes(data: bytearray) -> None:
        data[320:352], data[352:384] = data[352:384], data[320:352]

    part = "level-0 tile"
    rows += [
        _row(
            part, "two hashes swapped", _edit_bytes(TILE, swap_hashes), Found(3, "tile.altered", where=TILE, index=10)
        ),
        _row(part, "swapped with another tile", _exchange(TILE, LAST_TILE), Found(3, "tile.length", where=TILE)),
        _row(part, "the partial one removed", _remove(LAST_TILE), Found(3, "log.absent", where=LAST_TILE)),
        _row(
            part,
            "the partial one put back to an older size",
            _replaced(LAST_TILE, "log/tile/0/001.p/34"),
            Found(3, "tile.length", where=LAST_TILE),
        ),
        _row(
            "higher tile",
            "swapped with one of another level",
            _exchange(HIGHER, LAST_TILE),
            Found(3, "tile.length", where=HIGHER),
        ),
    ]
    return rows


# -- bodies --------------------------------------------------------------------------------------------------------------


def _bodies() -> list[Tampering]:
    part = "body bundle"
    journal, keys = frozenset({Need.JOURNAL}), frozenset({Need.BODY_KEYS})

    def content(deed: str, change: Parts, index: int) -> Tampering:
        alter = _edit_parts(BODIES, change, bodies=True)
        opened = Found(13, "body.altered", keys, BODIES, index)
        return _row(part, deed, alter, opened, Found(12, "journal.differs", journal, index=index))

    def plain(deed: str, change: Parts, code: str, index: int | None = None, path: str = BODIES) -> Tampering:
        alter = _edit_parts(path, change, bodies=True)
        return _row(part, deed, alter, Found(11, code, where=path, index=index))

    another = plain_slot(b'{"salt":"AAAAAAAAAAAAAAAAAAAAAA"}')
    stub = erased_slot(310, b"")
    return [
        content("a body changed", _put(220, lambda slot: slot[:-1] + bytes([slot[-1] ^ 1])), 220),
        content("two bodies swapped", _swap(220, 222), 222),
        _row(
            part,
            "a body replaced by another, in plain",
            _edit_parts(BODIES, _put(100, lambda _: another), bodies=True),
            Found(13, "body.altered", where=BODIES, index=100),
        ),
        plain("a body removed", _put(100, lambda _: b""), "bodies.removed", 100),
        plain("a body cut out", lambda slots: slots.pop(100), "bundle.short"),
        plain("a body added", lambda slots: slots.append(slots[-1]), "bundle.long"),
        plain("a body of no known form", _put(100, lambda slot: b"\x09" + slot[1:]), "slot.form", 100),
        plain("a body erased without an erase record", _put(50, lambda _: stub), "bodies.erased", 306, LAST_BODIES),
        plain("a body erased that may not be", _put(1, lambda _: stub), "bodies.erased", 1),
        _row(part, "two swapped", _exchange(BODIES, LAST_BODIES), Found(11, "bundle.short", where=BODIES)),
        _row(
            part,
            "the partial one put back to an older size",
            _replaced(LAST_BODIES, "bodies/001.p/34"),
            Found(11, "bundle.short", where=LAST_BODIES),
        ),
        _row(part, "removed", _remove(BODIES), Found(11, "bodies.absent", where=BODIES)),
        _row(part, "the whole folder removed", lambda case: shutil.rmtree(case.folder / "bodies"), why=_ABSENT),
    ]


# -- journal -------------------------------------------------------------------------------------------------------------


def _segment(case: Case) -> tuple[Path, bytes, list[Frame]]:
    path = sorted((case.folder / "journal").iterdir())[0]
    data = path.read_bytes()
    return path, data, [frame for frame in read_frames(data) if isinstance(frame, Frame)]


def _segment_bytes(change: Callable[[bytes, list[Frame]], bytes]) -> Alter:
    def alter(case: Case) -> None:
        path, data, frames = _segment(case)
        path.write_bytes(change(data, frames))

    return alter


def _flipped_frame(data: bytes, frames: list[Frame]) -> bytes:
    changed = bytearray(data)
    changed[frames[4].offset + 50] ^= 1
    return bytes(changed)


def _false_frame(data: bytes, frames: list[Frame]) -> bytes:
    frame = frames[4]
    records = list(frame.records)
    records[2] = (_other_basis(records[2][0]), records[2][1])
    return data[: frame.offset] + encode_frame(frame.first, records) + data[frame.end :]


def _cut_journal(case: Case) -> None:
    """The last segment removed: the journal ends before the checkpoint."""
    sorted((case.folder / "journal").iterdir())[-1].unlink()


def _swapped_segments(case: Case) -> None:
    first, second = sorted(path.name for path in (case.folder / "journal").iterdir())
    _exchange(f"journal/{first}", f"journal/{second}")(case)


def _older_journal(case: Case) -> None:
    """The whole journal put back to what it was when the log had 290 records."""
    shutil.rmtree(case.folder / "journal")
    write_log(case.folder / "then", case.records[:290], (3, 200))
    (case.folder / "then/journal").rename(case.folder / "journal")
    shutil.rmtree(case.folder / "then")


def _made_up(case: Case) -> None:
    """A frame behind the last one, of a record that nobody made: the last one again, and a number on."""
    path = sorted((case.folder / "journal").iterdir())[-1]
    data = path.read_bytes()
    last = [frame for frame in read_frames(data) if isinstance(frame, Frame)][-1]
    frame = encode_frame(len(case.records), [last.records[-1]])
    path.write_bytes(data[: last.end] + frame + bytes(512))


def _journal() -> list[Tampering]:
    part, needs = "journal segment", frozenset({Need.JOURNAL})

    def row(deed: str, alter: Alter, code: str, index: int | None = None) -> Tampering:
        return _row(part, deed, alter, Found(12, code, needs, index=index))

    return [
        row("a frame changed", _segment_bytes(_flipped_frame), "journal.damaged"),
        row("a frame changed, its checksum too", _segment_bytes(_false_frame), "journal.differs", 30),
        row("a frame cut out", _segment_bytes(lambda d, f: d[: f[4].offset] + d[f[4].end :]), "journal.order", 28),
        row("a frame repeated", _segment_bytes(lambda d, f: d[: f[4].end] + d[f[4].offset :]), "journal.order", 35),
        row(
            "two frames swapped",
            _segment_bytes(
                lambda d, f: (
                    d[: f[4].offset] + d[f[5].offset : f[5].end] + d[f[4].offset : f[4].end] + d[f[5].end :]
                )
            ),
            "journal.order",
        ),
        row("put in the place of another log's", _segment_bytes(lambda d, f: d[:28] + bytes(32) + d[60:]), "journal.header"),
        row("two swapped", _swapped_segments, "journal.header"),
        row("all put back to an older state", _older_journal, "journal.missing"),
        _row(part, "a record made up behind the last published one", _made_up, why=_BEYOND),
        _row(part, "the first removed", lambda case: _segment(case)[0].unlink(), why=_PRUNED),
        row("the last removed", _cut_journal, "journal.missing"),
        _row(part, "all removed", lambda case: shutil.rmtree(case.folder / "journal"), why=_NO_JOURNAL),
    ]  # fmt: skip


# -- what does not belong there, and copies ------------------------------------------------------------------------------


def _add(path: str) -> Alter:
    def alter(case: Case) -> None:
        (case.folder / path).parent.mkdir(exist_ok=True)
        (case.folder / path).write_bytes(b"?" * 32)

    return alter


def _link(case: Case) -> None:
    (case.folder / TILE).rename(case.folder / "moved")
    (case.folder / TILE).symlink_to(case.folder / "moved")


def _older_copy(case: Case) -> None:
    shutil.rmtree(case.folder)
    write_log(case.folder, case.records[:290], (3, 200))


def _unpublished(case: Case) -> None:
    """Records that were durable, and not yet published, cut from the journal."""
    shutil.rmtree(case.folder)
    write_log(case.folder, case.records, (3, 200, 290), journal_end=290)
    case.kept = case.kept[:3]


def _kept_changed(case: Case) -> None:
    """A byte of the root in the copy that was kept elsewhere, or in `DIR/checkpoints` if that is what was given."""
    last = bytearray(case.kept[-1])
    last[30] ^= 1
    case.kept = (*case.kept[:-1], bytes(last))


def _own_kept(change: Callable[[Case, bytes], bytes]) -> Alter:
    """The checkpoint of size 200 that the log keeps in `DIR/checkpoints`."""

    def alter(case: Case) -> None:
        (case.folder / "checkpoints").mkdir()
        (case.folder / "checkpoints" / f"{200:020d}").write_bytes(change(case, case.kept[1]))

    return alter


def _snapshot(change: Callable[[bytes], bytes]) -> Alter:
    """A snapshot of some state, which no verdict reads."""
    return lambda case: (case.folder / "standing").write_bytes(change(b"affidavit standing 1\n" + bytes(64)))


def _others() -> list[Tampering]:
    rows = [
        _row("stray file", f"added as {path}", _add(path), Found(4, code, where=path))
        for path, code in (
            ("log/tile/0/007", "files.beyond"),
            ("log/tile/0/002.p/4", "files.beyond"),
            ("log/notes.txt", "files.stray"),
            ("bodies/002.p/9", "files.beyond"),
            ("bodies/x", "files.stray"),
        )
    ]
    rows.append(
        _row(
            "stray file",
            "added as journal/x",
            _add("journal/x"),
            Found(12, "files.stray", frozenset({Need.JOURNAL}), "journal/x"),
        )
    )
    rows += [
        _row("partial of an earlier size", f"{path} changed", _edit_bytes(path, _flip(-1)), Found(4, "files.partial", where=path))
        for path in _PARTIALS
    ]  # fmt: skip
    rows += [
        _row(
            "kept checkpoint", "changed", _kept_changed,
            Found(5, "note.signature", frozenset({Need.KEPT}), "kept checkpoint 4"),
            why="the log itself is whole; the copy shows that it was altered, and nothing more",
        ),
        _row(
            "secrets", "the body keys removed", lambda case: (case.folder / "secrets/body.keys").unlink(),
            why="it takes reading away, and no proof: without these keys the verdict says what could not be checked",
        ),
        _row(
            "kept checkpoint", "cut", lambda case: setattr(case, "kept", (*case.kept[:-1], case.kept[-1][:-40])),
            Found(5, "note.malformed", frozenset({Need.KEPT}), "kept checkpoint 4"),
            why="as above",
        ),
        *(
            _row("kept checkpoint in DIR/checkpoints", deed, _own_kept(change), Found(5, code, where="checkpoints/00000000000000000200"))
            for deed, code, change in (
                ("changed", "note.signature", lambda _, note: note.replace(b"\n200\n", b"\n201\n")),
                ("cut", "note.malformed", lambda _, note: note[:-40]),
                ("extended", "note.malformed", lambda _, note: note + b"more\n"),
                ("swapped with, or put back to, one of another size", "kept.name", lambda case, _: case.kept[0]),
            )
        ),
        _row(
            "kept checkpoint in DIR/checkpoints", "removed", lambda case: None,
            why="those are the log's own, and nobody promised that they are there: only what left the machine counts",
        ),
        *(
            _row("standing snapshot", deed, _snapshot(change), why=_SNAPSHOT)
            for deed, change in (
                ("changed", lambda data: data[:-1] + b"x"),
                ("cut", lambda data: data[:-9]),
                ("extended", lambda data: data + b"x"),
                ("swapped with another log's, or put back to an older one", lambda data: data),
            )
        ),
        _row("any file", "a link put in its place", _link, Found(3, "archive.link", where=TILE)),
        _row(
            "whole folder", "put back to an older copy", _older_copy,
            Found(5, "kept.ahead", frozenset({Need.KEPT})),
            why="an older copy is a whole log: only what left the machine since knows better",
        ),
        _row(
            "whole folder", "records cut that were durable but not yet published", _unpublished,
            why="no checkpoint speaks of them yet: that is at most the last second, and receipts speak of it",
        ),
    ]  # fmt: skip
    return rows


FILE_ROWS = _rows()
