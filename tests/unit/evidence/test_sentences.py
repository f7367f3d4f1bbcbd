"""Sentences, headlines and the words for time: fixed values in, exact text out."""

from __future__ import annotations

from typing import Any

import pytest

from affidavit.evidence.sentence import headline, sentence
from affidavit.evidence.wording import bound_words, duration_words, list_words, moment_words
from affidavit.record.body import Erased, Unreadable
from affidavit.record.header import Header, Log, Source, Time
from affidavit.record.read import Record

ANA = "u-00000000000000a1"
AT = "2026-11-22T14:17:03.214999999Z"
AT = "2026-11-22T14:17:03.214000000Z"
STAMP = "At 2026-11-22 14:17:03.214 UTC ± 1.2 ms, "


def names(identity: str) -> str:
    return {ANA: "ana"}.get(identity, identity)


def record(kind: str, body: Any, **fields: Any) -> Record:
    header = Header(
        v=1,
        id="01933d6b-0000-7000-8000-000000000000",
        kind=kind,
        source=Source("0" * 32, 0),
        time=Time(AT),
        log=Log(AT, 9),
        basis="observed",
        **{"actor": ANA, "system": "clinic", **fields},
    )
    return Record(41, b"", header, body)


def access(**parts: Any) -> dict[str, Any]:
    return {
        "action": {"verb": "SELECT", "statement": "SELECT  1\n FROM t", "tables": [{"schema": "public", "name": "t"}]},
        "authorization": {
            "decision": "allow",
            "determining": [{"request": 0, "policy": f"grant/{ANA}/g-1"}],
            "errors": [],
        },
        "result": {"outcome": "ok", "rows": 12},
        **parts,
    }


DENIED = {"decision": "deny", "determining": [], "errors": []}
ERRED = {"decision": "deny", "determining": [], "errors": [{"request": 0}]}
GRANT = {
    "op": "put",
    "name": f"grant/{ANA}/g-1",
    "based": None,
    "value": {
        "actions": ["read", "write"],
        "resource": {"type": "System", "id": "clinic"},
        "end": "2026-11-22T15:00:00.000000000Z",
    },
}


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (
            record("access", access(), action="read", decision="allow", outcome="ok"),
            "ana read 12 rows from public.t on clinic, allowed by grant/ana/g-1.",
        ),
        (
            record("access", access(authorization=DENIED), action="read", decision="deny", outcome="none"),
            "ana was refused SELECT of public.t on clinic, denied because no rule allows it.",
        ),
        (
            record("access", access(authorization=ERRED), action="read", decision="deny", outcome="none"),
            "ana was refused SELECT of public.t on clinic, denied because a rule could not be evaluated.",
        ),
        (
            record(
                "access",
                access(result={"outcome": "error", "sqlstate": "23505"}),
                action="write",
                decision="allow",
                outcome="error",
            ),
            "ana ran SELECT of public.t on clinic (error 23505), allowed by grant/ana/g-1.",
        ),
        (
            record("access", Erased(50), action="read", decision="allow", outcome="ok"),
            "ana ran read on clinic (its body was erased by record 50).",
        ),
        (
            record("access", Unreadable(b"1234"), action="read", decision="deny", outcome="none"),
            "ana was refused read on clinic (its body cannot be read without its key).",
        ),
        (
            record("change", {"objects": [GRANT], "reason": "recall"}, system=None),
            "ana gave ana read and write on clinic until 2026-11-22 15:00:00 UTC (“recall”).",
        ),
        (
            record("change", {"objects": [{"op": "delete", "name": f"grant/{ANA}/g-1", "based": 3}], "claimed": ["boss"]}),
            "ana took grant/ana/g-1 away, approval by boss only claimed.",
        ),
        (
            record(
                "change",
                {
                    "objects": [
                        {"op": "put", "name": "group/a", "based": None},
                        {"op": "put", "name": "policy/p", "based": 4},
                        {"op": "delete", "name": "policy/q", "based": 4},
                    ],
                    "approvals": [{"approval": 7, "approver": ANA}],
                },
            ),
            "ana added group/a; changed policy/p; deleted policy/q, approved by ana.",
        ),
        (
            record("session.open", {"actor": {"name": "eve"}, "failure": {"reason": "wrong token"}}, actor=None, decision="deny"),
            "somebody who gave the name 'eve' was refused a session on clinic (wrong token).",
        ),
        (record("log.gap", {"cause": "crash"}, actor=None, system=None), "the log has a gap (crash)."),
        (
            record(
                "log.gap",
                {"cause": "crash", "start": AT, "end": AT, "streams": ["a", "b"], "detail": "The writer stopped."},
                actor=None,
                system=None,
            ),
            "the log has a gap from 2026-11-22 14:17:03 UTC to 2026-11-22 14:17:03 UTC (crash): the writer stopped; 2 sources ended with it.",
        ),
        (
            record("log.gap", {"cause": "counter", "missing": {"stream": "ab" * 16, "first": 4, "last": 4}}, actor=None, system=None),
            "record 4 of the source abababab never arrived.",
        ),
        (
            record("log.gap", {"cause": "silence", "source": "lab", "start": AT, "end": None}, actor=None, system=None),
            "nothing has been heard of the source lab since 2026-11-22 14:17:03 UTC.",
        ),
        (
            record("log.gap", {"cause": "silence", "source": "lab", "start": AT, "end": AT}, actor=None, system=None),
            "the source lab is heard of again; it was silent from 2026-11-22 14:17:03 UTC to 2026-11-22 14:17:03 UTC.",
        ),
        (record("log.heartbeat", {"source": "lab"}, actor=None, system=None), "the source lab was heard of."),
        (record("clock", {"synchronized": True}, actor=None, system=None), "the clock was synchronised."),
        (record("unknown.kind", {}, actor=None, system=None), "unknown kind."),
    ],
)  # fmt: skip
def test_the_sentence_of_a_record(one: Record, said: str) -> None:
    assert sentence(one, names, 1_200_000) == STAMP + said


def test_the_headline_folds_the_statement_into_one_line() -> None:
    head = headline(record("access", access(), action="read", decision="allow", outcome="ok"), names)
    assert (head.who, head.verdict, head.below) == ("ana", "allowed, ok", "SELECT 1 FROM t")


@pytest.mark.parametrize(
    ("bound_ns", "words"),
    [
        (None, "(unbounded)"),
        (0, "± 0 µs"),
        (900, "± 0.9 µs"),
        (1_200_000, "± 1.2 ms"),
        (1_200_001, "± 1.3 ms"),
        (45_000_000, "± 45 ms"),
        (45_000_001, "± 46 ms"),
        (2_500_000_000, "± 2.5 s"),
    ],
)
def test_a_bound_is_never_said_smaller_than_it_is(bound_ns: int | None, words: str) -> None:
    assert bound_words(bound_ns) == words


@pytest.mark.parametrize(
    ("duration_ns", "words"),
    [
        (-5, "less than a second"),
        (999_999_999, "less than a second"),
        (1_000_000_000, "1 second"),
        (64_000_000_000, "1 minute 4 seconds"),
        (40_000_000_000, "40 seconds"),
        (90_061_000_000_000, "1 day 1 hour"),
    ],
)
def test_durations_in_words(duration_ns: int, words: str) -> None:
    assert duration_words(duration_ns) == words


def test_a_moment_is_cut_not_rounded_and_names_its_zone() -> None:
    assert moment_words(AT, None) == "2026-11-22 14:17:03.214 UTC (unbounded)"


def test_lists_in_words() -> None:
    assert [list_words(list("abcde")[:n]) for n in range(6)] == [
        "", "a", "a and b", "a, b and c", "a, b and 2 more", "a, b and 3 more",
    ]  # fmt: skip
