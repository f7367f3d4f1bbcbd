"""Faults in a real process: a child keeps a log, strace fails one of its system calls or kills it there, then recovery.

    python tests/faults/injection.py [--seed N] [--seconds N | --all]

The child opens the log and appends with limits so small that it rotates, publishes, takes snapshots and prunes within a
second, and starts the process that builds for a busy log. strace is attached before it opens the log, and to that process
from its first call on. It speaks by `writev`, so that every `write` is one to the disk.
`+ NAME` stands before a record is handed over, `= INDEX NAME` once it was acknowledged. The last line says what was done;
the status is 1 for a violation or a run that injected nothing, and 3 where strace cannot do its work here.

A seed chooses calls, verbs and moments; which of two threads comes first is the machine's affair, so that a seed goes
through the same plan, not to the same byte.
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
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ledgercase import ACTOR, ADMINISTRATOR, ORIGIN

from affidavit.archive.open import open_archive
from affidavit.clock import SystemClock, boot_id, kernel_clock_status
from affidavit.durable import OsDisk
from affidavit.errors import AffidavitError
from affidavit.ledger.genesis import create_log
from affidavit.ledger.keys import Secrets
from affidavit.ledger.ledger import Ledger
from affidavit.record.body import encode_body
from affidavit.record.draft import Answer, Batch, Draft
from affidavit.record.ids import uuid7
from affidavit.verify.verify import verify

#: What a log's process asks of the disk, where the machine offers it by that name.
WRITING = (
    "write", "pwrite64", "fdatasync", "fsync", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir",
    "mkdir", "mkdirat", "openat", "ftruncate",
)  # fmt: skip
READING = ("read", "pread64", "getdents64", "newfstatat", "fstat", "flock", "fadvise64")
CALLS = WRITING + READING
#: Which verbs are asked of a call: a full disk is no answer to a read or a removal.
FULL = ("write", "pwrite64", "fdatasync", "fsync", "rename", "renameat2", "mkdir", "mkdirat", "openat")
LIMITS = {
    "SEGMENT_BYTES": 24_000,
    "PREALLOCATE_BYTES": 4_096,
    "SEGMENTS_KEPT": 1,
    "SNAPSHOT_RECORDS": 100,
    "PUBLISH_INTERVAL_S": 0.05,
    "BUILD_APART_RECORDS": 60,
}
#: What a life must meet for its faults to mean anything, by what strace sees of it.
MARKS = {
    "rotation": r'rename.*/journal/\d{20}\.segment"',
    "publication": r'rename.*/log/checkpoint"',
    "a snapshot": r'rename.*/standing"',
    "pruning": r'unlink.*/journal/\d{20}\.segment"',
}
STREAMS = 4
RECORDS = 200  # of each stream
LIVES_MAX = 8  # of one log
MISSED_MAX = 8  # moments, before a run that is over may end without a fault: a slow machine leads one life in its time
CHILD_S = 30.0
NO_STRACE = 3
_READY = b"ready\n"
_ERROR = re.compile(r"= -1 (\w+) .*\(INJECTED\)$")


class Unsupported(Exception):
    """strace is missing, or may not look at a process here."""


@dataclass
class Result:
    """What a campaign did."""

    seed: int
    injected: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    elsewhere: int = 0
    stopped: int = 0
    went_on: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    recoveries: int = 0
    violations: list[str] = field(default_factory=list)

    def last_line(self) -> str:
        by = ", ".join(f"{name} {count}" for name, count in sorted(self.injected.items())) or "none"
        return (
            f"faults: seed {self.seed}, {sum(self.injected.values())} injections ({by}), "
            f"{self.acknowledged} records acknowledged, {self.recoveries} recoveries, {len(self.violations)} violations"
        )


# The child


def _open(root: Path) -> Ledger:
    disk = OsDisk()
    secrets = Secrets.load(disk, root / "secrets")
    return Ledger.open(root, disk, SystemClock(), secrets, ORIGIN, boot_id(), os.urandom, kernel_clock_status)


def _say(line: str) -> None:
    os.writev(1, [line.encode()])  # one below PIPE_BUF: lines of several threads do not mix


def keep_a_log(root: Path) -> None:
    """What the child does: once it is told to, it opens the log, appends, and closes."""
    logging.disable(logging.CRITICAL)
    for module in [module for name, module in sys.modules.items() if name.startswith("affidavit.")]:
        for name, value in LIMITS.items():
            if hasattr(module, name):
                setattr(module, name, value)
    _say("ready\n")
    sys.stdin.readline()
    try:
        ledger = _open(root)
        _append(ledger)
        failure = ledger.failure
        if failure is not None:
            _say(f"failed {failure.code} {failure.message}\n")
        ledger.close("the end")
    except AffidavitError as error:
        _say(f"failed {error.code} {error.message}\n")
    except Exception as error:
        _say(f"defect {error!r}\n")
        raise
    _say("end\n")


def _append(ledger: Ledger) -> None:
    """Records of several streams, each stream one after another, until all have enough or were refused."""
    over = [threading.Event() for _ in range(STREAMS)]
    boot = boot_id()  # it opens a file: not from within an answer, where a fault would be the child's own

    def produce(which: int, stream: str, first: int) -> None:
        at = SystemClock().now_ns()
        body = encode_body({"text": "x" * random.choice((0, 50, 800, random.randrange(20_000)))}, os.urandom(16))
        name = uuid7(at, os.urandom(10))

        def done(answer: Answer) -> None:
            if answer.refusal is not None:
                _say(f"! {answer.refusal.code} {answer.refusal.message}\n")
                over[which].set()
                return
            _say(f"= {answer.receipts[0].index} {name}\n")
            if first + 1 < RECORDS:
                produce(which, stream, first + 1)
            else:
                over[which].set()

        _say(f"+ {name}\n")
        draft = Draft(kind="log.read", id=name, at=at, actor=ACTOR, body=body)
        ledger.submit(Batch(stream, boot, first, (draft,)), done)

    for which in range(STREAMS):
        produce(which, os.urandom(16).hex(), 0)
    for event in over:
        event.wait()


# The campaign


@dataclass
class Life:
    """What a traced child said, how it ended, and what strace saw."""

    said: list[list[str]]
    status: int
    hung: bool
    trace: list[str]
    stderr: str

    def answered(self) -> dict[int, str]:
        return {int(line[1]): line[2] for line in self.said if line[0] == "=" and len(line) == 3}

    def killed(self) -> bool:
        """Whether the child was, or the process that builds for it."""
        return self.status == -signal.SIGKILL or any("+++ killed by SIGKILL +++" in line for line in self.trace)

    def injected(self) -> list[str]:
        return [line for line in self.trace if _ERROR.search(line)]


def _traced(root: Path, calls: str, inject: str | None) -> Life:
    """A child on the log in `root`, under strace from before it opens it until it has ended."""
    with tempfile.TemporaryDirectory() as folder:
        trace, said_why = Path(folder) / "trace", Path(folder) / "stderr"
        with said_why.open("wb") as errors:
            child = subprocess.Popen(
                [sys.executable, __file__, "--child", str(root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"},
            )
        try:
            assert child.stdin is not None and child.stdout is not None
            assert child.stdout.readline() == _READY, said_why.read_text()
            strace = _attach(child.pid, trace, calls, inject)
            late = threading.Event()

            def end() -> None:
                late.set()
                child.kill()

            watch = threading.Timer(CHILD_S, end)
            watch.start()
            with suppress(BrokenPipeError):
                child.stdin.write(b"go\n")
                child.stdin.flush()
            said = child.stdout.read().decode()
            status = child.wait()
            watch.cancel()
            strace.wait()
        finally:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                with suppress(BrokenPipeError):
                    pipe.close()
        lines = [line.split(" ", 2) for line in said.splitlines()]
        return Life(
            lines, status, late.is_set(), whole_lines(trace.read_text("utf-8", "replace")), said_why.read_text()
        )


def whole_lines(trace: str) -> list[str]:
    """What strace wrote, where it broke off a call for another thread's put together again: only so it has its paths."""
    begun: dict[str, str] = {}
    whole = []
    for line in trace.splitlines():
        thread = line.partition(" ")[0]
        if line.endswith("<unfinished ...>"):
            begun[thread] = line.removesuffix("<unfinished ...>")
        elif (rest := re.match(r"\d+ +<\.\.\. \w+ resumed>(.*)", line)) is not None:
            whole.append(begun.pop(thread, "") + rest[1])
        else:
            whole.append(line)
    return whole + list(begun.values())


def _attach(pid: int, trace: Path, calls: str, inject: str | None) -> subprocess.Popen[bytes]:
    found = shutil.which("strace")
    if found is None:
        raise Unsupported("strace is not installed")
    asked = ["-e", f"inject={inject}"] if inject else []
    strace = subprocess.Popen(
        [found, "-f", "-qq", "-y", "-s", "0", "-o", str(trace), "-e", f"trace={calls}", *asked, "-p", str(pid)],
        stderr=subprocess.PIPE,
    )
    assert strace.stderr is not None
    with strace.stderr:
        while f"TracerPid:\t{strace.pid}\n" not in Path(f"/proc/{pid}/status").read_text():
            if strace.poll() is not None:
                raise Unsupported(f"strace cannot trace here: {strace.stderr.read().decode().strip()}")
            time.sleep(0.005)
    return strace


def counts_of(root: Path) -> dict[str, list[int]]:
    """How often each thread of a child makes each call, where it makes it at all: a life in which nothing fails."""
    life = _traced(root, ",".join(f"?{call}" for call in CALLS), None)
    if life.status != 0 or life.said[-1] != ["end"] or any(line[0] in ("!", "failed") for line in life.said):
        raise AssertionError(f"a child failed without a fault: {life.said[-3:]} {life.stderr}")
    missing = [what for what, mark in MARKS.items() if not any(re.search(mark, line) for line in life.trace)]
    if missing:
        raise AssertionError(f"a life without {', '.join(missing)} shows too little")
    seen = Counter(match.groups() for line in life.trace if (match := re.match(r"(\d+) +(\w+)\(", line)))
    counts: dict[str, list[int]] = {}
    for (_, call), count in sorted(seen.items()):
        if call in CALLS:
            counts.setdefault(call, []).append(count)
    return counts


def plan(counts: dict[str, list[int]], chance: random.Random) -> Iterator[tuple[str, str, int]]:
    """Rounds of each call with each of its verbs, at a moment within what one of the threads reaches."""
    while True:
        pairs = [(call, verb) for call in CALLS if call in counts for verb in _verbs(call)]
        chance.shuffle(pairs)
        for call, verb in pairs:
            most = chance.choice(counts[call])
            yield call, verb, chance.randint(1, min(most, chance.choice((8, 60, most))))


def _verbs(call: str) -> tuple[str, ...]:
    return ("error=EIO", "signal=KILL") + (("error=ENOSPC",) if call in FULL else ())


class Log:
    """One log through several lives, and what was acknowledged in them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.acknowledged: dict[int, str] = {}
        self.lives = 0
        self.secrets = create_log(
            root,
            OsDisk(),
            SystemClock(),
            ORIGIN,
            boot_id(),
            os.urandom,
            kernel_clock_status,
            ADMINISTRATOR,
            {"reason": "genesis", "objects": [], "via": {"method": "genesis", "credential": "", "file_access": True}},
            "grant",
            "ab" * 32,
        )

    def lead(self, call: str, verb: str, when: int, result: Result) -> list[str]:
        """One life with one fault, and the recovery after it. Gives what was promised and is not so."""
        self.lives += 1
        life = _traced(self.root, call, f"{call}:{verb}:when={when}")
        kills = verb == "signal=KILL"
        faults = len(life.injected()) or int(kills and life.killed() and not life.hung)
        if faults:
            result.injected[f"{call} {verb.partition('=')[2]}"] += faults
        else:
            result.missed += 1
        answered = life.answered()
        result.acknowledged += len(answered)
        wrong = self._ending(life, kills, result)
        for index, name in answered.items():
            if self.acknowledged.setdefault(index, name) != name:
                wrong.append(f"record {index} was acknowledged as {self.acknowledged[index]} and as {name}")
        seen = [f"{one}; injected: {life.injected()}; it said last: {life.said[-2:]}" for one in wrong]
        return seen + self._recover(result)

    def _ending(self, life: Life, kills: bool, result: Result) -> list[str]:
        wrong = []
        if life.hung:
            wrong.append(f"the child did not end within {CHILD_S} s: {life.said[-3:]}")
        elif life.status not in ((0, -signal.SIGKILL) if kills else (0,)) and self._below(life):
            wrong.append(f"the child ended with {life.status}: {life.stderr[-1500:]}")
        first = next((number for number, line in enumerate(life.said) if line[0] == "!"), len(life.said))
        if any(line[0] == "=" for line in life.said[first:]):
            wrong.append("a record was acknowledged after one was refused")
        wrong += [f"refused otherwise: {line}" for line in life.said if line[0] == "!" and line[1] != "unavailable"]
        if not self._below(life):
            result.elsewhere += len(life.injected())
            return wrong
        wrong += [
            f"an error that is none of the product's: {line}"
            for line in life.said
            if line[0] == "defect" or line[:2] == ["failed", "ledger.defect"]
        ]
        stopped = any(line[0] in ("!", "failed", "defect") for line in life.said)
        result.stopped += stopped
        for line in [] if stopped else self._below(life):
            if self._fatal(line):
                wrong.append("it went on after an error of what it stands on")
            result.went_on[line.split()[1].partition("(")[0]] += 1
        return wrong

    def _below(self, life: Life) -> list[str]:
        """The injected errors that befell something below the log's folder."""
        return [line for line in life.injected() if str(self.root) in line]

    def _fatal(self, line: str) -> bool:
        """True where the ledger may acknowledge nothing more: the journal's frames, and what a checkpoint speaks of."""
        call = line.split()[1].partition("(")[0]
        places = [Path(place).relative_to(self.root).as_posix() for place in self._places(line)]
        if call in ("pwrite64", "fdatasync"):
            return any(place.startswith("journal/") for place in places)
        if call == "fsync":
            folders = [
                place for place in places if place.startswith(("log", "bodies")) and (self.root / place).is_dir()
            ]
            return bool(folders) or any(place.startswith("unfinished/log/") for place in places)
        if call == "openat" and "O_CREAT" not in line:
            return False
        if call in ("write", "openat", "rename", "renameat", "renameat2"):
            return any(place.startswith("unfinished/log/") for place in places)
        return call in ("mkdir", "mkdirat") and any(place.startswith(("log/", "bodies/")) for place in places)

    def _places(self, line: str) -> list[str]:
        return re.findall(rf"{re.escape(str(self.root))}/[^\">,]+", line)

    def _recover(self, result: Result) -> list[str]:
        """Open the log as it lies there, with the ordinary limits, and look for all that was acknowledged."""
        try:
            ledger = _open(self.root)
        except Exception as error:
            return [f"recovery: {error!r}"]
        result.recoveries += 1
        reader = ledger.reader()
        lost = [
            index
            for index, name in sorted(self.acknowledged.items())
            if index >= reader.size or reader.record(index).header.id != name
        ]
        wrong = [f"lost of {len(self.acknowledged)} acknowledged: {lost[:10]}, {len(lost)} in all"] if lost else []
        ledger.close("the end")
        verdict = verify(
            open_archive(str(self.root)), [self.secrets.verifier], self.secrets.body_keys_by_id, only="structure"
        )
        if not verdict.holds:
            wrong.append(f"verify: {[finding for check in verdict.checks for finding in check.findings][:5]}")
        return wrong


def campaign(seed: int, seconds: float, rounds: int | None = None) -> Result:
    """Logs and their lives by `seed`, for `seconds`, or `rounds` times each call with each verb."""
    result, chance = Result(seed), random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder).resolve()
        end = time.monotonic() + seconds
        counts = counts_of(Log(base / "dry").root)
        most = rounds * sum(len(_verbs(call)) for call in counts) if rounds else None
        logs = (Log(base / str(number)) for number in itertools.count())
        log = next(logs)
        for call, verb, when in itertools.islice(plan(counts, chance), most):
            if time.monotonic() > end and (result.injected or result.missed >= MISSED_MAX):
                break
            if log.lives >= LIVES_MAX:
                shutil.rmtree(log.root)
                log = next(logs)
            wrong = log.lead(call, verb, when, result)
            if wrong:
                result.violations += [f"{call}:{verb}:when={when}, life {log.lives} of its log: {one}" for one in wrong]
                log = next(logs)
    return result


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--seconds", type=float, default=0, help="how long; 0 for three rounds")
    parser.add_argument("--all", action="store_true", help="three rounds of each call with each verb")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.child:
        keep_a_log(chosen.child)
        return 0
    logging.disable(logging.CRITICAL)
    bounded = chosen.seconds and not chosen.all
    try:
        result = campaign(chosen.seed, chosen.seconds if bounded else float("inf"), None if bounded else 3)
    except Unsupported as error:
        print(f"faults: nothing was done: {error}")
        return NO_STRACE
    for one in result.violations:
        print(f"violation: {one}")
    print(
        f"{result.stopped} lives ended refusing, {result.missed} moments were not reached, {result.elsewhere} errors befell"
        f" what is not the log's; it went on after {dict(sorted(result.went_on.items())) or 'none'}"
    )
    print(result.last_line())
    return 1 if result.violations or not sum(result.injected.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
