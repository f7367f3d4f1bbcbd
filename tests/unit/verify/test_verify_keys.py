"""Keys in verify: a chain from the key that was given, each size under the key in force, and what thieves cannot do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from ledgercase import BOOT, ORIGIN, Case
from simdisk import SimDisk

from affidavit.archive.open import open_archive
from affidavit.durable import OsDisk
from affidavit.ledger.keys import Secrets
from affidavit.ledger.layout import Layout
from affidavit.ledger.rotate import FileSuccessor
from affidavit.record.draft import Batch
from affidavit.tlog.checkpoint import Checkpoint, sign_checkpoint
from affidavit.tlog.keys import ED25519, ML_DSA_44, SignerKey, VerifierKey
from affidavit.tlog.notes import open_note, sign_note
from affidavit.tlog.rotation import Rotation, encode_sizes, rotation_path
from affidavit.verify.verdict import Verdict
from affidavit.verify.verify import verify

THIEF = SignerKey(ORIGIN, b"\x66" * 32)


@dataclass
class World:
    """A log with three times: an Ed25519 key, then ML-DSA-44 beside a new one, then another alone."""

    root: Path
    secrets: list[Secrets]
    sizes: list[int]
    kept: list[bytes]

    def verdict(self, *keys: VerifierKey, kept: tuple[bytes, ...] = (), only: str = "structure") -> Verdict:
        opening = self.secrets[0].body_keys_by_id if only == "all" else {}
        pinned = keys or (self.secrets[0].verifier,)
        return verify(open_archive(str(self.root)), pinned, opening, kept, only=only)  # type: ignore[arg-type]

    def found(self, *keys: VerifierKey, kept: tuple[bytes, ...] = (), only: str = "structure") -> set[str]:
        verdict = self.verdict(*keys, kept=kept, only=only)
        return {finding.code for check in verdict.checks for finding in check.findings}

    @property
    def checkpoint(self) -> Checkpoint:
        note = (self.root / "log" / "checkpoint").read_bytes()
        return Checkpoint.parse(open_note(note, self.secrets[-1].verifiers).text)

    def write(self, path: str, data: bytes) -> None:
        (self.root / "log" / path).write_bytes(data)

    def read(self, path: str) -> bytes:
        return (self.root / "log" / path).read_bytes()


def built(root: Path) -> World:
    disk = OsDisk()
    case = Case(SimDisk(), root)
    case.disk = disk
    world = World(root, [case.create()], [], [])
    ledger = case.recover()

    def grow(count: int) -> None:
        ledger.append(Batch(case.stream(), BOOT, 0, tuple(case.context() for _ in range(count))))
        ledger.publish_now()
        world.kept.append((root / "log" / "checkpoint").read_bytes())

    grow(20)
    for types in ((ED25519, ML_DSA_44), (ED25519,)):
        new = FileSuccessor.make(disk, Layout(root), ORIGIN, types, case.random.randbytes)
        world.sizes.append(ledger.rotate(new, "time to", {}, {}))
        world.secrets.append(Secrets.load(disk, root / "secrets"))
        grow(300)
    ledger.close("")
    return world


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    return built(tmp_path_factory.mktemp("keys") / "log")


@pytest.fixture
def world(made: World, tmp_path: Path) -> World:
    shutil.copytree(made.root, tmp_path / "log")
    return World(tmp_path / "log", made.secrets, made.sizes, made.kept)


def status(verdict: Verdict, number: int) -> tuple[str, str]:
    check = next(check for check in verdict.checks if check.number == number)
    return check.status, check.detail


def test_a_key_pinned_years_ago_leads_to_the_key_of_today(made: World) -> None:
    verdict = made.verdict()
    assert (True, 0) == (verdict.holds, verdict.exit_status)
    assert ("passed", "4 looked at") == (status(verdict, 20)[0], status(verdict, 20)[1].split(";")[0])
    assert [made.secrets[2].verifier.key_id.hex()] == [line.key_id for line in verdict.scope.signed_by]


def test_bodies_of_log_key_records_hold_the_public_note(made: World) -> None:
    assert ("passed", "4 looked at") == status(made.verdict(only="all"), 20)


def test_with_the_newest_key_alone_what_was_before_is_not_judged_and_that_is_said(made: World) -> None:
    newest = made.secrets[2].verifier
    verdict = made.verdict(newest)
    assert (True, 0) == (verdict.holds, verdict.exit_status)
    assert f"of up to {made.sizes[1]} records is not judged" in status(verdict, 20)[1]
    assert "is not judged" in status(made.verdict(newest, only="all"), 7)[1]
    old = made.verdict(newest, kept=(made.kept[0],))
    assert ("not_checked", 3) == (status(old, 5)[0], old.exit_status)


def test_checkpoints_kept_under_earlier_keys_follow_from_the_pinned_one(made: World) -> None:
    verdict = made.verdict(kept=tuple(made.kept))
    assert ["consistent"] * 3 == [kept.result for kept in verdict.scope.kept]
    middle = made.verdict(made.secrets[1].verifier, kept=tuple(made.kept[1:]))
    assert ["consistent"] * 2 == [kept.result for kept in middle.scope.kept]


def test_a_key_of_another_log_or_time_is_refused(made: World) -> None:
    assert {"note.unknown"} <= made.found(SignerKey("log.example/other", b"\1" * 32).verifier)
    assert "rotation.signature" in made.found(made.secrets[0].verifier, THIEF.verifier)


def test_what_lies_beside_the_log_accuses_and_proves_nothing(world: World) -> None:
    verdict = world.verdict()
    assert "not_applicable" == status(verdict, 5)[0]
    assert "lie beside the log agree with it" in status(verdict, 5)[1]
    forged = Checkpoint(ORIGIN, 15, b"\7" * 32)
    (world.root / "checkpoints" / f"{15:020d}").write_bytes(sign_checkpoint(forged, *world.secrets[0].signers))
    assert {"kept.forked"} == world.found()
    (world.root / "checkpoints" / f"{15:020d}").write_bytes(
        sign_checkpoint(world.checkpoint, *world.secrets[2].signers)
    )
    assert {"kept.name"} == world.found()


# -- thieves -------------------------------------------------------------------------------------------------------


def test_the_thief_of_an_old_key_cannot_sign_what_comes_after_it(world: World) -> None:
    for at in (0, 1):
        world.write("checkpoint", sign_checkpoint(world.checkpoint, *world.secrets[at].signers))
        assert {"key.not_in_force"} == world.found()
        world.write("checkpoint", sign_checkpoint(Checkpoint(ORIGIN, 10_000, b"\1" * 32), *world.secrets[at].signers))
        assert {"key.not_in_force"} == world.found()
        world.write("checkpoint", world.kept[-1])


def test_the_thief_of_an_old_key_cannot_rotate_to_a_key_of_their_own(world: World) -> None:
    """Whether as another link at the end, or in place of the first."""
    size = world.checkpoint.size
    link = Rotation(world.checkpoint, (THIEF.verifier,)).format()
    world.write(rotation_path(size), sign_note(link, *world.secrets[0].signers, THIEF))
    world.write("key/sizes", encode_sizes([*world.sizes, size]))
    assert {"rotation.signature"} == world.found()
    world.write("key/sizes", encode_sizes(world.sizes))
    first = Rotation.parse(open_note(world.read(rotation_path(world.sizes[0])), world.secrets[0].verifiers).text)
    forged = sign_note(Rotation(first.last, (THIEF.verifier,)).format(), *world.secrets[0].signers, THIEF)
    world.write(rotation_path(world.sizes[0]), forged)
    assert {"rotation.signature", "note.unknown"} & world.found()
    assert not world.verdict().holds


def test_the_thief_of_the_new_key_cannot_rewrite_what_was_signed_before_it(world: World) -> None:
    note = sign_checkpoint(Checkpoint(ORIGIN, 10, b"\7" * 32), *world.secrets[2].signers)
    assert {"key.not_in_force"} == world.found(kept=(note,))
    world.write("checkpoint", note)
    assert "key.not_in_force" in world.found()


def test_the_thief_of_one_key_of_two_cannot_sign(world: World) -> None:
    size = world.sizes[1]
    middle = world.secrets[1]
    last = Rotation.parse(open_note(world.read(rotation_path(size)), middle.verifiers).text).last
    for signer in middle.signers:
        assert {"key.line_missing"} == world.found(kept=(sign_checkpoint(last, signer),))
    assert set() == world.found(kept=(sign_checkpoint(last, *middle.signers),))


def test_a_thief_who_hides_the_rotation_is_found_by_whoever_knows_the_later_key(world: World) -> None:
    """The limit: who knows the first key alone, and nothing that was signed later, is shown a log that ends there."""
    shutil.rmtree(world.root / "log" / "key")
    shutil.rmtree(world.root / "checkpoints")
    assert "note.unknown" in world.found()
    assert {"note.unknown"} <= world.found(kept=(world.kept[-1],))


# -- what lies there -----------------------------------------------------------------------------------------------

ALTERATIONS: dict[str, tuple[Callable[[World], None], set[str]]] = {
    "a note is gone": (
        lambda w: (w.root / "log" / rotation_path(w.sizes[1])).unlink(),
        {"rotation.absent"},
    ),
    "a note is altered": (
        lambda w: w.write(rotation_path(w.sizes[0]), w.read(rotation_path(w.sizes[0])).replace(b"v1", b"v2", 1)),
        {"rotation.malformed"},
    ),
    "a note speaks of another size": (
        lambda w: w.write(rotation_path(w.sizes[0]), w.read(rotation_path(w.sizes[1]))),
        {"rotation.size"},
    ),
    "the list is gone": (lambda w: (w.root / "log" / "key" / "sizes").unlink(), {"note.unknown"}),
    "the list is cut": (lambda w: w.write("key/sizes", encode_sizes(w.sizes[:1])), {"note.unknown"}),
    "the list is rubbish": (lambda w: w.write("key/sizes", b"rubbish"), {"rotation.sizes"}),
    "the list is longer": (lambda w: w.write("key/sizes", encode_sizes([*w.sizes, 999])), {"rotation.absent"}),
    "a stray note": (lambda w: w.write("key/" + "9" * 20, b"x"), {"files.stray"}),
}


@pytest.mark.parametrize("how", ALTERATIONS)
def test_an_alteration_is_found(world: World, how: str) -> None:
    alter, codes = ALTERATIONS[how]
    alter(world)
    verdict = world.verdict()
    assert not verdict.holds
    found = {finding.code for check in verdict.checks for finding in check.findings}
    assert codes <= found, found


def resigned(world: World, size: int, root: bytes) -> None:
    """The owner of both keys writes a note that the log does not bear out."""
    text = Rotation(Checkpoint(ORIGIN, size, root), world.secrets[1].verifiers).format()
    world.write(rotation_path(size), sign_note(text, *world.secrets[0].signers, *world.secrets[1].signers))
    world.write("key/sizes", encode_sizes([size, world.sizes[1]]))


def test_a_rotation_with_another_root_is_found(world: World) -> None:
    resigned(world, world.sizes[0], b"\7" * 32)
    assert {"key.forked"} == world.found()
    assert {"key.forked", "key.other_note"} <= world.found(only="all")


def test_a_rotation_without_its_record_is_found(world: World) -> None:
    (world.root / "log" / rotation_path(world.sizes[0])).unlink()
    resigned(world, world.sizes[0] - 3, b"\7" * 32)
    shutil.rmtree(world.root / "checkpoints")
    assert {"key.no_record", "key.no_note", "key.forked"} == world.found()


def test_the_key_given_to_verify_may_be_the_one_of_quantum_computers(made: World) -> None:
    quantum = made.secrets[1].verifiers[1]
    assert made.verdict(quantum).holds
