"""Checkpoints: one spelling, strict reading, and whose they are."""

from __future__ import annotations

import base64

import pytest

from affidavit.errors import InvalidInput, VerificationError
from affidavit.tlog.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from affidavit.tlog.hashing import EMPTY_ROOT
from affidavit.tlog.keys import SignerKey
from affidavit.tlog.notes import sign_note

KEY = SignerKey("log.example/a", b"\1" * 32)
ROOT = base64.b64encode(b"\7" * 32).decode()


def test_a_checkpoint_is_written_and_read() -> None:
    checkpoint = Checkpoint("log.example/a", 70_000, b"\7" * 32)
    assert f"log.example/a\n70000\n{ROOT}\n" == checkpoint.format()
    assert checkpoint == Checkpoint.parse(checkpoint.format())
    assert checkpoint == open_checkpoint(sign_checkpoint(checkpoint, KEY), KEY.verifier, "log.example/a")
    empty = Checkpoint("log.example/a", 0, EMPTY_ROOT)
    assert empty == Checkpoint.parse(empty.format())


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"o\n1\n{ROOT}",
        f"o\n1\n{ROOT}\nextension\n",
        f"o\n1\n{ROOT}\n\n",
        f"\n1\n{ROOT}\n",
        f"o\n01\n{ROOT}\n",
        f"o\n+1\n{ROOT}\n",
        f"o\n-1\n{ROOT}\n",
        f"o\n 1\n{ROOT}\n",
        f"o\n1_0\n{ROOT}\n",
        f"o\n١\n{ROOT}\n",
        f"o\n\n{ROOT}\n",
        f"o\n{2**63}\n{ROOT}\n",
        f"o\n{'9' * 5000}\n{ROOT}\n",
        f"o\n1\n{ROOT[:-1]}\n",
        f"o\n1\n{ROOT} \n",
        f"o\n1\n{ROOT[:-2]}d=\n",  # the bits after the last byte are not zero
        f"o\n1\n{base64.b64encode(b'short').decode()}\n",
        "o\n1\né\n",
        f"{'o' * 5000}\n1\n{ROOT}\n",
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(VerificationError) as refused:
        Checkpoint.parse(text)
    assert "checkpoint.malformed" == refused.value.code


def test_an_empty_tree_has_one_root() -> None:
    with pytest.raises(VerificationError) as refused:
        Checkpoint.parse(f"o\n0\n{ROOT}\n")
    assert "checkpoint.empty_tree" == refused.value.code


def test_a_checkpoint_of_another_log_or_key_is_refused() -> None:
    data = sign_checkpoint(Checkpoint("log.example/a", 1, b"\7" * 32), KEY)
    with pytest.raises(VerificationError) as refused:
        open_checkpoint(data, KEY.verifier, "log.example/b")
    assert "checkpoint.origin" == refused.value.code
    other = SignerKey("log.example/a", b"\2" * 32)
    with pytest.raises(VerificationError) as refused:
        open_checkpoint(data, other.verifier, "log.example/a")
    assert "note.unknown" == refused.value.code


def test_a_signed_note_that_is_no_checkpoint_is_refused() -> None:
    with pytest.raises(VerificationError) as refused:
        open_checkpoint(sign_note("hello\n", KEY), KEY.verifier, "hello")
    assert "checkpoint.malformed" == refused.value.code


def test_a_checkpoint_that_cannot_be_is_not_built() -> None:
    for origin, size, root in [
        ("", 1, ROOT),
        ("two\nlines", 1, b"\7" * 32),
        ("o", -1, b"\7" * 32),
        ("o", 0, b"\7" * 32),
    ]:
        with pytest.raises(InvalidInput):
            Checkpoint(origin, size, root)  # type: ignore[arg-type]
