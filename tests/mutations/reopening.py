"""Defects of what opens a log again: recovery, the fork guard, the snapshot, pruning, keys."""

from __future__ import annotations

from mutations.plant import Plant

REOPENING = (
    Plant(
        "the checksum of a frame is not compared",
        "record/frame.py",
        {"    if zlib.crc32(data[start:end], zlib.crc32(_U32.pack(length))) != crc:\n": "    if False:\n"},
        "a torn or altered frame is taken for what was written",
        "tests/unit/record/test_record_bytes.py::test_any_changed_byte_of_a_frame_is_damage",
    ),
    Plant(
        "damage with a whole frame behind it is taken for a torn write",
        "ledger/journal.py",
        {"        if after is not None:\n": "        if False:\n"},
        "acknowledged records behind a bad sector are cut off in silence",
        "tests/unit/ledger/test_recovery.py::test_damage_before_the_last_frame_is_corruption_and_nothing_changes",
    ),
    Plant(
        "the last frame is not written and synced at a start",
        "ledger/journal.py",
        {
            "        journal._file.write_at(end.last, data[end.last : end.offset] + bytes(end.filled - end.offset))\n"
            "        journal._file.sync()\n": (
                "        journal._file.write_at(end.offset, bytes(end.filled - end.offset))\n"
            )
        },
        "what only the page cache holds is built on, and gone when the machine stops",
        "tests/unit/ledger/test_after_a_kill.py",
    ),
    Plant(
        "a torn tail is not cut",
        "ledger/journal.py",
        {"data[end.last : end.offset] + bytes(end.filled - end.offset))": "data[end.last : end.offset])"},
        "what is left of a torn write stands behind the next frame, and the next start refuses",
        "tests/unit/ledger/test_recovery.py::test_nothing_of_a_long_torn_frame_stays_behind_what_is_written_over_it",
    ),
    Plant(
        "a journal behind its checkpoint is refused for another reason",
        "ledger/recovery.py",
        {"    if size < published.size:\n": "    if False:\n"},
        "the operator puts back the wrong file",
        "tests/unit/ledger/test_recovery.py::test_a_journal_behind_its_checkpoint_was_rolled_back",
    ),
    Plant(
        "the journal's root is not compared with the checkpoint",
        "ledger/recovery.py",
        {"        if self._tree.root() != published.root:\n": "        if False:\n"},
        "the writer signs a second history over a journal that was exchanged",
        "tests/unit/ledger/test_recovery.py::test_a_record_exchanged_in_the_journal_is_refused_wherever_it_stands",
    ),
    Plant(
        "the newest bundles are not compared with the journal",
        "ledger/recovery.py",
        {"        check_edge(opening.disk, opening.layout, published, base, self._recent, self._erasures)\n": ""},
        "bodies or entries that were altered at the edge are published on",
        "tests/unit/ledger/test_recovery.py::test_published_files_that_were_altered_are_noticed",
    ),
    Plant(
        "names that a killed process left are not synced",
        "ledger/recovery.py",
        {"        _settle(opening.disk, opening.layout, published.size, scan.end.next)\n": ""},
        "the next checkpoint stands on files whose names are gone when the machine stops",
        "tests/unit/ledger/test_after_a_kill.py",
    ),
    Plant(
        "a place that is ahead does not stop the writer",
        "ledger/guard.py",
        {"    if kept.size > published.size:\n": "    if False:\n"},
        "a log put back from a copy goes on, and signs a second history",
        "tests/unit/ledger/test_places.py::test_a_copy_put_back_is_refused_before_it_is_opened",
    ),
    Plant(
        "a place that holds another root does not stop the writer",
        "ledger/guard.py",
        {"    if tree.root(kept.size) != kept.root:\n": "    if False:\n"},
        "two copies of a log are written on, each with its own history",
        "tests/unit/ledger/test_places.py::test_of_two_writers_on_copies_the_second_is_stopped",
    ),
    Plant(
        "the snapshot's code is not compared",
        "ledger/snapshot.py",
        {
            "    if not data.startswith(_MAGIC) or not hmac.compare_digest(": (
                "    if not data.startswith(_MAGIC) or None is hmac.compare_digest("
            )
        },
        "whoever can write the folder makes the writer believe in sessions and counters that are none",
        "tests/unit/ledger/test_long_life.py::test_a_snapshot_that_cannot_be_believed_is_left_and_the_log_is_folded",
    ),
    Plant(
        "a segment is pruned without reading back what is published",
        "ledger/pruning.py",
        {"            self._check(segments[0], segments[1], published)\n": ""},
        "the last good copy of a record goes while the published one is damaged",
        "tests/unit/ledger/test_long_life.py::test_nothing_is_pruned_where_the_published_files_do_not_hold",
    ),
    Plant(
        "pruning compares what the page cache holds",
        "ledger/pruning.py",
        {"            self._settle(number)\n": ""},
        "the last good copy of a record goes while the disk never took the published one",
        "tests/unit/ledger/test_long_life.py::test_what_is_read_back_before_pruning_is_read_from_the_medium",
    ),
    Plant(
        "private keys that others may read are used",
        "durable.py",
        {"    if found.st_mode & forbidden:\n": "    if False:\n"},
        "everybody on the machine may have signed",
        "tests/unit/test_durable.py::test_a_key_file_that_others_may_read_is_refused_with_what_to_do",
    ),
    Plant(
        "the old key stays after a rotation",
        "ledger/rotate.py",
        {
            "        self._write(LOG_KEY, [key.to_text() for key in self._keys])\n        self.drop()\n": "        pass\n"
        },
        "the key that was rotated away because it may be known can still be stolen",
        "tests/unit/ledger/test_rotate.py::test_the_old_private_key_is_gone",
    ),
)
