"""Defects of the pure functions that proofs rest on: hashes, notes, policies, receipts, slots, time."""

from __future__ import annotations

from mutations.plant import Plant

PROVING = (
    Plant(
        "leaves are hashed without their prefix",
        "tlog/hashing.py",
        {'    return sha256(b"\\x00" + entry).digest()\n': "    return sha256(entry).digest()\n"},
        "an interior node can be shown as an entry",
        "tests/unit/tlog/test_hashing.py::test_the_hash_of_an_empty_leaf_is_the_published_one",
    ),
    Plant(
        "an inclusion proof's root is not compared",
        "tlog/proofs.py",
        {"    if computed != root:\n": "    if False:\n"},
        "any entry is proved to be in any log",
        "tests/unit/tlog/test_proofs.py",
    ),
    Plant(
        "the root that several entries lead to is not compared",
        "tlog/proofs.py",
        {"    if rebuilt != root:\n": "    if False:\n"},
        "a proof of state brings records that no log holds",
        "tests/unit/tlog/test_several.py::test_an_altered_proof_is_refused",
    ),
    Plant(
        "an item of a proof of state need not open the hash that it is for",
        "state/mapproof.py",
        {"        if item.hash != node:\n": "        if False:\n"},
        "a state that never was is proved under a true root",
        "tests/unit/state/test_map_proofs.py::test_items_that_do_not_fit_are_refused",
    ),
    Plant(
        "a leaf may stand where its path does not lead",
        "state/mapproof.py",
        {'            if not f"{item.path:0{PATH_BITS}b}".startswith(above):\n': "            if False:\n"},
        "a writer hides an object behind another one, and both proofs pass",
        "tests/unit/state/test_map_proofs.py::test_a_leaf_in_the_wrong_place_is_refused",
    ),
    Plant(
        "the statement of a proof is not compared with what it shows",
        "verify/stateproof.py",
        {
            "    if canonical.encode_trusted(found.versions) != canonical.encode_trusted(versions_of(statement)):\n": (
                "    if False:\n"
            )
        },
        "an object is said to have had a value that it never had",
        "tests/unit/verify/test_state_proof_check.py::test_a_change_that_keeps_the_form_is_found",
    ),
    Plant(
        "grants to groups are left out of what somebody held",
        "state/statement.py",
        {
            "        for principal, via in principals(last, statement.principal):\n            for leaf in": (
                "        for principal, via in principals(last, statement.principal)[:1]:\n            for leaf in"
            )
        },
        "it is proved that somebody held nothing who held it through a group",
        "tests/unit/verify/test_state_proof_check.py::test_a_proof_is_made_where_the_statement_is_true",
    ),
    Plant(
        "the state from before an interval is left out",
        "state/chain.py",
        {"        if below <= first:\n": "        if below < first + 2:\n"},
        "a grant from before an interval is not seen in it",
        "tests/unit/verify/test_state_proof_check.py",
    ),
    Plant(
        "the moment of a position is not compared",
        "verify/stateproof.py",
        {"    if not before <= position.time < after:\n": "    if False:\n"},
        "a state of another hour is shown for this one",
        "tests/unit/verify/test_state_proof_check.py::test_a_moment_lies_between_two_records",
    ),
    Plant(
        "a consistency proof's roots are not compared",
        "tlog/proofs.py",
        {"    if old != root1 or new != root2:\n": "    if False:\n"},
        "a witness cosigns a second history",
        "tests/unit/tlog/test_proofs.py::test_a_log_that_dropped_an_entry_is_not_consistent",
    ),
    Plant(
        "a known key's signature is not verified",
        "tlog/notes.py",
        {"            checked = signer.verify(text, line)\n": "            checked = line\n"},
        "anybody signs checkpoints",
        "tests/unit/tlog/test_notes.py::test_one_failing_line_of_a_known_key_rejects_the_note",
    ),
    Plant(
        "a rotation without the old key's signature is believed",
        "tlog/rotation.py",
        {'    for key, what in [*((key, "ends") for key in ended), *(': "    for key, what in [*("},
        "anybody takes over the log with a key of their own",
        "tests/unit/tlog/test_rotation.py::test_a_forged_rotation_breaks_the_chain",
    ),
    Plant(
        "a key that ended may begin again",
        "tlog/rotation.py",
        {"    if late or any(begun[key] != at for key in rotation.keys):\n": "    if False:\n"},
        "the thief of an old key lets it come back into force",
        "tests/unit/tlog/test_rotation.py::test_a_key_that_ended_never_begins_again",
    ),
    Plant(
        "a key signs beyond its rotation",
        "tlog/rotation.py",
        {
            "        wanted = self.keys_at(checkpoint.size)\n        missing": (
                "        wanted = [key for key in self.keys if (key.name, key.key_id) in signed]\n        missing"
            )
        },
        "the thief of an old key goes on with the log",
        "tests/unit/tlog/test_rotation.py::test_each_size_is_judged_under_the_keys_in_force",
    ),
    Plant(
        "one witness's key may stand under two names",
        "tlog/policy.py",
        {"        if other != number:\n": "        if False:\n"},
        "one witness counts as two",
        "tests/unit/tlog/test_policy.py::test_a_line_that_is_refused_is_named",
    ),
    Plant(
        "one witness may be in two groups",
        "tlog/policy.py",
        {"            if member in self._grouped:\n": "            if False:\n"},
        "one witness counts twice towards a quorum",
        "tests/unit/tlog/test_policy.py::test_a_line_that_is_refused_is_named",
    ),
    Plant(
        "a group is satisfied by one witness fewer",
        "tlog/policy.py",
        {
            "            if counts[group.name] >= group.needed:\n": "            if counts[group.name] + 1 >= group.needed:\n"
        },
        "a log counts as witnessed that is not",
        "tests/unit/tlog/test_policy.py::test_a_quorum_of_groups",
    ),
    Plant(
        "a receipt's path is not followed",
        "tlog/receipts.py",
        {"        verify_inclusion(at, promise.count, leaf, self.path, promise.root)\n": ""},
        "a receipt is made up for a record that was never promised, and the log is accused",
        "tests/unit/tlog/test_receipts.py::test_what_does_not_follow_from_the_promise_is_refused",
    ),
    Plant(
        "a receipt may be signed by the key of another log",
        "tlog/receipts.py",
        {"        if not any((line.name, line.key_id) in own for line in opened.verified):\n": "        if False:\n"},
        "another log's operator accuses this one",
        "tests/unit/tlog/test_receipts.py::test_only_the_key_of_the_log_that_it_names_signs_it",
    ),
    Plant(
        "a body's digest is not compared",
        "record/body.py",
        {"    if body_digest(plain) != digest:\n": "    if False:\n"},
        "a plain body is exchanged under its header",
        "tests/unit/record/test_record_bytes.py::test_a_plain_slot_must_be_the_body_that_is_named",
    ),
    Plant(
        "slots are sealed and opened without associated data",
        "record/body.py",
        {
            "encrypt(_ZERO_NONCE, plain, self._prefix)": "encrypt(_ZERO_NONCE, plain, None)",
            "decrypt(_ZERO_NONCE, data, slot[:5])": "decrypt(_ZERO_NONCE, data, None)",
        },
        "form and key id of a body are not what was sealed, and other programs cannot open it",
        "tests/unit/record/test_record_bytes.py::test_a_slot_as_the_specification_says",
    ),
    Plant(
        "JSON in another spelling is read as canonical",
        "canonical.py",
        {
            "    return value if _encoder.encode(value) == data else _NOT_PLAIN\n": "    return value\n",
            "    if _encoder.encode(value) != data:\n": "    if False:\n",
        },
        "one header has many byte strings: two programs read two logs in one",
        "tests/properties/test_canonical.py::test_refused",
    ),
    Plant(
        "a header of any bytes is decoded",
        "record/header.py",
        {"    canonical.decode(data)\n    try:\n": "    try:\n"},
        "the same: unknown and repeated members hide in a header that verifies",
        "tests/unit/record/test_record_bytes.py::test_a_header_that_is_not_canonical_is_refused",
    ),
    Plant(
        "a token over other data is accepted",
        "timeproof/token.py",
        {
            "or not hmac.compare_digest(said.message, imprint):\n": "or False:\n",
            "            self._verifier.verify(response, imprint)\n": (
                "            self._verifier.verify(response, said.message)\n"
            ),
        },
        "any old token dates a checkpoint back",
        "tests/unit/timeproof/test_tokens.py::test_what_was_not_asked_for_is_refused",
    ),
    Plant(
        "the authority behind a token is not checked",
        "timeproof/token.py",
        {"            self._verifier.verify(response, imprint)\n": "            pass\n"},
        "anybody stamps any time",
        "tests/unit/timeproof/test_tokens.py::test_another_authority_is_refused",
    ),
    Plant(
        "a token's signer is not compared with the certificate that it names",
        "timeproof/token.py",
        {"    if not good:\n": "    if False:\n"},
        "another certificate for the same key takes the signer's place",
        "tests/unit/timeproof/test_tokens.py::test_the_signers_certificate_is_there_once_and_named_by_its_digest",
    ),
    Plant(
        "a token's accuracy is added on both sides",
        "timeproof/token.py",
        {"Interval(self.time_ns - accuracy_ns,": "Interval(self.time_ns + accuracy_ns,"},
        "a record counts as made later than it may have been",
        "tests/unit/timeproof/test_tokens.py::test_accuracy_is_taken_as_stated_and_as_a_second_where_it_is_not",
    ),
    Plant(
        "a step of the clock widens a claim to the wrong side",
        "timeproof/claim.py",
        {
            "first_ns, last_ns = at_ns - most_ns, at_ns - least_ns": (
                "first_ns, last_ns = at_ns + least_ns, at_ns + most_ns"
            )
        },
        "a moment is claimed that the clock never meant, and the right one excluded",
        "tests/properties/test_timeproof_properties.py::test_a_claim_holds_the_truth_while_the_clock_is_as_good_as_its_note_says",
    ),
    Plant(
        "intervals that touch count as ordered",
        "timeproof/interval.py",
        {"and self.latest_ns < other.earliest_ns\n": "and self.latest_ns <= other.latest_ns\n"},
        "an order is called proven that nobody can know",
        "tests/properties/test_timeproof_properties.py::test_surely_before_is_never_said_of_what_could_be_otherwise",
    ),
)
