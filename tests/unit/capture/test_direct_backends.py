"""Who is ours and who is a stranger, at every order of logins, looks and ends."""

from __future__ import annotations

import asyncio

import pytest

from affidavit.capture.gateway.catalogue import Backend
from affidavit.capture.watch.direct import Backends, Stranger, declared


def stranger(
    pid: int, started: str = "2026-11-22T14:00:00.000000000Z", role: str = "app", address: str = ""
) -> Stranger:
    return Stranger(Backend(pid, started), role, "clinic", address, 0, "", "client backend")


def test_a_pid_that_came_again_is_not_ours() -> None:
    backends = Backends()
    backends.opened(stranger(1).backend)
    again = stranger(1, "2026-11-22T15:00:00.000000000Z")
    assert () == backends.strangers([stranger(1)], frozenset())
    assert (again,) == backends.strangers([again], frozenset())


def test_what_we_left_is_ours_until_a_look_does_not_show_it() -> None:
    backends, one = Backends(), stranger(1)
    backends.opened(one.backend)
    backends.left(one.backend)
    left = backends.those_left()
    assert () == backends.strangers([one], left), "it runs a statement to its end"
    assert () == backends.strangers([], left)
    assert (one,) == backends.strangers([one], backends.those_left())


def test_what_was_left_after_a_look_began_is_not_forgotten_by_it() -> None:
    backends, one = Backends(), stranger(1)
    left = backends.those_left()
    backends.opened(one.backend)
    backends.left(one.backend)
    backends.strangers([], left)
    assert () == backends.strangers([one], backends.those_left())


def test_a_login_under_way_is_waited_for() -> None:
    async def scene() -> list[str]:
        backends, said = Backends(), []

        async def judge() -> None:
            await backends.settled()
            said.append("judged")

        with backends.arriving():
            task = asyncio.create_task(judge())
            await asyncio.sleep(0)
            with backends.arriving():
                pass  # another one, that began later and ends sooner
            await asyncio.sleep(0)
            said.append("arrived")
        await task
        return said

    assert ["arrived", "judged"] == asyncio.run(scene())


@pytest.mark.parametrize(
    ("role", "address", "by"),
    [
        ("backup", "10.0.0.9", "backup@10.0.0.9"),
        ("backup", "10.0.0.8", ""),
        ("other", "10.0.0.9", ""),
        ("replica", "10.0.1.77", "replica@10.0.1.0/24"),
        ("replica", "10.0.2.77", ""),
        ("replica", "fd00::1", ""),
        ("monitor", "", "monitor@local"),
        ("monitor", "127.0.0.1", ""),
        ("backup", "", ""),
        ("a@b", "::1", "a@b@::1"),
    ],
)
def test_a_declaration_lets_one_role_from_one_place(role: str, address: str, by: str) -> None:
    entries = ["a@b@::1", "backup@10.0.0.9", "monitor@local", "replica@10.0.1.0/24"]
    assert by == declared(entries, stranger(1, role=role, address=address))
