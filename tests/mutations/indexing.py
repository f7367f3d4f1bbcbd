"""Defects of the search index: what its files are taken for, what it leaves out, what it keeps."""

from __future__ import annotations

from mutations.plant import Plant

_SAME = "tests/properties/test_search_index.py::test_answers_equal_a_scan_while_the_log_grows"

INDEXING = (
    Plant(
        "files of the search index are not compared with its stand",
        "search/volume.py",
        {"            return all(digest_of(": "            return True or all(digest_of("},
        "who can write to the folder hides a record from every search, by putting files of another stretch there",
        "tests/unit/search/test_index.py::test_the_files_of_another_volume_are_not_taken_up",
    ),
    Plant(
        "a search index of another history is taken up",
        "search/volume.py",
        {"if raw is None or mark_of(raw) != stand.last:": "if raw is None:"},
        "after a log was put back, searches leave out what it recorded since",
        "tests/properties/test_search_index.py::test_an_index_of_another_history_is_built_again",
    ),
    Plant(
        "a negation asks the search index for the opposite of all that may match",
        "search/planning.py",
        {
            "    return _Part(_Set(most, NOTHING), _Set(EVERY, NOTHING))": "    return _Part(_Set(most, NOTHING), _Set(without(most), NOTHING))"
        },
        "`NOT text` leaves out records that only share some letters with it",
        _SAME,
    ),
    Plant(
        "what the search index does not hold yet is not read",
        "search/index.py",
        {"    yield from _each(stop, before)\n": ""},
        "the newest records are missing from every answer",
        _SAME,
    ),
    Plant(
        "the search index is kept while a body is erased",
        "search/index.py",
        {"                    volume.clear()\n": "                    pass\n"},
        "parts of the erased words can be looked for in a file of the log's folder",
        "tests/unit/search/test_index.py::test_of_what_was_erased_nothing_is_left",
    ),
    Plant(
        "candidates of the search index are shown unread",
        "search/answers.py",
        {"        judged = match(query, record, self._bound_of)\n": '        judged: Match | None = "certainly"\n'},
        "an answer shows records that nobody asked for, and what an index says instead of the log",
        _SAME,
    ),
)
