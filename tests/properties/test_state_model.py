"""The state against a plain reference (tests/statemodel.py), over random histories.

A history is a log on paper: changes of every kind of object, some that cannot be, other records between them, records
of contexts. Beside it run the live state that decides now, with its prepared deciders and their caches, and the warm
store that answers as of then, with everything that may happen to it: it lies behind, it is opened again, it is deleted,
its process begins anew. After every step what can be asked is asked again, so an answer that was remembered and
outlived a change is found by the next step.

`make test` plays 12 histories and shows the first that fails as it is. AFFIDAVIT_MODEL_EXAMPLES=1000 plays as many, in
half an hour, and looks for the shortest history that fails, which may take five minutes more.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import statemodel
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from statemodel import Change, Decided, Refused, Rule

from affidavit.errors import Conflict, InvalidInput, Unavailable
from affidavit.evidence.asking import Resource
from affidavit.evidence.could import Question, who_could
from affidavit.history.asof import state_at
from affidavit.history.live import Live
from affidavit.history.store import History
from affidavit.record.header import Header, Log, Source, Time
from affidavit.record.kinds import STATE_KINDS
from affidavit.record.read import Record
from affidavit.state.change import decode_ops
from affidavit.state.context import build_context
from affidavit.state.deciding import Authorization, Decider, PolicySets, Request
from affidavit.state.view import StateView

EXAMPLES = int(os.environ.get("AFFIDAVIT_MODEL_EXAMPLES", "0"))
KEY = bytes(32)
PEOPLE = ("u-0000000000000001", "u-0000000000000002")
GROUPS = ("a", "b", "c", "d")
SYSTEMS = ("clinic", "lab")
PRINCIPALS = (*PEOPLE, *(f"group:{group}" for group in GROUPS))
PREFIXES = (
    "",
    "grant/",
    "group/",
    "policy/",
    "settings/",
    f"grant/{PEOPLE[0]}/",
    "membership/group:a/",
    "observed/clinic/",
    "reported/",
    f"reported/{PEOPLE[0]}/",
)
TIMES_S = (5, 10, 20)  # grants begin and end at 10 and 20
#: What is asked again after each step: a statement that needs two tables counts as one question.
QUESTIONS: dict[str, tuple[tuple[statemodel.Request, ...], ...]] = {
    "clinic": (
        (("read", "Table", "clinic/public.x"),),
        (("read", "Table", "clinic/public.x"), ("write", "Table", "clinic/public.y")),
        (("login", "System", "clinic"),),
    ),
    "lab": ((("read", "Table", "lab/public.x"),),),
    "log": (
        (("grant", "Object", "grant/group:a/g"), ("admin", "ObjectKind", "identity")),
        (("define", "Log", "log"),),
    ),
}
ASKED = {
    system: [tuple(Request(*one) for one in question) for question in questions]
    for system, questions in QUESTIONS.items()
}
#: What each fact may be; None: the request comes without it.
DOMAINS: dict[str, tuple[Any, ...]] = {"tls": (None, False, True), "verb": (None, "SELECT", "UPDATE")}
FACTS: tuple[dict[str, Any], ...] = ({}, {"tls": False}, {"tls": True, "verb": "SELECT", "approvals": 1})
WHEN: tuple[tuple[str, frozenset[str]], ...] = (
    ("", frozenset()),
    ('principal.hasTag("w") && principal.getTag("w") == "1"', frozenset()),
    ('principal.kind == "human"', frozenset()),
    ('principal in Group::"b"', frozenset()),
    ('Group::"c" in Group::"d"', frozenset()),
    ("context has tls && !context.tls", frozenset({"tls"})),
    ('context has verb && context.verb == "SELECT"', frozenset({"verb"})),
    ("context has approvals && context.approvals + 9223372036854775807 < 0", frozenset({"approvals"})),  # errs
)

# -- what is put -------------------------------------------------------------------------------------------------------

people, groups, principals = st.sampled_from(PEOPLE), st.sampled_from(GROUPS), st.sampled_from(PRINCIPALS)
rules = st.builds(
    lambda effect, who, actions, what, when: Rule(effect, who, actions, what, *when),
    st.sampled_from(("permit", "permit", "forbid")),
    st.one_of(
        st.just(()),
        st.just(("is", "Identity", "")),
        people.map(lambda one: ("==", "Identity", one)),
        groups.map(lambda group: ("in", "Group", group)),
    ),
    st.sampled_from(((), ("read",), ("read", "write"), ("grant", "admin", "define"), ("login",))),
    st.sampled_from(
        (
            (),
            ("==", "System", "clinic"),
            ("in", "System", "clinic"),
            ("==", "Table", "clinic/public.x"),
            ("is", "Table", ""),
            ("is in", "System", "clinic"),
            ("in", "Log", "log"),
            ("is", "Object", ""),
            ("in", "ObjectKind", "grant"),
        )
    ),
    st.sampled_from(WHEN),
)
moments = st.none() | st.sampled_from((10, 20)).map(statemodel.moment)


def setting_values(floor: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Some settings, sorted."""
    choices: dict[str, tuple[str, ...]] = {
        "capture.result": ("rows:5", "rows:20", "digest", "count", "off"),
        "capture.statement": ("full", "normalized", "digest"),
        "guarantee.read": ("before_action", "before_answer", "after"),
        "retention": ("P100D", "P2190D", "P3000D"),
    }
    if not floor:
        choices["app.theme"] = ("dark", "light")
    some = st.dictionaries(st.sampled_from(sorted(choices)), st.integers(0, 4), max_size=3)
    return some.map(
        lambda chosen: {
            "values": [{"name": n, "value": choices[n][i % len(choices[n])]} for n, i in sorted(chosen.items())]
        }
    )


def permissions() -> st.SearchStrategy[tuple[str, Any]]:
    """Identities, memberships, grants and policies: what decisions rest on. The value of a policy is its rule."""
    attributes = st.sampled_from(("", "1", "2")).map(lambda w: [{"name": "w", "value": w}] if w else [])
    kind, status = st.sampled_from(("human", "service")), st.sampled_from(("active", "active", "suspended"))
    identity = st.fixed_dictionaries({"kind": kind, "status": status, "attributes": attributes})
    resource = st.sampled_from(
        (
            {"type": "System", "id": "clinic"},
            {"type": "Table", "id": "clinic/public.x"},
            {"type": "Table", "id": "clinic/public.y"},
            {"type": "System", "id": "lab"},
        )
    )
    grant = st.fixed_dictionaries(
        {
            "actions": st.sampled_from((["read"], ["read", "write"], ["login"])),
            "resource": resource,
            "start": moments,
            "end": moments,
            "reason": st.just(""),
            "ticket": st.just(""),
        }
    ).filter(lambda value: value["start"] is None or value["end"] is None or value["start"] < value["end"])
    glass = grant.map(
        lambda value: {**value, "start": statemodel.moment(10), "end": statemodel.moment(20), "reason": "fire"}
    ).map(lambda value: {**value, "break_glass": True})
    membership = st.tuples(principals, groups).map(lambda pair: f"membership/{pair[0]}/{pair[1]}")
    policy = st.tuples(st.sampled_from("pq").map("policy/{}".format), rules)
    return st.one_of(
        st.tuples(people.map("identity/{}".format), identity),
        st.tuples(membership, st.just({})),
        st.tuples(st.tuples(principals, st.sampled_from("gh")).map(lambda p: f"grant/{p[0]}/{p[1]}"), grant | glass),
        policy,
        policy,
    )


def configuration() -> st.SearchStrategy[tuple[str, Any]]:
    """Settings of every scope, and systems."""
    system = st.fixed_dictionaries(
        {
            "kind": st.just("postgresql"),
            "description": st.sampled_from(("", "one")),
            "key_columns": st.sampled_from(([], ["public.x.id"])),
        },
        optional={"configuration": st.just([{"name": "region", "value": "north"}])},
    )
    sources = st.sampled_from(("desk", "web"))
    theme = st.sampled_from(("app.size", "app.theme"))
    reported = st.tuples(theme, st.sampled_from(("dark", "light"))).map(
        lambda pair: {"values": [{"name": pair[0], "value": pair[1]}]}
    )
    application = st.sampled_from(("", "one")).map(
        lambda text: {"kind": "application", "description": text, "system": None, "heartbeat_s": None}
    )
    scope = st.one_of(
        people.map("settings/user/{}".format),
        groups.map("settings/group/{}".format),
        st.sampled_from(("settings/organisation", "settings/system/clinic")),
    )
    return st.one_of(
        st.tuples(scope, setting_values(floor=False)),
        st.tuples(scope, setting_values(floor=False)),
        st.tuples(st.just("settings/floor"), setting_values(floor=True)),
        st.tuples(st.sampled_from(SYSTEMS).map("system/{}".format), system),
        st.tuples(st.tuples(people, sources).map(lambda p: f"reported/{p[0]}/{p[1]}"), reported),
        st.tuples(sources.map("source/{}".format), application),
        st.tuples(st.just("observed/clinic/ana/b"), st.integers(0, 2).map(lambda n: {"roles": n})),
        st.tuples(st.just("schema/s"), st.sampled_from(("entity A;", "entity B;")).map(lambda text: {"text": text})),
    )


def objects() -> st.SearchStrategy[tuple[str, Any]]:
    """Names of every kind, each with a value for it."""
    login = st.sampled_from("ab").map(lambda who: [{"issuer": "https://id.example", "subject": who}])
    texts = {"name": st.just(""), "mail": st.just("")}
    profile = st.fixed_dictionaries({"handle": st.sampled_from("xyz"), **texts}, optional={"logins": login})
    described = st.sampled_from(("", "one")).map(lambda text: {"description": text})
    token = {"identity": people, "type": st.just("token"), "label": st.just("")}
    credential = st.fixed_dictionaries(token, optional={"end": st.just(statemodel.moment(20))})
    return st.one_of(
        permissions(),
        configuration(),
        st.tuples(people.map("profile/{}".format), profile),
        st.tuples(groups.map("group/{}".format), described),
        st.tuples(st.sampled_from("ab").map(lambda letter: f"credential/token-{letter * 16}"), credential),
    )


# -- the log and what is compared --------------------------------------------------------------------------------------


class Paper:
    """`Records` of a log on paper."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.state = 0

    @property
    def size(self) -> int:
        return len(self.records)

    def record(self, index: int) -> Record:
        return self.records[index]

    def header(self, index: int) -> Header:
        return self.records[index].header

    def add(self, kind: str, body: dict[str, Any] | None, **fields: Any) -> Record:
        index, at = len(self.records), statemodel.moment(len(self.records) % 60)
        source, log = Source("0" * 32, index), Log(at, self.state)
        header = Header(v=1, id="", kind=kind, source=source, time=Time(at), log=log, basis="observed", **fields)
        self.records.append(Record(index, b"", header, body))
        if kind in STATE_KINDS:
            self.state = index + 1
        return self.records[-1]


def as_decided(got: Authorization) -> Decided:
    """What the reference says of a decision, taken from one of ours."""
    determining = tuple((item.request, item.policy, item.digest) for item in got.determining)
    return Decided(got.decision, got.facts, determining, tuple((error.request, error.policy) for error in got.errors))


def same(view: StateView, expected: statemodel.State) -> None:
    """Every question that a view of a state has gets the reference's answer."""
    assert view.names() == sorted(expected)
    for prefix in PREFIXES:
        assert view.names(prefix) == sorted(name for name in expected if name.startswith(prefix))
    for name, held in expected.items():
        version = view.get(name)
        assert version is not None
        got = (version.name, version.value, version.version, version.digest, version.salt)
        assert got == (name, held.value, held.version, held.digest, held.salt)
    assert view.get("group/nobody") is None
    for principal in PRINCIPALS:
        assert view.groups_of(principal) == statemodel.groups(expected, principal)
        assert view.direct_groups(principal) == statemodel.direct_groups(expected, principal)
    for group in GROUPS:
        assert view.members_of(group) == statemodel.members(expected, group)
    handles = statemodel.handles(expected)
    for person in PEOPLE:
        assert view.credentials_of(person) == statemodel.credentials(expected, person)
        assert view.handle_of(person) == handles.get(person)
    for handle in ("x", "y", "z"):
        assert view.identity_of_handle(handle) == next((one for one, held in handles.items() if held == handle), None)


# -- histories ---------------------------------------------------------------------------------------------------------


class Histories(RuleBasedStateMachine):
    """One history; `states` is the reference's answer to each state index."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="affidavit-model-"))
        self.patches = [
            mock.patch("affidavit.history.shelves.HISTORY_BUCKETS", 3),
            mock.patch("affidavit.history.shelves.HISTORY_CLOSED_MAX", 3),
            mock.patch("affidavit.history.shelves.HISTORY_CACHED_MAX", 4),
            mock.patch("affidavit.history.store.HISTORY_COMMIT_CHANGES", 5),
            mock.patch("affidavit.history.store.HISTORY_WAIT_S", 0.0),
        ]
        for patch in self.patches:
            patch.start()
        self.paper, self.salts, self.unseen = Paper(), 0, 0
        self.states: dict[int, dict[str, statemodel.Held]] = {0: {}}
        self.rules: dict[str, Rule] = {}
        self.recorded: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
        self.sets = PolicySets()  # shared by all deciders as of then
        self.history = self.opened()
        self.running = self.history.load()
        self.first = Live(state_at(self.paper, 0))  # it never begins anew

    def teardown(self) -> None:
        self.history.close()
        for patch in self.patches:
            patch.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def opened(self) -> History:
        return History(self.paper, "log.example/model", self.folder / "history", KEY)

    @property
    def now(self) -> dict[str, statemodel.Held]:
        return self.states[self.paper.state]

    def then(self, index: int) -> dict[str, statemodel.Held]:
        """The reference's state at a position."""
        return self.states[max(at for at in self.states if at <= index)]

    def salt(self) -> str:
        self.salts += 1
        return base64.urlsafe_b64encode(hashlib.sha256(b"%d" % self.salts).digest()[:16]).decode().rstrip("=")

    def change_of(self, name: str, value: Any, take: bool, late: bool) -> Change:
        """A change that takes the object away, or puts it; where it is late, on a version that is not there any more."""
        held = self.now.get(name)
        based = None if held is None else held.version
        if late:
            based = 0 if based is None else max(0, based - 1)
        if take and based is not None:
            return Change(name, based, None)
        if isinstance(value, Rule):
            self.rules[value.text] = value
            value = {"text": value.text}
        return Change(name, based, value, self.salt())

    def append(self, kind: str, body: dict[str, Any] | None, **fields: Any) -> Record:
        """Add a record; the live states are shown it at once, unless they lie behind already."""
        record = self.paper.add(kind, body, **fields)
        if not self.unseen:
            self.show([record])
        else:
            self.unseen += 1
        return record

    def show(self, records: Sequence[Record]) -> None:
        followed = [record for record in records if record.header.kind in (*STATE_KINDS, "context")]
        for live in (self.first, self.running):
            live.applied(followed)

    @initialize(diamond=st.booleans())
    def first_day(self, diamond: bool) -> None:
        """People in groups in groups with something to read, so that most changes can be, and matter."""
        human = {"kind": "human", "status": "active", "attributes": []}
        values: dict[str, Any] = {f"identity/{person}": human for person in PEOPLE}
        values |= {f"group/{group}": {"description": ""} for group in GROUPS}
        values["system/clinic"] = {"kind": "postgresql", "description": "", "key_columns": []}
        for name in ("desk", "web"):
            values[f"source/{name}"] = {"kind": "application", "description": "", "system": None, "heartbeat_s": None}
        inner = ("a/b", "a/c", "b/d", "c/d") if diamond else ("a/b", "b/c", "c/d")
        values |= {f"membership/group:{pair}": {} for pair in inner}
        values |= {f"membership/{PEOPLE[0]}/a": {}, f"profile/{PEOPLE[0]}": {"handle": "x", "name": "", "mail": ""}}
        values["policy/p"] = Rule(
            "permit", ("in", "Group", "d"), ("read",), ("in", "System", "clinic"), *WHEN[4 * diamond]
        )
        self.make([self.change_of(name, value, False, False) for name, value in values.items()])

    def make(self, changes: list[Change]) -> None:
        """Make a change, or find it refused by everybody."""
        index = self.paper.size
        ops = decode_ops([change.as_object() for change in changes])
        try:
            after = statemodel.changed(self.now, changes, index)
        except Refused as refused:
            views: tuple[Callable[[], Any], ...] = (lambda: self.running.preview(ops),)
            if not self.unseen:
                views = (*views, lambda: self.history.at(index).preview(ops))
                for view in views:
                    with pytest.raises(Conflict if refused.based else InvalidInput):
                        view()
            return
        self.states[index + 1] = after
        body = {"objects": [change.as_object() for change in changes], "reason": "", "approvals": []}
        self.append("change", body, root=statemodel.root(after))

    @rule(
        drawn=st.lists(objects(), min_size=1, max_size=4, unique_by=lambda pair: pair[0]),
        takes=st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
        late=st.sampled_from((False,) * 15 + (True,)),
    )
    def change(self, drawn: list[tuple[str, Any]], takes: tuple[bool, ...], late: bool) -> None:
        pairs = zip(drawn, takes, strict=False)
        self.make([self.change_of(name, value, take, late) for (name, value), take in pairs])
        self.ask_now()

    @rule(drawn=permissions(), take=st.booleans())
    def change_a_permission(self, drawn: tuple[str, Any], take: bool) -> None:
        self.make([self.change_of(*drawn, take, late=False)])
        self.ask_now()

    @rule(drawn=permissions(), also=permissions())
    def change_two_permissions(self, drawn: tuple[str, Any], also: tuple[str, Any]) -> None:
        """One after the other, with questions between."""
        self.change_a_permission(drawn, take=False)
        self.change_a_permission(also, take=False)

    @rule(inner=groups, outer=groups)
    def change_the_nesting(self, inner: str, outer: str) -> None:
        """A group comes into another, or out of it."""
        name = f"membership/group:{inner}/{outer}"
        self.make([self.change_of(name, {}, name in self.now, late=False)])
        self.ask_now()

    @rule(drawn=configuration(), take=st.booleans())
    def change_a_setting(self, drawn: tuple[str, Any], take: bool) -> None:
        self.make([self.change_of(*drawn, take, late=False)])
        self.ask_now()

    @precondition(lambda self: self.now)
    @rule(data=st.data())
    def change_what_is_there(self, data: st.DataObject) -> None:
        """Take away an object that there is, which seldom refuses."""
        name = data.draw(st.sampled_from(sorted(self.now)))
        self.make([self.change_of(name, None, True, late=False)])
        self.ask_now()

    @rule()
    def another_record(self) -> None:
        self.append("clock", {})

    @precondition(lambda self: not self.unseen)
    @rule(person=people, system=st.sampled_from(("clinic", "log")))
    def record_a_context(self, person: str, system: str) -> None:
        content = statemodel.context(self.now, self.rules, person, system)
        record = self.append("context", {**content, "salt": ""}, actor=person, system=system)
        self.recorded[person, system] = record.index, content

    @precondition(lambda self: not self.unseen)
    @rule()
    def live_states_fall_behind(self) -> None:
        self.paper.add("clock", {})
        self.unseen = 1

    @precondition(lambda self: self.unseen)
    @rule()
    def live_states_catch_up(self) -> None:
        missing, self.unseen = self.paper.records[-self.unseen :], 0
        self.show(missing)
        self.ask_now()

    @rule(how=st.sampled_from(("forgotten", "folder deleted", "new process", "new process, folder deleted")))
    def disturb_the_store(self, how: str) -> None:
        """It is built anew, or opened anew, with the next question; or a process begins, whose live state is folded."""
        if how.startswith("new process"):
            self.history.close()
        if how.endswith("deleted"):
            shutil.rmtree(self.folder / "history", ignore_errors=True)
        if how == "forgotten":
            self.history.forget()
        if how.startswith("new process"):
            self.history = self.opened()
            if self.unseen:
                missing, self.unseen = self.paper.records[-self.unseen :], 0
                self.first.applied([one for one in missing if one.header.kind in STATE_KINDS])
            self.running = self.history.load()
            same(self.running.snapshot(), self.now)

    @rule(back=st.integers(0, 1000), person=people, system=st.sampled_from(sorted(QUESTIONS)))
    def ask_then(self, back: int, person: str, system: str) -> None:
        """Everything as of every state index, from the store; at one of them, what was decided."""
        stands = sorted(self.states)
        chosen = stands[back % len(stands)]
        for stand, after in zip(stands, [*stands[1:], self.paper.size + 1], strict=True):
            if stand > self.running.index:
                with pytest.raises(Unavailable):
                    self.history.at(stand)
                return
            view = self.history.at(min(stand + back % 3, after - 1))  # the same state, at one of its positions
            assert view.index == stand
            same(view, self.states[stand])
            if stand == chosen:
                self.asked(view, person, system)
        folded = state_at(self.paper, chosen)
        assert (folded.index, folded.root) == (chosen, statemodel.root(self.states[chosen]))

    def asked(self, view: StateView, person: str, system: str) -> None:
        """A context and what is decided under it, as of then."""
        content = build_context(view, person, system)
        assert content == statemodel.context(self.states[view.index], self.rules, person, system)
        self.decided([Decider(content, view, sets=self.sets)], view.index, person, system)

    def decided(self, deciders: Sequence[Decider], state: int, person: str, system: str) -> None:
        """All deciders decide as the reference does, with the facts that it is this step's turn to have."""
        facts = FACTS[self.paper.size % len(FACTS)]
        for at_s in TIMES_S:
            expected = statemodel.decide(self.states[state], self.rules, person, system, QUESTIONS[system], facts, at_s)
            for decider in deciders:
                got = [decider.decide(requests, facts, _ns(at_s)) for requests in ASKED[system]]
                assert [as_decided(one) for one in got] == expected

    @rule(
        request=st.sampled_from(QUESTIONS["clinic"][1]),
        at_s=st.sampled_from(TIMES_S),
        back=st.integers(0, 1000),
        tls=st.booleans(),
    )
    def ask_who_could(self, request: statemodel.Request, at_s: int, back: int, tls: bool) -> None:
        """Yes and no are said of whom the reference allows and denies whatever the facts are."""
        index = self.paper.size - back % (self.paper.size + 1)
        known = {"tls": tls} if back % 2 else {}
        try:
            view = self.history.at(index)
        except Unavailable:
            return
        expected = self.then(index)
        question = Question(request[0], Resource(request[1], request[2], "clinic"), known, _ns(at_s))
        got = who_could(view, question)
        answers = {item["identity"]: item["answer"] for item in got["people"]}
        answers |= {item["identity"]: "no" for item in got["inactive"]}
        could = statemodel.could(expected, self.rules, "clinic", request, known, DOMAINS, at_s)
        assert answers.keys() == could.keys()
        reading = {fact for text in self.texts(expected) for fact in self.rules[text].reads}
        for identity, answer in answers.items():
            if answer != "depends":
                assert could[identity] == {"allow" if answer == "yes" else "deny"}
            else:
                assert reading - known.keys()

    @staticmethod
    def texts(state: statemodel.State) -> list[str]:
        return [held.value["text"] for name, held in state.items() if name.startswith("policy/")]

    def ask_now(self) -> None:
        """What was asked after the step before, of live states that remember it; and as of just before and just after."""
        if self.unseen:
            return
        root = statemodel.root(self.now)
        for live in (self.first, self.running):
            snapshot = live.snapshot()
            assert snapshot.root == root
            assert snapshot.ending() == statemodel.ending(self.now)
            for subject in "ab":
                found = snapshot.identity_of_login("https://id.example", subject)
                assert found == statemodel.logins(self.now).get(("https://id.example", subject))
            same(snapshot, self.now)
        for person in PEOPLE:
            for system in ("clinic", "log"):
                self.ask_live(person, system)
        person = PEOPLE[self.paper.size % len(PEOPLE)]
        for index in (self.paper.state - 1, self.paper.state):
            self.asked(self.history.at(index), person, "clinic")

    def ask_live(self, person: str, system: str) -> None:
        content = statemodel.context(self.now, self.rules, person, system)
        resolved, configured = statemodel.settings(self.now, person, system)
        views = [live.context(person, system) for live in (self.first, self.running)]
        for view in views:
            assert view.content == content
            assert ([one.as_dict() for one in view.settings.values()], view.configured) == (resolved, configured)
        self.decided([view.decider for view in views], self.paper.state, person, system)
        index, last = self.recorded.get((person, system), (None, None))
        assert views[0].recorded == (index if last == content else None)


def _ns(at_s: int) -> int:
    return (statemodel.T0_S + at_s) * 10**9


def test_histories_by_chance() -> None:
    phases = [Phase.reuse, Phase.generate, *([Phase.shrink] if EXAMPLES else [])]
    chosen = settings(
        max_examples=EXAMPLES or 12,
        stateful_step_count=30,
        deadline=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Histories, settings=chosen)
