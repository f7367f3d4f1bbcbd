"""How many decisions a second: cached, uncached, by bare cedarpy, in one run; and who can over thousands of people.

    python bench/deciding.py [--people N] [--policies N] [--seconds S]

*bare* gives the engine the same parsed policies and entities and a context as text, and nothing else: what remains
between it and *uncached* is what deciding adds, which is the entities of the request, the facts, and the digests.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cedarpy

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))
from affidavit.evidence.asking import resource_named
from affidavit.evidence.could import Question, who_could
from affidavit.record.moment import format_moment
from affidavit.state.change import Op, Put
from affidavit.state.context import build_context
from affidavit.state.deciding import Decider, Request
from affidavit.state.fold import State

SALT = base64.urlsafe_b64encode(bytes(16)).rstrip(b"=").decode()
NOW_NS = 1_795_356_000_000_000_000
SHAPES = 200_000  # different requests, so that none is found in a cache
FACTS = {"verb": "SELECT", "tls": True, "parsed": True, "tables": ("public.visits",)}


def identity(number: int) -> str:
    return f"u-{number:016x}"


def state_of(people: int, policies: int) -> State:
    """People in ten departments, below one organisation; every tenth with a grant of their own; policies, each for a
    department, some with conditions on facts."""
    objects: list[tuple[str, dict[str, Any]]] = [
        ("system/clinic", {"kind": "postgresql", "description": "", "key_columns": []}),
        ("group/staff", {"description": ""}),
    ]
    for number in range(10):
        objects.append((f"group/d{number}", {"description": ""}))
        objects.append((f"membership/group:d{number}/staff", {}))
    for number in range(policies):
        table = f'Table::"clinic/public.t{number}"'
        when = ' when { context has tls && context.tls && context has verb && context.verb == "SELECT" }'
        condition = when if number % 4 == 0 else ""
        text = (
            f'permit(principal in Group::"d{number % 10}", action == Action::"read", resource == {table}){condition};'
        )
        objects.append((f"policy/p{number}", {"text": text}))
    actions = 'action in [Action::"login", Action::"read"]'
    read = f'permit(principal in Group::"staff", {actions}, resource in System::"clinic");'
    objects.append(("policy/staff", {"text": read}))
    for number in range(people):
        one = identity(number)
        objects.append((f"identity/{one}", {"kind": "human", "status": "active", "attributes": []}))
        objects.append((f"profile/{one}", {"handle": f"p{number}", "name": "", "mail": ""}))
        objects.append((f"membership/{one}/d{number % 10}", {}))
        if number % 10 == 0:
            value = {"actions": ["read"], "resource": {"type": "Table", "id": "clinic/public.visits"}}
            moments = {"start": format_moment(NOW_NS - 1), "end": None, "reason": "", "ticket": ""}
            objects.append((f"grant/{one}/g", {**value, **moments}))
    state = State()
    for first in range(0, len(objects), 100):
        ops: list[Op] = [Put(name, None, value, SALT) for name, value in objects[first : first + 100]]
        state.apply(ops, state.index)
    return state


def rate(work: Callable[[int], object], seconds: float) -> float:
    """Calls a second of processor time, of which others on the machine take none away."""
    done, begun = 0, time.process_time()
    while (took := time.process_time() - begun) < seconds:
        for number in range(done, done + 100):
            work(number)
        done += 100
    return done / took


def requests() -> Iterator[tuple[Request, ...]]:
    return ((Request("read", "Table", f"clinic/public.x{number}"),) for number in range(SHAPES))


def deciding(state: State, seconds: float) -> None:
    """Bare, uncached and cached decisions of one person."""
    context = build_context(state, identity(1), "clinic")
    decider = Decider(context, state)
    shapes = list(requests())
    decider.decide(shapes[0], FACTS, NOW_NS)
    (policies,) = decider._sets.values()
    facts = json.dumps({"verb": "SELECT", "tls": True})
    asked = {
        "principal": {"type": "Identity", "id": identity(1)},
        "action": {"type": "Action", "id": "read"},
        "resource": {"type": "System", "id": "clinic"},
        "context": facts,
    }
    bare = rate(lambda _: cedarpy.is_authorized_batch([asked], policies, decider._entities), seconds)
    uncached = rate(lambda number: decider.decide(shapes[number % SHAPES], FACTS, NOW_NS), seconds)
    cached = rate(lambda number: decider.decide(shapes[number % 8], FACTS, NOW_NS), seconds)
    print(f"{len(context['policies'])} policies in the context, {len(context['groups'])} groups")
    print(f"bare cedarpy  {bare:>12,.0f} decisions/s")
    print(f"uncached      {uncached:>12,.0f} decisions/s, {uncached / bare:.2f} of bare")
    print(f"cached        {cached:>12,.0f} decisions/s")


def asking(state: State, people: int) -> None:
    """Who can, over everybody."""
    for text in ("clinic/public.visits", "clinic/public.t0", "clinic"):
        question = Question("read", resource_named(text, state), {}, NOW_NS)
        begun = time.process_time()
        counts = who_could(state, question)["counts"]
        took = time.process_time() - begun
        print(f"who can read {text:<22} {people:,} people in {took:.2f} s of processor time: {counts}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=5_000)
    parser.add_argument("--policies", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=2.0)
    given = parser.parse_args()
    state = state_of(given.people, given.policies)
    deciding(state, given.seconds)
    asking(state, given.people)


if __name__ == "__main__":
    main()
