"""Commands that change a log's folder as a whole, killed or failed at a system call: rotate, recover, backup, erase.

    python tests/faults/maintenance.py [--seed N] [--seconds N]

A life is one command in a child that is forked before it begins, on a fresh copy of a prepared log; strace is attached, and
kills it at the n-th call of a kind that it makes in a life without faults, or fails that call. Then: the log opens or
says what to do, every record is there under the checkpoint that was published before, and the same command, run again,
finishes the work. Without SECONDS it goes through every call of every command with each verb. The last line says what was
done; the status is 1 for a violation or a run that injected nothing, and 3 where strace cannot do its work here.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from erasecase import holders
from injection import NO_STRACE, WRITING, Unsupported, _attach, whole_lines
from recovercase import append, made

from affidavit.archive.open import open_archive
from affidavit.cli.main import run
from affidavit.compose import backup as _backup  # noqa: F401  imported before the fork, not in each life
from affidavit.compose import recovering as _recovering  # noqa: F401
from affidavit.compose import serving as _serving  # noqa: F401
from affidavit.compose.site import Site
from affidavit.durable import OsDisk
from affidavit.errors import AffidavitError
from affidavit.ledger.keys import Secrets
from affidavit.ledger.reader import Reader
from affidavit.limits import TILE_BYTES_MAX
from affidavit.record.frame import Stored
from affidavit.tlog.keys import VerifierKey
from affidavit.verify.verify import verify

RECORDS = 300  # more than one bundle
LIFE_S = 120.0
LIVES_MIN = 3
DEFECT = 99  # the status of a child that raised
VERBS = ("signal=KILL", "error=EIO")


@dataclass(frozen=True)
class Known:
    """What was there before the command: acknowledged records, the key, the checkpoint."""

    records: tuple[Stored, ...]
    pinned: tuple[VerifierKey, ...]
    checkpoint: bytes


@dataclass
class Result:
    """What was done."""

    seed: int
    injected: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    elsewhere: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def last_line(self) -> str:
        by = ", ".join(f"{name} {count}" for name, count in sorted(self.injected.items())) or "none"
        return (
            f"maintenance: seed {self.seed}, {sum(self.injected.values())} injections ({by}), {self.missed} not reached, "
            f"{self.elsewhere} elsewhere, "
            f"{len(self.violations)} violations"
        )


def known(root: Path) -> Known:
    """Everything in the log in `root`."""
    ledger = Site(root).open_ledger()
    records = tuple(ledger.reader().stored(index) for index in range(ledger.size))
    ledger.close("looked at")
    return Known(
        records, Secrets.load(OsDisk(), root / "secrets").verifiers, (root / "log" / "checkpoint").read_bytes()
    )


def wrong_with(root: Path, before: Known) -> list[str]:
    """What does not hold of a log that must open: its records, its history, its keys."""
    try:
        site = Site(root)
        ledger = site.open_ledger()
        try:
            reader = ledger.reader()
            lost = [at for at, one in enumerate(before.records) if at >= reader.size or reader.stored(at) != one]
        finally:
            site.close_ledger(ledger, "looked at")
    except AffidavitError as error:
        return [f"it does not open, or cannot be read: {error.code} {error}"]
    wrong = [f"lost or altered: {lost[:10]}, {len(lost)} in all"] if lost else []
    return wrong + unproven(root, before)


def unproven(root: Path, before: Known) -> list[str]:
    """What `verify` finds, from the first key on and with the checkpoint from before the command."""
    return accused(root, before, [before.checkpoint])


def accused(root: Path, before: Known, kept: Sequence[bytes] = ()) -> list[str]:
    """What `verify` finds, from the first key on."""
    verdict = verify(open_archive(str(root)), before.pinned, {}, kept, only="structure")
    return [f"verify: {one.code} {one.message}" for check in verdict.checks for one in check.findings]


# What is done, to which log, and what must hold after it broke off and after it was run again.


class Rotate:
    """`affidavit key rotate`, on the log's own files."""

    def __init__(self, base: Path) -> None:
        self.template = made(base / "rotate", RECORDS)
        self.before = known(self.template)

    def command(self, root: Path) -> list[str]:
        return ["key", "rotate", "--reason", "r", "--data", str(root)]

    def broken_off(self, root: Path, result: Result) -> list[str]:
        del result
        left = wrong_with(root, self.before)
        waiting = [name for name in ("next.key",) if (root / "secrets" / name).exists()]
        return left + [f"{name} was left after a start" for name in waiting]

    def finished(self, root: Path) -> list[str]:
        return wrong_with(root, self.before)


class Recover:
    """`affidavit recover` of a copy that was brought back, with a damaged tile."""

    def __init__(self, base: Path) -> None:
        log = made(base / "log", RECORDS)
        self.template = base / "recover"
        self.before = known(log)
        assert 0 == run(["backup", str(self.template), "--secrets", "--data", str(log), "--json"])
        (self.template / "log" / "tile" / "0" / "000").write_bytes(bytes(TILE_BYTES_MAX))

    def command(self, root: Path) -> list[str]:
        return ["recover", "--yes", "--newest-copy", "--json", "--data", str(root)]

    def broken_off(self, root: Path, result: Result) -> list[str]:
        try:
            site = Site(root)
            ledger = site.open_ledger()
        except AffidavitError as error:
            result.refused[error.code] += 1
            return [] if error.hint else [f"it says not what to do: {error.code} {error}"]
        site.close_ledger(ledger, "looked at")
        return []

    def finished(self, root: Path) -> list[str]:
        return wrong_with(root, self.before)


class Erase:
    """`affidavit erase`, on the log's own files: a body of the full bundle."""

    #: Run again it is done, or says that it was done before.
    statuses = frozenset({0, 2})

    def __init__(self, base: Path) -> None:
        self.template = made(base / "erase", RECORDS)
        self.index = 100
        before = known(self.template)
        self.slot = before.records[self.index][1]
        # What was erased is compared by its header alone.
        records = [*before.records]
        self.before = replace(before, records=tuple(records[: self.index]))
        self._after = tuple(records[self.index + 1 :])

    def command(self, root: Path) -> list[str]:
        return ["erase", str(self.index), "--reason", "r", "--json", "--data", str(root)]

    def broken_off(self, root: Path, result: Result) -> list[str]:
        del result
        wrong = wrong_with(root, self.before)
        records = Site(root).read_only()
        stubs = [one.index for one in map(records.record, range(records.size)) if one.header.kind == "erase"]
        left = holders(root, self.slot)
        if bool(stubs) == bool(left):
            wrong.append(f"{len(stubs)} erase records, and the body stands in {left or 'no file'}")
        first = self.index + 1
        stored = stored_from(root, first, len(self._after))
        lost = [first + at for at, one in enumerate(self._after) if stored[at] != one]
        return [*wrong, f"lost or altered: {lost[:10]}"] if lost else wrong

    def finished(self, root: Path) -> list[str]:
        left = holders(root, self.slot)
        return wrong_with(root, self.before) + [f"the body stands in {one}" for one in left]


def stored_from(root: Path, first: int, count: int) -> list[Stored]:
    """The exact bytes of records."""
    site = Site(root)
    reader = Reader.of_folder(root, site.disk, site.secrets.body_keys_by_id, site.keys())
    return [reader.stored(first + at) for at in range(count)]


class Backup:
    """`affidavit backup` of a log that has grown since the copy was made."""

    def __init__(self, base: Path) -> None:
        self.template = base / "backup"
        log = made(self.template / "log", RECORDS)
        assert 0 == run(["backup", str(self.template / "copy"), "--data", str(log), "--json"])
        ledger = Site(log).open_ledger()
        append(ledger, RECORDS)
        ledger.close("grown")
        self.before = known(log)

    def command(self, root: Path) -> list[str]:
        return ["backup", str(root / "copy"), "--secrets", "--json", "--data", str(root / "log")]

    def broken_off(self, root: Path, result: Result) -> list[str]:
        del result
        left = [f"the copy, broken off: {one}" for one in accused(root / "copy", self.before)]
        return left + wrong_with(root / "log", self.before)

    def finished(self, root: Path) -> list[str]:
        return [f"the copy: {one}" for one in unproven(root / "copy", self.before)]


Work = Rotate | Recover | Backup | Erase
WORKS: Mapping[str, Callable[[Path], Work]] = {"rotate": Rotate, "recover": Recover, "backup": Backup, "erase": Erase}


# Lives


@dataclass
class Life:
    """How a command ended, and what strace saw."""

    status: int
    trace: list[str]
    said: str


def lead(arguments: list[str], folder: Path, calls: str, inject: str | None) -> Life:
    """One command in a forked child, under strace from before it begins."""
    trace, said = folder / "trace", folder / "said"
    go, told = os.pipe()
    pid = os.fork()
    if not pid:
        _be(arguments, go, said)
    os.close(go)
    try:
        strace = _attach(pid, trace, calls, inject)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    finally:
        if not sys.exc_info()[0]:
            os.write(told, b"!")
        os.close(told)
    end = time.monotonic() + LIFE_S
    while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0:
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)
    strace.wait()
    text = said.read_text("utf-8", "replace") if said.exists() else ""
    return Life(os.waitstatus_to_exitcode(ended[1]), whole_lines(trace.read_text("utf-8", "replace")), text)


def _be(arguments: list[str], go: int, said: Path) -> None:
    """The child: wait until strace is there, run the command, end."""
    status = DEFECT
    try:
        output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number in (1, 2):
            os.dup2(output, number)
        os.read(go, 1)
        status = run(arguments)
        sys.stdout.flush()
    except BaseException as error:
        os.write(2, repr(error).encode())
    finally:
        os._exit(status)


def again(arguments: list[str], folder: Path) -> tuple[int, str]:
    """The command once more, in a child of its own, without any fault."""
    said = folder / "said"
    go, told = os.pipe()
    os.write(told, b"!")
    os.close(told)
    pid = os.fork()
    if not pid:
        _be(arguments, go, said)
    os.close(go)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.read_text("utf-8", "replace")


class Campaign:
    """All works on their prepared logs."""

    def __init__(self, base: Path, result: Result, names: Collection[str] = tuple(WORKS)) -> None:
        self._base = base
        self._result = result
        self._works = {name: WORKS[name](base / name) for name in names}
        self._numbers = itertools.count()

    def counts(self, name: str) -> Counter[str]:
        """How often the work makes each call in one thread at most, in a life without faults."""
        with self._fresh(name) as (work, root, folder):
            life = lead(work.command(root), folder, ",".join(f"?{call}" for call in WRITING), None)
            assert 0 == life.status, life.said
            wrong = work.finished(root)
            assert not wrong, wrong
        seen = Counter(match.groups() for line in life.trace if (match := re.match(r"(\d+) +(\w+)\(", line)))
        most: Counter[str] = Counter()
        for (_, call), count in seen.items():
            most[call] = max(most[call], count) if call in WRITING else 0
        return +most

    def moments(self, chance: random.Random) -> Iterator[tuple[str, str, str, int]]:
        """Every call of every work with each verb, in an order by chance."""
        every = [
            (name, call, verb, when)
            for name in self._works
            for call, count in sorted(self.counts(name).items())
            for when in range(1, count + 1)
            for verb in VERBS
        ]
        chance.shuffle(every)
        return iter(every)

    def one(self, name: str, call: str, verb: str, when: int) -> None:
        """One life that breaks off, what is left of it, and the same command again."""
        with self._fresh(name) as (work, root, folder):
            life = lead(work.command(root), folder, call, f"{call}:{verb}:when={when}")
            injected = [line for line in life.trace if "(INJECTED)" in line]
            elsewhere = bool(injected) and not any(str(root) in line for line in injected)
            if elsewhere:  # its own output, or a folder in /tmp
                self._result.elsewhere += 1
            elif injected or life.status == -signal.SIGKILL:
                self._result.injected[f"{name} {verb.partition('=')[2]}"] += 1
            else:
                self._result.missed += 1
            wrong = [] if life.status in (0, 1, 2, 3, DEFECT, -signal.SIGKILL) else [f"status {life.status}"]
            if life.status == DEFECT:
                wrong.append(f"an error that is none of the product's: {life.said[-800:]}")
            wrong += work.broken_off(root, self._result)
            status, said = again(work.command(root), folder)
            wrong += (
                [] if status in getattr(work, "statuses", (0,)) else [f"run again it ends with {status}: {said[-500:]}"]
            )
            wrong += work.finished(root)
            self._result.violations += [f"{name} {call}:{verb}:when={when}: {one}" for one in wrong]

    def _fresh(self, name: str) -> _Fresh:
        return _Fresh(self._works[name], self._base / f"life-{next(self._numbers)}")


class _Fresh:
    """A copy of a work's log for one life."""

    def __init__(self, work: Work, folder: Path) -> None:
        self._work = work
        self._folder = folder

    def __enter__(self) -> tuple[Work, Path, Path]:
        self._folder.mkdir()
        shutil.copytree(self._work.template, self._folder / "root")
        return self._work, self._folder / "root", self._folder

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder)


def campaign(seed: int, seconds: float) -> Result:
    """Moments by `seed` for `seconds`, or all of them."""
    result = Result(seed)
    with tempfile.TemporaryDirectory() as folder:
        lives = Campaign(Path(folder).resolve(), result)
        moments = lives.moments(random.Random(seed))
        end = time.monotonic() + seconds
        for number, moment in enumerate(moments):
            if number >= LIVES_MIN and time.monotonic() > end:
                break
            lives.one(*moment)
    return result


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--seconds", type=float, default=0, help="how long; 0 for every call of every command")
    chosen = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    try:
        result = campaign(chosen.seed, chosen.seconds or float("inf"))
    except Unsupported as error:
        print(f"maintenance: nothing was done: {error}")
        return NO_STRACE
    for one in result.violations:
        print(f"violation: {one}")
    print(f"broken off, it refused with {dict(sorted(result.refused.items())) or 'nothing'}")
    print(result.last_line())
    return 1 if result.violations or not sum(result.injected.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
