"""Defects of answers as of then: what the store is taken for, which moment a text names, what counted at that moment."""

from __future__ import annotations

from mutations.plant import Plant

ASOF = (
    Plant(
        "a history store of another log is taken up",
        "history/store.py",
        {"header.kind in STATE_KINDS and header.root == shelves.root": "header.kind in STATE_KINDS"},
        "`explain` and `state` tell of permissions that this log never gave",
        "tests/properties/test_history_store.py::test_a_store_of_another_log_is_built_again",
    ),
    Plant(
        "an older bucket of the history store is believed",
        "history/shelves.py",
        {"if data is None or data[-_TAG_BYTES:] != tag:": "if data is None:"},
        "who can write to the folder takes a grant out of the answers, by putting an older piece of the file back",
        "tests/properties/test_history_store.py::test_an_older_bucket_put_back_is_found",
    ),
    Plant(
        "what a clock showed twice is one of the two",
        "record/zones.py",
        {"    if len(found) != 1:\n": "    if not found:\n"},
        "the answer is of another hour than the one that was meant",
        "tests/unit/history/test_moments.py::test_what_names_no_moment_is_refused_with_the_reason",
    ),
    Plant(
        "a grant is shown as live at its end",
        "evidence/governing.py",
        {'at >= value["end"]': 'at > value["end"]'},
        "the answer shows a permission that no decision could use any more",
        "tests/unit/evidence/test_governing.py::test_a_grant_is_live_from_its_start_and_not_at_its_end",
    ),
    Plant(
        "parsed policies are shared by their names",
        "state/deciding.py",
        {"key = tuple(policies.items())": 'key = tuple((name, "") for name in policies)'},
        "a decision as of another day rests on the policies of this one",
        "tests/properties/test_state_model.py",
    ),
    Plant(
        "a view of a context is kept where the groups are the same",
        "history/live.py",
        {"view.digest == digest and": 'view.content["groups"] == content["groups"] and'},
        "decisions go on under policies and grants that were taken away, from the live state's cache",
        "tests/properties/test_state_model.py",
    ),
    Plant(
        "the floor spares who has no settings",
        "state/settings.py",
        {"if lower(name, found.value, floor_value):": "if configured and lower(name, found.value, floor_value):"},
        "less is captured than the organisation demands, of those whom nobody configured",
        "tests/unit/state/test_state_settings.py::test_the_floor_raises_the_unconfigured_too",
    ),
    Plant(
        "groups are followed over one other group",
        "state/fold.py",
        {'for parent in direct_groups(f"group:{group}")]': 'for parent in direct_groups(f"group:{group}") if not via]'},
        "what a group in a group in a group may do is neither allowed nor shown",
        "tests/properties/test_state_model.py",
    ),
    Plant(
        "a row that is closed ends one change early",
        "history/shelves.py",
        {"or index <= self.stop)": "or index < self.stop)"},
        "the answer as of just before a change is that of after it",
        "tests/properties/test_state_model.py",
    ),
    Plant(
        "a grant that ends by the clock is no moment",
        "evidence/permitted.py",
        {'for edge in ("start", "end"):': 'for edge in ("start",):'},
        "a permission that went without a record seems to be there for ever",
        "tests/unit/evidence/test_permitted.py::test_a_grant_begins_and_ends_by_the_clock_and_its_lapse_is_the_trace",
    ),
    Plant(
        "what was put again as it was counts as about the person",
        "evidence/permitted.py",
        {"if _digest(before, name) != _digest(self._state, name)": "if name"},
        "a change for all that touches a person beside it does not look like one without a record about them",
        "tests/unit/evidence/test_permitted.py::test_what_was_put_again_beside_what_changed_does_not_count_as_about_him",
    ),
    Plant(
        "a change by an approval is proved by its approver",
        "evidence/behind.py",
        {'record.header.kind == "change" and record.header.ref is not None': "False"},
        "the credential of one person is shown as that of another",
        "tests/unit/evidence/test_behind.py::test_a_change_by_approval_is_proved_by_its_proposal_not_by_the_approver",
    ),
    Plant(
        "a wrong root that the other process found is passed over",
        "history/folding.py",
        {"            if right < len(batch):\n                raise wrong_root(batch[right][0])\n": ""},
        "the live state goes on from a log whose changes are not what their roots say, where the last root fits again",
        "tests/unit/history/test_folding_apart.py::test_the_first_wrong_root_and_what_was_shown_before_it",
    ),
)
