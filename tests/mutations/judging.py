"""Defects of what decides and of what judges: policies, and the duties of `verify`."""

from __future__ import annotations

from mutations.plant import Plant

_TAMPERING = "tests/unit/verify/test_verify_tampering.py"

JUDGING = (
    Plant(
        "a forbid that errs is passed over",
        "state/deciding.py",
        {
            "            allowed = allowed and result.decision is cedarpy.Decision.Allow and not failed\n": (
                "            allowed = allowed and result.decision is cedarpy.Decision.Allow\n"
            )
        },
        "an access is allowed that a policy forbids",
        "tests/unit/state/test_state_deciding.py::test_a_forbid_that_errs_denies_and_is_named",
    ),
    Plant(
        "a suspended identity is decided on by policy",
        "state/deciding.py",
        {"        if not self._active:\n": "        if False:\n"},
        "who was suspended this morning still has every grant",
        "tests/unit/state/test_state_deciding.py::test_absent_and_suspended_identities_are_denied",
    ),
    Plant(
        "a grant counts at its end",
        "state/deciding.py",
        {"at_ns < grant.end_ns)": "at_ns <= grant.end_ns)"},
        "an access is allowed by a grant that has ended",
        "tests/unit/state/test_state_deciding.py::test_a_grant_counts_from_its_start_and_not_at_its_end",
    ),
    Plant(
        "a credential or grant counts at its end",
        "state/objects.py",
        {"    return end is not None and end <= at_ns\n": "    return end is not None and end < at_ns\n"},
        "somebody is let in by a token that has ended",
        "tests/unit/state/test_state_ending_and_logins.py::test_the_end_is_the_first_moment_without_it",
    ),
    Plant(
        "a lapse may delete what has not ended",
        "state/changing.py",
        {"or not ends or not has_ended(held.value, expired_at_ns):": "or not ends:"},
        "somebody's access is taken away, and nobody decided it",
        f"{_TAMPERING}::test_a_row[lapse:_of_a_grant_without_an_end]",
    ),
    Plant(
        "a session by a login that has ended is not reported",
        "verify/decisions.py",
        {
            "        elif held is not None and has_ended(held.value, parse_moment(line.header.time.at)):\n": "        elif False:\n"
        },
        "who kept a token of last year comes in by it, and the log is said to hold",
        f"{_TAMPERING}::test_a_row[session:_begun_by_a_login_that_has_ended]",
    ),
    Plant(
        "a break-glass grant reviewed by whom it concerns is not reported",
        "verify/changes.py",
        {"        if reviewed is not None and author in concerned(state, *reviewed):\n": "        if False:\n"},
        "who broke the glass says that it was right, and nobody else has looked",
        f"{_TAMPERING}::test_a_row[review:_of_a_break-glass_grant,_by_who_gave_it]",
    ),
    Plant(
        "who asks for a change counts as approving it",
        "state/changing.py",
        {"if other != actor and _is_active(state, other)": "if _is_active(state, other)"},
        "what takes two people is done by one",
        "tests/unit/state/test_state_changing.py::test_approvals_that_policy_asks_for",
    ),
    Plant(
        "a kept checkpoint that is ahead is not reported",
        "verify/checkpoints.py",
        {"        if kept.size > self._published.size and kept.size not in roots:\n": "        if False:\n"},
        "the newest day is cut off, and the verdict blames a rewrite that never was",
        "tests/unit/verify/test_verify_tampering.py::test_a_row[whole_history:_the_newest_day_deleted,_and_what_is_left_signed_again]",
    ),
    Plant(
        "a kept checkpoint of another history is not reported",
        "verify/checkpoints.py",
        {"        if roots.get(kept.size) != kept.root:\n": "        if False:\n"},
        "a history rewritten with the stolen key passes before the eyes of who kept the proof",
        "tests/unit/verify/test_verify_tampering.py::test_a_row[whole_history:_a_second_one_signed_from_the_newest_day_on]",
    ),
    Plant(
        "a checkpoint beside the log that disagrees is not reported",
        "verify/checkpoints.py",
        {"            elif roots.get(one.size) != one.root:\n": "            elif False:\n"},
        "a rewrite that forgot DIR/checkpoints passes",
        "tests/unit/verify/test_verify_keys.py::test_what_lies_beside_the_log_accuses_and_proves_nothing",
    ),
    Plant(
        "the root of the entries is not compared",
        "verify/tree.py",
        {
            "entries_hold = self._missing_count == 0 and self._entries.tree.root() == signed": (
                "entries_hold = self._missing_count == 0"
            )
        },
        "an altered log verifies",
        "tests/unit/verify/test_verify_tampering.py::test_a_row[entry_bundle:_an_entry_changed,_and_all_tiles_above_it]",
    ),
    Plant(
        "the root of the state is not compared",
        "verify/folding.py",
        {"        if self.state.root != line.header.root:\n": "        if False:\n"},
        "a change says one thing and its root another",
        "tests/unit/verify/test_verify_tampering.py::test_a_row[change:_a_root_that_is_another_one]",
    ),
    Plant(
        "a context is not compared with the state",
        "verify/decisions.py",
        {"        if view is not None and view.digest != self.recorded[line.index]:\n": "        if False:\n"},
        "an access stands under permissions that nobody granted",
        "tests/unit/verify/test_verify_tampering.py::test_a_row[grant:_removed]",
    ),
    Plant(
        "a decision made again may come out otherwise",
        "verify/decisions.py",
        {"        if differs:\n": "        if False:\n"},
        "a denied access is shown as allowed",
        "tests/unit/verify/test_verify_tampering.py::test_a_row[decision:_the_same_in_header_and_body]",
    ),
    Plant(
        "a hole in a source's counter is not reported",
        "verify/counters.py",
        {"        if seq != wanted:\n": "        if seq < wanted:\n"},
        "records left out on the way to the log are not missed",
        "tests/unit/verify/test_verify_tampering.py::test_a_row[access:_removed,_its_number_left_free]",
    ),
    Plant(
        "a silence that no record accounts for is not said",
        "verify/silence.py",
        {"        if source.missed and self._remarks < _REMARKS_MAX:\n": "        if False:\n"},
        "a source was off for a night, and the verdict does not say so",
        "tests/unit/verify/test_verify_silence.py::test_a_silence_that_nothing_accounts_for_is_a_remark",
    ),
    Plant(
        "a body that is absent counts as looked at",
        "verify/bodies.py",
        {
            '            self._notes.skip(Duty.CONTENT, "the archive does not hold the body" if self._source else _NO_BODIES)\n': (
                "            self._notes.looked(Duty.CONTENT)\n"
            ),
            "                self._notes.skip(Duty.CONTENT, _NO_KEY if self._source else _NO_BODIES, count - readable)\n": (
                "                self._notes.looked(Duty.CONTENT, count - readable)\n"
            ),
        },
        "content is called checked that nobody has seen",
        "tests/unit/verify/test_verify_whole.py::test_the_public_folder_alone_shows_structure",
    ),
    Plant(
        "a duty that was left out counts as passed",
        "verify/duties.py",
        {"        elif self._skipped[duty]:\n": "        elif False:\n"},
        "the verdict says more than was done",
        "tests/unit/verify/test_verify_whole.py::test_with_the_public_key_alone_content_is_said_to_be_unchecked",
    ),
    Plant(
        "only structure is asked for, and content is said to hold",
        "verify/verify.py",
        {
            '                self._notes.skip(duty, "only structure was asked for")\n': "                self._notes.looked(duty)\n"
        },
        "the verdict says more than was done",
        "tests/unit/verify/test_verify_whole.py::test_structure_alone_can_be_asked_for",
    ),
    Plant(
        "too few cosignatures are not reported",
        "verify/witnesses.py",
        {
            '        self._notes.fail(Duty.WITNESSES, "witness.quorum", PLACE, f"Too few have cosigned: {quorum.why}")\n': ""
        },
        "a log that no witness has seen passes under a policy that asks for them",
        "tests/unit/verify/test_verify_witnesses.py::test_too_few_have_cosigned",
    ),
    Plant(
        "what witnesses cosigned of another history is passed over",
        "verify/witnesses.py",
        {"        if checkpoint.size and roots.get(checkpoint.size) != checkpoint.root:\n": "        if False:\n"},
        "a rewrite passes beside the very checkpoint that witnesses cosigned of the true history",
        "tests/unit/verify/test_verify_witnesses.py::test_what_witnesses_cosigned_of_another_history_is_found",
    ),
    Plant(
        "a broken promise is never due",
        "verify/receipt.py",
        {"    if now_ns <= due_ns:\n": "    if True:\n"},
        "a record that was acknowledged and never published is waited for for ever",
        "tests/unit/verify/test_receipt_check.py::test_it_is_not_due_before_its_moment_and_broken_after_it",
    ),
    Plant(
        "another record in a receipt's place counts as kept",
        "verify/receipt.py",
        {"    if found == receipt.leaf:\n        _check_entry(files, receipt, checkpoint.size)\n": "    if found:\n"},
        "a record that was exchanged after its receipt was given is not missed",
        "tests/unit/verify/test_receipt_check.py::test_another_record_in_its_place_is_evidence_at_any_time",
    ),
    Plant(
        "an anchor over another history is believed",
        "verify/time.py",
        {"                verify_consistency(stamp.size, size, anchor.root, self._published.root, proof)\n": ""},
        "a history made yesterday bears last year's token",
        "tests/unit/verify/test_verify_tampering.py::test_a_row[anchor:_left_in_place_while_an_access_before_it_is_rewritten]",
    ),
    Plant(
        "a step of the clock that no record explains is passed over",
        "verify/time.py",
        {"        if rest_ns:\n": "        if False:\n"},
        "the log's time is set, and nothing says so",
        "tests/unit/verify/test_verify_time.py::test_clock_records_that_do_not_follow_from_one_another_are_found",
    ),
)
