"""Random histories: a proof is made where a plain reading of the changes says that the statement is true, and nowhere
else; it verifies; and an alteration of it does not, unless it says something else that is true."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from logmaker import SIGNER, Paper
from proofcase import (
    ANA,
    THEO,
    Proved,
    closed,
    grant_on,
    human,
    no_grant,
    no_membership,
    objects,
    opened,
    proof_of,
    proved,
    was,
)

from affidavit.errors import AffidavitError
from affidavit.state.statement import Contradiction
from affidavit.verify.stateproof import check_state_proof

KEY = [SIGNER.verifier]
GROUPS = ("a", "b", "c")
BASE: dict[str, dict[str, Any]] = {
    f"identity/{ANA}": human(),
    f"identity/{THEO}": human(),
    **{f"group/{one}": {"description": ""} for one in GROUPS},
}
# Groups hold each other in one direction, so that no cycle comes about.
CHANGING: dict[str, dict[str, Any]] = {
    **{f"membership/{who}/{group}": {} for who in (ANA, THEO) for group in GROUPS},
    **{f"membership/group:{one}/{other}": {} for one, other in (("a", "b"), ("b", "c"), ("a", "c"))},
    **{
        f"grant/{who}/{system}": grant_on(system)
        for who in (ANA, THEO, *(f"group:{one}" for one in GROUPS))
        for system in ("clinic", "labs")
    },
}
STEPS = st.lists(
    st.sampled_from([None, *CHANGING]) | st.lists(st.sampled_from(sorted(CHANGING)), unique=True, max_size=4),
    max_size=12,
)
History = list[tuple[int, dict[str, dict[str, Any]]]]


def play(steps: list[Any]) -> tuple[Paper, History]:
    """The log, and what a plain reader knows of it: (position, objects) after each change. None is another record."""
    paper = Paper()
    paper.genesis()
    genesis = {op["name"]: op["value"] for op in paper.records[2].content["objects"]}
    held = genesis | BASE
    history: History = [(0, {}), (3, genesis)]
    history.append((objects(paper, BASE) + 1, dict(held)))
    for step in steps:
        names = [] if step is None else [step] if isinstance(step, str) else step
        if not names:
            paper.clock("interval")
            continue
        # What is there goes, what is not comes.
        change = {name: None if name in held else CHANGING[name] for name in names}
        index = objects(paper, change)
        held = {**held, **{n: v for n, v in change.items() if v is not None}}
        held = {n: v for n, v in held.items() if not (n in change and change[n] is None)}
        history.append((index + 1, dict(held)))
    return paper, history


def between(history: History, first: int, last: int) -> list[dict[str, dict[str, Any]]]:
    begun = [held for since, held in history if since <= first][-1:]
    return begun + [held for since, held in history if first < since <= last]


def versions(history: History, name: str, first: int, last: int) -> list[tuple[int, Any]]:
    """What an object was, and since when. No change here puts again what is there."""
    found: list[tuple[int, Any]] = []
    for since, held in [(first, between(history, first, first)[0]), *(h for h in history if first < h[0] <= last)]:
        if not found or (name in held) != (found[-1][1] is not None):
            found.append((since, held.get(name)))
    return found


def groups_around(held: dict[str, Any], who: str) -> set[str]:
    """All groups that hold somebody, by trying every membership until nothing new comes."""
    found: set[str] = set()
    while True:
        more = {
            name.split("/")[2]
            for name in held
            if name.startswith("membership/") and name.split("/")[1] in {who, *(f"group:{one}" for one in found)}
        }
        if more <= found:
            return found
        found |= more


def holds_grant(held: dict[str, Any], who: str, system: str | None) -> bool:
    around = {who, *(f"group:{one}" for one in groups_around(held, who))}
    return any(
        name.startswith("grant/")
        and name.split("/")[1] in around
        and (system is None or value["resource"]["id"].startswith(f"{system}/"))
        for name, value in held.items()
    )


def positions(paper: Paper, data: st.DataObject) -> tuple[int, int]:
    last = data.draw(st.integers(1, len(paper.records)))
    return data.draw(st.integers(0, last)), last


@given(STEPS, st.data())
@settings(max_examples=40, deadline=None)
def test_no_grant_is_proved_exactly_where_it_is_true(steps: list[Any], data: st.DataObject) -> None:
    paper, history = play(steps)
    first, last = positions(paper, data)
    who, system = data.draw(st.sampled_from([ANA, THEO, "group:a"])), data.draw(st.sampled_from(["clinic", None, "x"]))
    true = not any(holds_grant(held, who, system) for held in between(history, first, last))
    made = proved(paper, no_grant(who, first, last, system))
    assert true == isinstance(made, Proved)
    if isinstance(made, Proved):
        assert made.verdict == check_state_proof(made.file, KEY)
    else:
        assert isinstance(made, Contradiction)
        then = between(history, made.since, made.since)[0]
        assert made.name in then and holds_grant(then, who, system)
        assert made.since == first or not any(
            holds_grant(held, who, system) for held in between(history, first, made.since - 1)
        )


@given(STEPS, st.data())
@settings(max_examples=30, deadline=None)
def test_no_membership_is_proved_exactly_where_it_is_true(steps: list[Any], data: st.DataObject) -> None:
    paper, history = play(steps)
    first, last = positions(paper, data)
    who, group = data.draw(st.sampled_from([ANA, "group:a"])), data.draw(st.sampled_from(["b", "c"]))
    true = not any(group in groups_around(held, who) for held in between(history, first, last))
    made = proved(paper, no_membership(who, group, first, last))
    assert true == isinstance(made, Proved)


@given(STEPS, st.data())
@settings(max_examples=40, deadline=None)
def test_the_versions_of_an_object_are_those_that_it_had(steps: list[Any], data: st.DataObject) -> None:
    paper, history = play(steps)
    first, last = positions(paper, data)
    name = data.draw(st.sampled_from([*CHANGING, *BASE, "policy/nothing", "identity/u-" + "7" * 16]))
    verdict = check_state_proof(proof_of(paper, was(name, first, last)), KEY)
    assert versions(history, name, first, last) == [
        (one["since"], one.get("value")) for one in verdict.statement["versions"]
    ]


@given(STEPS, st.data())
@settings(max_examples=60, deadline=None)
def test_no_altered_byte_passes(steps: list[Any], data: st.DataObject) -> None:
    paper, history = play(steps)
    first, last = positions(paper, data)
    made = proved(
        paper, data.draw(st.sampled_from([was(f"grant/{ANA}/clinic", first, last), no_grant(ANA, first, last)]))
    )
    assume(isinstance(made, Proved))
    at, to = data.draw(st.integers(0, len(made.file) - 1)), data.draw(st.binary(min_size=0, max_size=2))
    altered = made.file[:at] + to + made.file[at + 1 :]
    assume(altered != made.file)
    assert refused(altered) or says_something_true(altered, made, history)


@given(STEPS, st.data())
@settings(max_examples=60, deadline=None)
def test_no_altered_meaning_passes(steps: list[Any], data: st.DataObject) -> None:
    """Any value of the file exchanged, with the form kept: a number moved, a text replaced, a part left out or doubled."""
    paper, history = play(steps)
    first, last = positions(paper, data)
    made = proved(
        paper, data.draw(st.sampled_from([was(f"membership/{ANA}/a", first, last), no_grant(ANA, first, last)]))
    )
    assume(isinstance(made, Proved))
    value = opened(made.file)
    place, key = data.draw(st.sampled_from(list(places(value))))
    old = place[key]
    if isinstance(old, int):
        place[key] = data.draw(st.integers(-1, 16))
    elif isinstance(old, str):
        place[key] = data.draw(
            st.sampled_from([ANA, THEO, "clinic", "labs", "", "0", "1", "A" * 43 + "=", old + "0", old[1:]])
        )
    elif isinstance(old, list) and old and data.draw(st.booleans()):
        place[key] = [*old, copy.deepcopy(old[data.draw(st.integers(0, len(old) - 1))])]
    else:
        del place[key]
    assume(closed(value) != made.file)
    assert refused(closed(value)) or says_something_true(closed(value), made, history)


def places(value: Any) -> Any:
    """Every place in the file that holds something."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


def refused(file: bytes) -> bool:
    try:
        check_state_proof(file, KEY)
    except AffidavitError:
        return True
    return False


def says_something_true(file: bytes, made: Proved, history: History) -> bool:
    """An altered file that passes is the very proof of another statement: of a name that is as absent as this one."""
    verdict = check_state_proof(file, KEY)
    said = verdict.statement
    if said == made.verdict.statement or verdict.root != made.verdict.root:
        return False
    first, last = said["from"]["index"], said["to"]["index"]
    if said["shows"] == "object":
        return [(one["since"], one.get("value")) for one in said["versions"]] == versions(
            history, said["name"], first, last
        )
    return not any(holds_grant(held, said["principal"], said.get("system")) for held in between(history, first, last))
