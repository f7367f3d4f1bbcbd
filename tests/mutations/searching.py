"""Defects of search: what a query finds, and how surely."""

from __future__ import annotations

from mutations.plant import Plant

SEARCHING = (
    Plant(
        "what a body does not say answers a negation",
        "search/matching.py",
        {"return _FAILS if field.in_header else _SAYS_NOTHING": "return _FAILS"},
        "an erased record is shown as one that surely did not touch the table: silence as a fact",
        "tests/unit/search/test_matching.py::test_a_body_that_cannot_be_read_matches_no_question_about_it",
    ),
    Plant(
        "what lies partly inside a time lies inside",
        "search/matching.py",
        {"    return _POSSIBLY, _POSSIBLY\n": "    return _HOLDS\n"},
        "the answer says of an unsure clock more than the log knows, and the negation hides the record",
        "tests/unit/search/test_matching.py::test_a_time_is_as_sure_as_the_clock_was",
    ),
    Plant(
        "a clock that nothing bounds is believed",
        "search/matching.py",
        {"_HOLDS if bound_ns is not None else (_POSSIBLY, _NO)": "_HOLDS"},
        "the time of a machine that follows no time source is shown as certain",
        "tests/unit/search/test_matching.py::test_a_time_is_as_sure_as_the_clock_was",
    ),
    Plant(
        "a negation of parts asks that all of them fail",
        "search/matching.py",
        {"if affirmed else self._strongest(parts, False)": "if affirmed else self._weakest(parts, False)"},
        "the same question written in another way finds other records",
        "tests/properties/test_search_language.py::test_the_way_in_which_it_is_written_changes_no_answer",
    ),
    Plant(
        "a header rules out what only the body says",
        "search/matching.py",
        {"            return _UNREAD\n": "            return _FAILS\n"},
        "records that match are passed over without being read",
        "tests/properties/test_search_language.py::test_a_header_rules_out_only_what_no_body_can_mend",
    ),
    Plant(
        "a tolerance widens a time to one side",
        "search/times.py",
        {"min(last_ns + wider_ns, _LAST_NS)": "min(last_ns, _LAST_NS)"},
        "what happened just after the minute that a witness named is not found",
        "tests/unit/search/test_parsing.py::test_a_time_is_a_span",
    ),
    Plant(
        "handles are looked for in what kind of object it is",
        "search/terms.py",
        {"[kind, *(": "[_resolved(kind, resolve), *("},
        "somebody who is called grant hides everybody's grants from a search for them",
        "tests/unit/search/test_matching.py::test_a_kind_of_object_is_nobodys_handle",
    ),
)
