"""Defects of what writes: the disk, the journal, the publisher, the sequencer, the ledger."""

from __future__ import annotations

from mutations.plant import Plant

SIMULATION = "tests/simulation/test_ledger_simulation.py"

WRITING = (
    Plant(
        "a group commit is not synced",
        "ledger/journal.py",
        {
            "        self._file.write_at(self._end, frame)\n        self._file.sync()\n": (
                "        self._file.write_at(self._end, frame)\n"
            )
        },
        "acknowledged records are lost when the machine stops",
        SIMULATION,
    ),
    Plant(
        "the sync of the journal does nothing",
        "durable.py",
        {"            os.fdatasync(self._descriptor)\n": "            pass\n"},
        "the same, on the real disk alone",
        "tests/unit/test_durable.py::test_what_is_said_to_be_durable_was_synced",
    ),
    Plant(
        "files are not synced before they are renamed",
        "durable.py",
        {
            '                self._call("sync", path, os.fsync, descriptor)\n        finally:\n            for': (
                "                pass\n        finally:\n            for"
            )
        },
        "a checkpoint speaks of tiles that are empty after the machine stopped",
        "tests/unit/test_durable.py::test_what_is_said_to_be_durable_was_synced",
    ),
    Plant(
        "folders are not synced after a rename",
        "durable.py",
        {"        disk.sync_folder(folder)\n\n\n": "        pass\n\n\n"},
        "published files are gone when the machine stops, under a checkpoint that speaks of them",
        SIMULATION,
    ),
    Plant(
        "the sync of a folder does nothing",
        "durable.py",
        {
            '            self._call("sync", path, os.fsync, descriptor)\n        finally:\n            os.close(descriptor)\n\n    def settle': (
                "            pass\n        finally:\n            os.close(descriptor)\n\n    def settle"
            )
        },
        "the same, on the real disk alone",
        "tests/unit/test_durable.py::test_what_is_said_to_be_durable_was_synced",
    ),
    Plant(
        "the lock is not taken",
        "durable.py",
        {"        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)\n": "        pass\n"},
        "two processes write one journal, and sign two histories",
        "tests/unit/test_durable.py::test_a_second_writer_is_told_who_holds_the_lock",
    ),
    Plant(
        "the checkpoint is written before its tiles",
        "ledger/builder.py",
        {
            "        self._write_new(full, TILE_BYTES_MAX, PUBLIC)\n        self._write(partial, PUBLIC)\n        return": (
                "        self._late = full, partial\n        return"
            ),
            "        self._tree.forget(size)\n": (
                "        self._write_new(self._late[0], TILE_BYTES_MAX, PUBLIC)\n"
                "        self._write(self._late[1], PUBLIC)\n"
                "        self._tree.forget(size)\n"
            ),
        },
        "a crash leaves a checkpoint that nothing leads to",
        "tests/unit/ledger/test_recovery.py::test_a_full_file_that_holds_something_else_is_never_rewritten",
    ),
    Plant(
        "a full tile is written over",
        "ledger/builder.py",
        {"            elif self._disk.read(path, limit) != data:\n": "            elif False:\n"},
        "another history is published over one that was cut short, unnoticed",
        "tests/unit/ledger/test_recovery.py::test_a_full_file_that_holds_something_else_is_never_rewritten",
    ),
    Plant(
        "full bundles are written anew",
        "ledger/builder.py",
        {"            self._write_new(full, limit, mode)\n": "            self._write(full, mode)\n"},
        "an entry that a crash left published is exchanged for another one",
        "tests/unit/ledger/test_recovery.py::test_a_full_file_that_holds_something_else_is_never_rewritten",
    ),
    Plant(
        "a failed write does not end the ledger",
        "ledger/ledger.py",
        {"            self._fail(error)\n            answers = [": "            answers = ["},
        "records are acknowledged after pages that the kernel threw away",
        "tests/unit/ledger/test_recovery.py::test_a_failed_write_or_sync_ends_the_ledger",
    ),
    Plant(
        "an unclean stop leaves no record",
        "ledger/own.py",
        {'    if standing.last_kind != "log.close":\n': "    if False:\n"},
        "nobody sees that the log was dead for a while, and sessions that died stay open",
        "tests/unit/ledger/test_recovery.py::test_a_gap_says_whether_the_machine_was_started_anew",
    ),
    Plant(
        "producers are told before the record is durable",
        "ledger/ledger.py",
        {
            "            answers = [entry.seal(self._sequencer, now_ns, group) for entry in entries]\n": (
                "            answers = [entry.seal(self._sequencer, now_ns, group) for entry in entries]\n"
                "            for entry, answer in zip(entries, answers, strict=True):\n"
                "                entry.done(answer)\n"
            )
        },
        "an effect happens, and the record of it is lost",
        "tests/unit/ledger/test_recovery.py::test_a_failed_write_or_sync_ends_the_ledger",
    ),
    Plant(
        "a used number is accepted",
        "ledger/sequencer.py",
        {"        if batch.first < stream.next:\n": "        if False:\n"},
        "a repeated batch stands twice in the log",
        "tests/unit/ledger/test_sequencer.py::test_numbers",
    ),
    Plant(
        "skipped numbers are not recorded",
        "ledger/sequencer.py",
        {'        self.seal_own(Own("log.gap", content), now_ns, group)\n': "        del content\n"},
        "what a source lost on the way leaves no trace of the log's own",
        "tests/unit/ledger/test_sequencer.py::test_numbers",
    ),
    Plant(
        "the sequencer's time runs back",
        "ledger/sequencer.py",
        {"        return max(self._now, self.standing.last_at)\n": "        return self._now\n"},
        "the log contradicts its own order when the clock is set back",
        "tests/unit/ledger/test_sequencer.py::test_the_sequencers_time_never_decreases",
    ),
    Plant(
        "a decision under an older state is sealed",
        "ledger/rules.py",
        {
            '        if decided != state and draft.kind in DECIDED_KINDS and draft.guarantee != "after":\n': (
                "        if False:\n"
            )
        },
        "an access is allowed by a grant that was taken away",
        "tests/unit/ledger/test_sequencer.py::test_a_decision_under_an_older_state_is_a_conflict",
    ),
    Plant(
        "what a signer answers is not verified",
        "ledger/signer.py",
        {"    if verified != wanted or len(lines) != len(wanted):\n": "    if False:\n"},
        "a checkpoint without a valid signature of each key is published",
        "tests/unit/ledger/test_signer.py::test_an_answer_that_does_not_verify_or_is_not_whole_is_not_used",
    ),
)
