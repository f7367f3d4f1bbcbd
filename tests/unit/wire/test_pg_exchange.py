"""Playbooks of conversations: what was sent, what came back, and whose answer it was."""

import pytest

from affidavit.errors import InvalidInput, Unavailable
from affidavit.limits import PIPELINE_MESSAGES_MAX
from affidavit.wire.postgres import codes
from affidavit.wire.postgres.backend import Event, Exchange, Stage

S = Stage


def sent(exchange: Exchange, *steps: str) -> list[bool]:
    """Send by letter: `Q`, `P`, `B`, `Ds` (statement), `Dp` (portal), `E`, `C`, `S` …, each with itself as token."""
    targets = {"Ds": codes.STATEMENT, "Dp": codes.PORTAL}
    return [exchange.sent(ord(step[0]), step, targets.get(step, 0)) for step in steps]


def answers(exchange: Exchange, letters: str) -> list[tuple]:
    """The events of answers given by letter, without what is at its default."""
    return [short(exchange.received(ord(letter))) for letter in letters]


def short(event: Event) -> tuple:
    parts = [event.token, event.stage]
    if event.done:
        parts.append("done")
    if event.statement:
        parts.append(event.statement)
    if event.aborted:
        parts.append(event.aborted)
    return tuple(parts)


def playing(*steps: str) -> Exchange:
    exchange: Exchange[str] = Exchange()
    sent(exchange, *steps)
    return exchange


def test_simple_select():
    x = playing("Q")
    assert answers(x, "TDDCZ") == [
        ("Q", S.COLUMNS),
        ("Q", S.ROW),
        ("Q", S.ROW),
        ("Q", S.COMPLETE),
        ("Q", S.READY, "done", 1),
    ]
    assert x.idle


def test_simple_query_of_several_statements_numbers_them():
    x = playing("Q")
    assert answers(x, "CTDCCZ") == [
        ("Q", S.COMPLETE),
        ("Q", S.COLUMNS, 1),
        ("Q", S.ROW, 1),
        ("Q", S.COMPLETE, 1),
        ("Q", S.COMPLETE, 2),
        ("Q", S.READY, "done", 3),
    ]


def test_simple_query_failing_in_its_second_statement():
    x = playing("Q")
    assert answers(x, "CTDEZ")[-2:] == [("Q", S.ERROR, 1), ("Q", S.READY, "done", 1)]
    assert x.idle


def test_empty_query():
    x = playing("Q")
    assert answers(x, "IZ") == [("Q", S.EMPTY), ("Q", S.READY, "done", 1)]


def test_simple_queries_pipelined():
    x: Exchange[int] = Exchange()
    for token in (1, 2, 3):
        assert x.sent(codes.QUERY, token)
    got = [x.received(ord(c)) for c in "CZEZTDCZ"]
    assert [e.token for e in got] == [1, 1, 2, 2, 3, 3, 3, 3]
    assert [e.done for e in got] == [False, True, False, True, False, False, False, True]


def test_extended_query():
    x = playing("P", "Ds", "B", "Dp", "E", "C", "S")
    assert answers(x, "1tT2TDDC3Z") == [
        ("P", S.PARSED, "done"),
        ("Ds", S.PARAMETERS),
        ("Ds", S.COLUMNS, "done"),
        ("B", S.BOUND, "done"),
        ("Dp", S.COLUMNS, "done"),
        ("E", S.ROW),
        ("E", S.ROW),
        ("E", S.COMPLETE, "done"),
        ("C", S.CLOSED, "done"),
        ("S", S.READY, "done"),
    ]
    assert x.idle


def test_extended_without_rows_and_an_empty_statement():
    x = playing("Ds", "Dp", "E", "E", "S")
    assert answers(x, "tnnCIZ") == [
        ("Ds", S.PARAMETERS),
        ("Ds", S.NO_DATA, "done"),
        ("Dp", S.NO_DATA, "done"),
        ("E", S.COMPLETE, "done"),
        ("E", S.EMPTY, "done"),
        ("S", S.READY, "done"),
    ]


def test_portal_suspended_and_resumed():
    x = playing("B", "E", "E", "S")
    assert answers(x, "2DDsDCZ")[3:6] == [("E", S.SUSPENDED, "done"), ("E", S.ROW), ("E", S.COMPLETE, "done")]


def test_flush_and_terminate_have_no_answers():
    x: Exchange[str] = Exchange()
    assert sent(x, "P", "H", "B", "X") == [True, False, True, False]
    assert [e[0] for e in answers(x, "12")] == ["P", "B"]


def test_error_skips_what_was_sent_up_to_the_sync():
    x: Exchange[int] = Exchange()
    for token, code in enumerate("PBESPBES"):
        x.sent(ord(code), token)
    assert short(x.received(ord("1"))) == (0, S.PARSED, "done")
    assert short(x.received(ord("E"))) == (1, S.ERROR, "done", (2,))
    assert [short(x.received(ord(c))) for c in "Z12CZ"] == [
        (3, S.READY, "done"),
        (4, S.PARSED, "done"),
        (5, S.BOUND, "done"),
        (6, S.COMPLETE, "done"),
        (7, S.READY, "done"),
    ]


def test_error_skips_what_is_sent_later_too_even_a_query():
    x = playing("P")
    assert answers(x, "E") == [("P", S.ERROR, "done")]
    assert not x.idle
    assert sent(x, "B", "E", "Q", "H", "S", "P") == [False, False, False, False, True, True]
    assert answers(x, "Z1") == [("S", S.READY, "done"), ("P", S.PARSED, "done")]


def test_error_skips_a_pipelined_query():
    x = playing("B", "Q", "S")
    assert answers(x, "EZ") == [("B", S.ERROR, "done", ("Q",)), ("S", S.READY, "done")]


def test_error_in_the_middle_of_rows():
    x = playing("B", "E", "S")
    assert answers(x, "2DEZ")[2:] == [("E", S.ERROR, "done"), ("S", S.READY, "done")]


def test_error_at_sync_is_a_failed_commit_and_skips_nothing():
    x = playing("E", "S", "P")
    assert answers(x, "CEZ1") == [
        ("E", S.COMPLETE, "done"),
        ("S", S.ERROR),
        ("S", S.READY, "done"),
        ("P", S.PARSED, "done"),
    ]


def test_asynchronous_messages_come_any_time():
    x: Exchange[str] = Exchange()
    assert answers(x, "SNA") == [(None, S.ASYNC)] * 3
    sent(x, "Q")
    assert answers(x, "TDNDSACAZ") == [
        ("Q", S.COLUMNS),
        ("Q", S.ROW),
        ("Q", S.ASYNC),
        ("Q", S.ROW),
        ("Q", S.ASYNC),
        ("Q", S.ASYNC),
        ("Q", S.COMPLETE),
        ("Q", S.ASYNC),
        ("Q", S.READY, "done", 1),
    ]


def test_fatal_error_when_idle():
    assert answers(Exchange(), "E") == [(None, S.ERROR)]


def test_copy_in_simple():
    x = playing("Q")
    assert answers(x, "G") == [("Q", S.COPY_IN)]
    assert x.taking_copy
    assert sent(x, "d", "d", "H", "c") == [False] * 4
    assert not x.taking_copy
    assert answers(x, "CZ") == [("Q", S.COMPLETE), ("Q", S.READY, "done", 1)]


def test_copy_in_twice_in_one_simple_query_sent_ahead():
    x = playing("Q", "d", "c", "d", "d", "c", "Q")
    got = answers(x, "GCGCZ")
    assert got[-2:] == [("Q", S.COMPLETE, 1), ("Q", S.READY, "done", 2)]
    assert answers(x, "CZ")[-1] == ("Q", S.READY, "done", 1)


def test_copy_in_simple_given_up_by_the_client():
    x = playing("Q")
    answers(x, "G")
    sent(x, "d", "f")
    assert answers(x, "EZ") == [("Q", S.ERROR), ("Q", S.READY, "done")]
    assert x.idle


def test_copy_in_simple_failing_at_the_server_drops_what_still_comes():
    x = playing("Q")
    answers(x, "G")
    sent(x, "d")
    assert answers(x, "E") == [("Q", S.ERROR)]
    assert sent(x, "d", "c") == [False, False]
    assert answers(x, "Z") == [("Q", S.READY, "done")]
    assert x.idle
    assert sent(x, "d", "c", "Q") == [False, False, True]
    assert answers(x, "CZ")[0] == ("Q", S.COMPLETE)


def test_copy_in_extended_ignores_the_sync_behind_execute():
    """Many clients send Sync with Execute before they know that it is COPY."""
    x: Exchange[str] = Exchange()
    x.sent(codes.EXECUTE, "E")
    x.sent(codes.SYNC, "S1")
    assert short(x.received(ord("G"))) == ("E", S.COPY_IN, ("S1",))
    sent(x, "d", "c")
    assert x.sent(codes.SYNC, "S2")
    assert answers(x, "CZ") == [("E", S.COMPLETE, "done"), ("S2", S.READY, "done")]
    assert x.idle


def test_sync_that_arrives_while_copy_begins_is_ignored_too():
    x = playing("E")
    answers(x, "G")
    assert sent(x, "S", "d", "c", "S") == [False, False, False, True]
    assert answers(x, "CZ") == [("E", S.COMPLETE, "done"), ("S", S.READY, "done")]


def test_copy_in_extended_sent_ahead():
    x: Exchange[str] = Exchange()
    for letter, token in (("E", "E"), ("S", "S1"), ("d", ""), ("d", ""), ("c", ""), ("S", "S2"), ("P", "P")):
        x.sent(ord(letter), token)
    assert short(x.received(ord("G"))) == ("E", S.COPY_IN, ("S1",))
    assert answers(x, "CZ1") == [("E", S.COMPLETE, "done"), ("S2", S.READY, "done"), ("P", S.PARSED, "done")]


@pytest.mark.parametrize("end", ["c", "f"])
def test_copy_in_extended_failing_skips_to_the_sync_behind(end):
    x = playing("E")
    answers(x, "G")
    sent(x, "d", end)
    sent(x, "P", "S")
    assert answers(x, "EZ") == [("E", S.ERROR, "done", ("P",)), ("S", S.READY, "done")]
    assert x.idle


def test_copy_in_extended_failing_while_data_flow():
    x = playing("E")
    answers(x, "G")
    sent(x, "d")
    assert answers(x, "E") == [("E", S.ERROR, "done")]
    assert sent(x, "d", "c", "P", "S") == [False, False, False, True]
    assert answers(x, "Z") == [("S", S.READY, "done")]


def test_copy_in_refused_by_the_server_before_it_begins():
    """No CopyInResponse: the Sync behind Execute counts, and the data sent ahead are dropped."""
    x = playing("E", "S", "d", "c", "S")
    assert answers(x, "EZZ") == [("E", S.ERROR, "done"), ("S", S.READY, "done"), ("S", S.READY, "done")]
    assert x.idle


def test_the_blind_spot_of_copy_ends_the_session():
    """COPY fails before the Sync behind Execute is read: its ReadyForQuery is one too many, and is not believed."""
    x = playing("E", "S")
    answers(x, "G")
    sent(x, "d", "c", "S")
    answers(x, "EZ")
    with pytest.raises(Unavailable):
        x.received(ord("Z"))


def test_a_surplus_ready_never_ends_the_next_statement():
    x = playing("Q")
    with pytest.raises(Unavailable) as caught:
        x.received(ord("Z"))
    assert caught.value.code == "pg.upstream_order"


def test_copy_out_simple_and_extended():
    x = playing("Q", "E", "S")
    assert answers(x, "HddcCZ") == [
        ("Q", S.COPY_OUT),
        ("Q", S.COPY_DATA),
        ("Q", S.COPY_DATA),
        ("Q", S.COPY_DONE),
        ("Q", S.COMPLETE),
        ("Q", S.READY, "done", 1),
    ]
    assert answers(x, "HdEZ")[2:] == [("E", S.ERROR, "done"), ("S", S.READY, "done")]


@pytest.mark.parametrize("step", ["Q", "P", "S", "E"])
def test_nothing_but_copy_may_follow_copy_data(step):
    x = playing("Q")
    answers(x, "G")
    sent(x, "d")
    with pytest.raises(InvalidInput) as caught:
        sent(x, step)
    assert caught.value.code == "pg.client_order"


def test_nothing_but_copy_may_follow_copy_data_sent_ahead():
    x = playing("E", "d")
    with pytest.raises(InvalidInput):
        sent(x, "S")


@pytest.mark.parametrize("step", ["F", "D", "p", "?"])
def test_unsupported_messages_are_refused(step):
    with pytest.raises(InvalidInput) as caught:
        sent(Exchange(), step)
    assert caught.value.code == "pg.client_order"


OUT_OF_ORDER = [
    ("", "Z"),
    ("", "C"),
    ("", "D"),
    ("", "1"),
    ("Q", "D"),
    ("Q", "1"),
    ("Q", "s"),
    ("Q", "n"),
    ("Q", "W"),
    ("Q", "V"),
    ("Q", "d"),
    ("Q", "R"),
    ("Q", "TT"),
    ("Q", "TI"),
    ("Q", "TZ"),
    ("Q", "TDs"),
    ("Q", "GC"),
    ("Q", "GD"),
    ("Q", "HC"),
    ("Q", "HD"),
    ("Q", "HdD"),
    ("Q", "TDd"),
    ("Q", "Hcd"),
    ("Q", "EC"),
    ("P", "2"),
    ("P", "Z"),
    ("B", "1"),
    ("Ds", "T"),
    ("Ds", "n"),
    ("Ds", "tt"),
    ("Dp", "t"),
    ("E", "T"),
    ("E", "Z"),
    ("E", "DI"),
    ("C", "C"),
    ("S", "1"),
    ("S", "C"),
]


@pytest.mark.parametrize(("step", "letters"), OUT_OF_ORDER)
def test_answers_out_of_order_are_refused(step, letters):
    x = playing(*([step] if step else []))
    answers(x, letters[:-1])
    with pytest.raises(Unavailable) as caught:
        x.received(ord(letters[-1]))
    assert caught.value.code == "pg.upstream_order"


def test_row_after_row_of_the_next_execute_is_its_own():
    x: Exchange[int] = Exchange()
    x.sent(codes.EXECUTE, 1)
    x.sent(codes.EXECUTE, 2)
    assert [x.received(ord(c)).token for c in "DDDCDDC"] == [1, 1, 1, 1, 2, 2, 2]


def test_what_is_open_when_the_connection_is_lost():
    x = playing("P", "B", "E", "S")
    answers(x, "1")
    assert x.head == "B"
    assert x.tokens() == ("B", "E", "S")


def test_the_pipeline_is_bounded():
    x: Exchange[int] = Exchange()
    for token in range(PIPELINE_MESSAGES_MAX):
        x.sent(codes.PARSE, token)
    with pytest.raises(InvalidInput) as caught:
        x.sent(codes.PARSE, -1)
    assert caught.value.code == "pg.pipeline"


def test_copy_data_sent_ahead_do_not_fill_the_pipeline():
    x: Exchange[str] = Exchange()
    x.sent(codes.EXECUTE, "E")
    for _ in range(PIPELINE_MESSAGES_MAX * 2):
        x.sent(codes.COPY_DATA, "")
    assert x.tokens() == ("E",)
