"""Defects of erasing: what an erasure leaves behind, and what somebody could hide behind one."""

from __future__ import annotations

from mutations.plant import Plant

_ERASED = "tests/unit/verify/test_verify_erased.py"
_TAMPERING = "tests/unit/verify/test_verify_tampering.py"
_API = "tests/unit/server/test_api_erasure.py"

ERASING = (
    Plant(
        "a stub may put what is there already",
        "state/fold.py",
        {"            if op.value is not None and after._objects.holds(path, op.value):\n": "            if False:\n"},
        "a line added to a stub makes a policy count as erased, and no decision after it is made again",
        f"{_TAMPERING}::test_a_row[stub:_of_a_change,_a_put_added_that_changes_nothing]",
    ),
    Plant(
        "a stub stands for a body without its erase record",
        "verify/bodies.py",
        {"            if index in self._proved:\n": "            if True:\n"},
        "whoever can write files erases what they like, and nobody says who",
        f"{_TAMPERING}::test_a_row[erase_record:_removed]",
    ),
    Plant(
        "an erasure that was denied explains a stub",
        "verify/bodies.py",
        {'at >= line.index or header.decision != "allow" or self._source': "at >= line.index or self._source"},
        "who may not erase tries it, removes the body by hand, and the verdict passes",
        f"{_TAMPERING}::test_a_row[erase_record:_of_an_erasure_that_was_denied]",
    ),
    Plant(
        "a body that came back is not reported",
        "verify/bodies.py",
        {"            if at // TILE_WIDTH not in self._absent_bundles:\n": "            if False:\n"},
        "what was to be forgotten lies in the log, and the record says that it does not",
        f"{_TAMPERING}::test_a_row[stub:_replaced_by_the_body_that_was_erased]",
    ),
    Plant(
        "an erased policy bears on nothing",
        "state/hidden.py",
        {'or kind in ("policy", "schema")': 'or kind == "schema"'},
        "decisions that an erased policy made are said to be wrong: an honest log is accused",
        f"{_ERASED}::test_a_policy_stands_in_everybodys_way_until_it_is_put_again",
    ),
    Plant(
        "a change is decided again as if nothing was erased that it leads to",
        "verify/changes.py",
        {
            "        except ErasedContent as error:  # what would apply after it\n"
            '            self._notes.skip(Duty.CHANGES, f"not replayable: {error.reason}")\n'
            "            return\n": ""
        },
        "an honest log is accused",
        f"{_ERASED}::test_what_a_change_would_lead_to_may_rest_on_what_was_erased",
    ),
    Plant(
        "what is in force may be erased",
        "capture/erasing.py",
        {"        if in_force:\n": "        if False:\n"},
        "nobody can tell any more what is permitted now",
        f"{_API}::test_a_change_that_decisions_needed_is_reported_as_such",
    ),
    Plant(
        "a denied erasure is carried out",
        "ledger/ledger.py",
        {'        if own.fields["decision"] != "allow":\n': "        if False:\n"},
        "whoever may log in destroys what they like",
        f"{_API}::test_who_may_not_administer_the_log_may_not_erase",
    ),
    Plant(
        "the history store is kept while a change is erased",
        "history/store.py",
        {
            '            self._start_anew("")\n            if path is not None:\n                _remove(path)\n': "",
            '                self._path = path\n                self._start_anew("")\n': "                self._path = path\n",
        },
        "the erased name lies in a file of the log's folder, and as-of answers still tell it",
        f"{_API}::test_the_state_as_of_then_is_the_same_however_it_is_built",
    ),
    Plant(
        "partial bundles keep what was erased",
        "ledger/erasing.py",
        {"at < int(name) < TILE_WIDTH:\n": "False:\n"},
        "the erased body is in the newest file, until that is full",
        "tests/unit/ledger/test_erasing.py::test_no_file_holds_the_ciphertext_any_more",
    ),
    Plant(
        "a start does not finish an erasure",
        "ledger/ledger.py",
        {"            for index, by in found.erasures.items():\n": "            for index, by in ():\n"},
        "after a stop the record says erased, and the body is there for good",
        "tests/unit/ledger/test_erasing.py::test_a_start_finishes_what_a_stop_cut_short",
    ),
    Plant(
        "what somebody did and erased themselves is not told",
        "evidence/findings/scan.py",
        {"about.actor != header.actor:\n": "about.actor == header.actor:\n"},
        "an administrator tidies up after themselves, and no finding says so",
        "tests/unit/server/test_erased_questions.py::test_findings_count_it_and_tell_who_erased_what_they_did",
    ),
    Plant(
        "an approval of an erased proposal is passed over in silence",
        "evidence/did.py",
        {"            return self.records.record(proposal).body\n": "            return record.body\n"},
        "who did says that all was read, and one who approved it is missing",
        "tests/unit/server/test_erased_questions.py::test_who_did",
    ),
)
