"""The secrets of a log: made once, loaded whole, refused where they do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledgercase import ORIGIN, Case
from simdisk import SimDisk

from affidavit.durable import OsDisk
from affidavit.errors import InvalidInput
from affidavit.ledger.keys import BODY_KEYS, DIGEST_KEY, LOG_KEY, LOG_VKEY, TAG_KEY, Secrets
from affidavit.record.body import BodyKey

FOLDER = Path("/secrets")
ALL = [BODY_KEYS, DIGEST_KEY, LOG_KEY, LOG_VKEY, TAG_KEY]


def made(disk: SimDisk, seed: int = 1) -> Secrets:
    return Secrets.create(disk, FOLDER, ORIGIN, Case(disk, FOLDER, seed).random.randbytes)


def test_keys_are_made_and_loaded() -> None:
    disk = SimDisk()
    secrets = made(disk)
    assert secrets == Secrets.load(disk, FOLDER)
    assert sorted(ALL) == disk.names(FOLDER)
    assert ORIGIN == secrets.origin == secrets.verifier.name
    assert {secrets.body_keys[0].id: secrets.body_keys[0]} == secrets.body_keys_by_id
    assert secrets.tag_key != secrets.digest_key
    assert "seed" not in repr(secrets) and secrets.tag_key.hex() not in repr(secrets)


def test_keys_are_never_overwritten() -> None:
    disk = SimDisk()
    made(disk)
    before = disk.copy(FOLDER / LOG_KEY)
    with pytest.raises(InvalidInput, match="exists"):
        made(disk, seed=2)
    assert before == disk.copy(FOLDER / LOG_KEY)


def test_on_disk_only_the_owner_may_read_them(tmp_path: Path) -> None:
    disk, folder = OsDisk(), tmp_path / "secrets"
    Secrets.create(disk, folder, ORIGIN, Case(SimDisk(), FOLDER).random.randbytes)
    assert {0o600} == {path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert 0o700 == folder.stat().st_mode & 0o777
    (folder / TAG_KEY).chmod(0o604)
    with pytest.raises(InvalidInput, match="chmod 600"):
        Secrets.load(disk, folder)


def test_the_last_body_key_seals_and_all_open() -> None:
    disk = SimDisk()
    old = made(disk).body_keys[0]
    new = BodyKey(bytes(range(32)))
    disk.replace(FOLDER / BODY_KEYS, f"{old.key.hex()}\n{new.key.hex()}\n".encode())
    secrets = Secrets.load(disk, FOLDER)
    assert (old, new) == secrets.body_keys
    assert {old.id: old, new.id: new} == secrets.body_keys_by_id


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("how", [None, b"", b"\xff\xfe", b"abc\n", b"zz" * 32])
def test_a_file_that_is_missing_or_malformed_is_refused(name: str, how: bytes | None) -> None:
    disk = SimDisk()
    made(disk)
    disk.replace(FOLDER / name, how)
    with pytest.raises(InvalidInput):
        Secrets.load(disk, FOLDER)


@pytest.mark.parametrize("name", [LOG_KEY, LOG_VKEY])
def test_a_half_of_another_key_is_refused(name: str) -> None:
    disk, other = SimDisk(), SimDisk()
    made(disk)
    made(other, seed=2)
    disk.replace(FOLDER / name, other.copy(FOLDER / name))
    with pytest.raises(InvalidInput, match="not the public half"):
        Secrets.load(disk, FOLDER)
