"""Defects of what watches an upstream from beside its gateway, and of what compares its log with ours."""

from __future__ import annotations

from mutations.plant import Plant

_PAPER = "tests/unit/capture/test_watching_on_paper.py"
_LINES = "tests/unit/evidence/test_reconciling_lines.py"

WATCHING = (
    Plant(
        "a look that failed lets a login in",
        "capture/watch/watcher.py",
        {
            '            if error.code != "gateway.watch_late" or looked_ns is None:\n': "            if looked_ns is None:\n"
        },
        "somebody works while nobody knows what the database enforces, and no record says so",
        f"{_PAPER}::test_a_late_look_refuses_no_login_and_a_failed_one_does",
    ),
    Plant(
        "a login waits for a slow catalogue however long",
        "capture/watch/watcher.py",
        {"asyncio.timeout(None if looked_ns is None else WATCH_LOGIN_WAIT_S)": "asyncio.timeout(None)"},
        "whoever holds a lock on the catalogue keeps everybody out",
        f"{_PAPER}::test_a_login_waits_for_the_first_look_and_not_long_for_later_ones",
    ),
    Plant(
        "a login takes a look that began before it",
        "capture/watch/watcher.py",
        {"            self._next = None  # whoever asks from now on needs a later one\n": ""},
        "a session begins under what the database enforced before, and its record says it is of now",
        f"{_PAPER}::test_who_comes_during_a_look_gets_the_next_one_also_when_who_began_the_first_gave_up",
    ),
    Plant(
        "what members of a record are called explains a drift",
        "capture/watch/drifting.py",
        {"for item in value.values():": "for item in (*value, *value.values()):"},
        "any declared change covers what somebody granted outside on a table called name or value",
        f"{_PAPER}::test_what_members_of_a_record_are_called_names_no_table",
    ),
    Plant(
        "a statement that was rolled back explains a drift",
        "capture/watch/drifting.py",
        {"in _FAILED or index in undone or header.session in unsure:": "in _FAILED or header.session in unsure:"},
        "a grant from outside is covered by the same grant tried through the gateway and taken back",
        f"{_PAPER}::test_a_statement_that_failed_or_was_rolled_back_explains_nothing",
    ),
    Plant(
        "a pid that came again is ours",
        "capture/watch/direct.py",
        {
            "        return tuple(one for backend, one in shown.items() if backend not in self._ours)\n": (
                "        pids = {backend.pid for backend in self._ours}\n"
                "        return tuple(one for backend, one in shown.items() if backend.pid not in pids)\n"
            )
        },
        "who gets the pid of a session that has ended goes past the gateway unseen",
        "tests/unit/capture/test_direct_backends.py::test_a_pid_that_came_again_is_not_ours",
    ),
    Plant(
        "what follows a question of ours passes as ours",
        "capture/watch/questions.py",
        {"if any(one.fullmatch(asked) for one in catalogue):": "if any(one.match(asked) for one in catalogue):"},
        "a DELETE behind the gateway's own question is no finding of reconcile",
        f"{_LINES}::test_only_the_whole_of_a_question_of_ours_is_ours",
    ),
    Plant(
        "what happened after our last record is excluded",
        "evidence/reconciling.py",
        {"        self._read_ns = covered[1]\n": "        self._read_ns = self._began_ns\n"},
        "who works past a gateway that nobody uses, or that does not run, is no finding of reconcile",
        f"{_LINES}::test_what_happened_after_our_last_record_went_past_us_too",
    ),
)
