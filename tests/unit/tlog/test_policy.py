"""Policies: what a file says, whether enough have cosigned, and each refusal by its line."""

from __future__ import annotations

import pytest

from affidavit.errors import InvalidInput
from affidavit.tlog.keys import COSIGNATURE_ED25519, SignatureLine, SignerKey, VerifierKey
from affidavit.tlog.policy import Group, Policy

LOG = SignerKey("log.example/a", b"\1" * 32).verifier


def witness(number: int, name: str = "") -> VerifierKey:
    public = SignerKey("x", bytes([100 + number]) * 32).verifier.public_key
    return VerifierKey(name or f"w.example/{number}", COSIGNATURE_ED25519, public)


def line(key: VerifierKey) -> SignatureLine:
    return SignatureLine(key.name, key.key_id, b"verified elsewhere", 1_700_000_000)


KEYS = [witness(number) for number in range(6)]
EXAMPLE = "\n".join(
    [
        "# two organisations",
        f"log {LOG.to_text()} https://log.example/a",
        "",
        *[f"witness X{number}\t{KEYS[number].to_text()}" for number in (0, 1, 2)],
        " \t group X-witnesses 2 X0 X1 X2 ",
        *[f"witness Y{number} {KEYS[number].to_text()} http://127.0.0.1:80{number}" for number in (3, 4, 5)],
        "group Y-witnesses any Y3 Y4 Y5",
        "group X-and-Y all X-witnesses Y-witnesses",
        "quorum X-and-Y",
        "",
    ]
)


def test_the_example_of_the_specification() -> None:
    policy = Policy.parse(EXAMPLE.encode())
    assert (LOG,) == policy.log_keys("log.example/a")
    assert () == policy.log_keys("log.example/b")
    assert [LOG, *KEYS] == list(policy.keys)
    assert ["", "", "", "http://127.0.0.1:803"] == [one.url for one in policy.witnesses][:4]
    assert Group("X-witnesses", 2, ("X0", "X1", "X2")) == policy.groups[0]
    assert (1, 2) == tuple(group.needed for group in policy.groups[1:])


@pytest.mark.parametrize(
    ("signers", "met"),
    [
        ((0, 1, 3), True),
        ((0, 1, 2, 3, 4, 5), True),
        ((0, 2, 5), True),
        ((0, 1), False),
        ((0, 3), False),
        ((3, 4, 5), False),
        ((), False),
    ],
)
def test_a_quorum_of_groups(signers: tuple[int, ...], met: bool) -> None:
    quorum = Policy.parse(EXAMPLE.encode()).judge([line(KEYS[number]) for number in signers])
    assert met == quorum.met
    assert tuple(f"{'X' if number < 3 else 'Y'}{number}" for number in signers) == quorum.cosigned


def test_why_it_is_not_met_names_who_is_lacking() -> None:
    quorum = Policy.parse(EXAMPLE.encode()).judge([line(KEYS[0]), line(KEYS[4])])
    assert (
        "X-and-Y has 1 of the 2 that it needs (without X-witnesses); "
        "X-witnesses has 1 of the 2 that it needs (without X1, X2); "
        "Y-witnesses has 1 of the 1 that it needs (without Y3, Y5)." == quorum.why
    )


def test_the_same_key_under_another_name_does_not_count() -> None:
    policy = Policy.parse(EXAMPLE.encode())
    assert () == policy.judge([line(witness(0, "other.example/w"))]).cosigned
    assert ("X0",) == policy.judge([line(KEYS[0]), line(KEYS[0])]).cosigned


def test_a_quorum_of_one_and_of_none() -> None:
    one = Policy.parse(f"witness W {KEYS[0].to_text()}\nquorum W\n".encode())
    assert (False, "W did not cosign.") == (one.judge([]).met, one.judge([]).why)
    assert one.judge([line(KEYS[0])]).met
    none = Policy.parse(b"quorum none\n")
    assert (True, ()) == (none.judge([]).met, none.judge([]).cosigned)


def test_two_keys_of_one_log() -> None:
    """As while a key is rotated."""
    new = SignerKey("log.example/a", b"\2" * 32).verifier
    policy = Policy.parse(f"log {LOG.to_text()}\nlog {new.to_text()}\nquorum none\n".encode())
    assert (LOG, new) == policy.log_keys("log.example/a")


def test_octets_that_are_not_ascii_are_opaque() -> None:
    kelvin = f"# \xff\nwitness \xe2\x84\xaa {KEYS[0].to_text()}\n".encode("latin-1")
    assert Policy.parse(kelvin + "quorum \xe2\x84\xaa\n".encode("latin-1")).quorum == "\u212a"
    with pytest.raises(InvalidInput, match=r"Line 3 .* not defined"):
        Policy.parse(kelvin + b"quorum K\n")


W0, W1 = (f"witness W{number} {KEYS[number].to_text()}" for number in (0, 1))


@pytest.mark.parametrize(
    ("text", "number", "why"),
    [
        ("logs x\nquorum none\n", 1, "'logs' is no keyword"),
        ("LOG x\nquorum none\n", 1, "'LOG' is no keyword"),
        ("log\n", 1, "not of the form `log <vkey> [url]`"),
        (f"log {LOG.to_text()} u more\n", 1, "not of the form"),
        (f"log {KEYS[0].to_text()}\n", 1, "a log's key is no key of type 0x04"),
        (f"log {LOG.to_text()}\nlog {LOG.to_text()}\n", 2, "that of line 1"),
        ("log nothing\n", 1, "the form name"),
        (f"log {LOG.to_text()[:-4]}AAA=\n", 1, "does not belong to it"),
        (f"witness W {LOG.to_text()}\n", 1, "of a type for cosignatures"),
        ("witness W\n", 1, "not of the form"),
        (f"witness none {KEYS[0].to_text()}\n", 1, "cannot be a name"),
        (f"{W0}\nwitness W0 {KEYS[1].to_text()}\n", 2, "defined already"),
        (f"{W0}\nwitness W1 {witness(0, 'other.example/x').to_text()}\n", 2, "that of line 1"),
        (f"{W0}\ngroup W0 all W0\n", 2, "defined already"),
        (f"{W0}\ngroup g all\n", 2, "not of the form"),
        (f"{W0}\ngroup g all W1\n{W1}\n", 2, "W1 is not defined above"),
        (f"{W0}\ngroup g all g\n", 2, "g is not defined above"),
        (f"{W0}\ngroup g any none\n", 2, "none is not defined above"),
        (f"{W0}\ngroup g 2 W0\n", 2, "'2' of 1 members"),
        (f"{W0}\ngroup g 0 W0\n", 2, "'0' of 1 members"),
        (f"{W0}\ngroup g 01 W0\n", 2, "'01' of 1 members"),
        (f"{W0}\ngroup g most W0\n", 2, "'most' of 1 members"),
        (f"{W0}\ngroup g any W0 W0\n", 2, "W0 is a member of g already"),
        (f"{W0}\n{W1}\ngroup g any W0\ngroup h any W0 W1\n", 4, "W0 is a member of g already"),
        (f"{W0}\nquorum W1\n", 2, "W1 is not defined above"),
        (f"{W0}\nquorum W0 W0\n", 2, "not of the form"),
        (f"{W0}\nquorum W0\nquorum none\n", 3, "a quorum line already"),
        (f"{W0}\r\nquorum W0\r\n", 1, "a control character"),
        ("quorum none\x00\n", 1, "a control character"),
        (f"{W0}\nquorum W0", 2, "the last line does not end"),
    ],
)
def test_a_line_that_is_refused_is_named(text: str, number: int, why: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Policy.parse(text.encode())
    assert "policy.line" == refused.value.code
    assert refused.value.message.startswith(f"Line {number} of the policy: ")
    assert why in refused.value.message
    assert refused.value.hint


def test_a_policy_without_a_quorum_is_none() -> None:
    for text in ("", "# nothing\n", f"{W0}\n"):
        with pytest.raises(InvalidInput) as refused:
            Policy.parse(text.encode())
        assert "policy.quorum" == refused.value.code


def test_a_policy_is_bounded() -> None:
    with pytest.raises(InvalidInput, match="at most"):
        Policy.parse(b"#" * 300_000)
    many = "".join(f"witness W{number} {witness(number).to_text()}\n" for number in range(65))
    with pytest.raises(InvalidInput, match=r"Line 65 .* more than 64"):
        Policy.parse(f"{many}quorum none\n".encode())
