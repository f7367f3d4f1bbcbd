"""Time-stamp tokens: of a real authority, of wrong ones, and altered byte by byte."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from tsa import NOW, OPENSSL, YEAR, Made, reply, response_of

from affidavit.errors import InvalidInput, VerificationError
from affidavit.limits import TIMESTAMP_BYTES_MAX
from affidavit.timeproof.interval import Interval
from affidavit.timeproof.token import Authority, ask_for, token_of_response

NS = 1_000_000_000
TEXT = b"log.example/clinic\n3\nq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=\n"
IMPRINT = hashlib.sha256(TEXT).digest()
AT_NS = int(NOW.timestamp()) * NS


@pytest.fixture(scope="module")
def made() -> Made:
    return Made()


@pytest.fixture(scope="module")
def authority(made: Made) -> Authority:
    return Authority.of_pem(made.pem, "the test's authority")


def code(run: Callable[[], object]) -> str:
    with pytest.raises(VerificationError) as caught:
        run()
    return caught.value.code


def why(run: Callable[[], object]) -> str:
    with pytest.raises(VerificationError) as caught:
        run()
    return caught.value.message


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")
def test_a_token_of_openssl_is_believed(made: Made, authority: Authority, tmp_path: Path) -> None:
    asked = ask_for(TEXT)
    before_ns = time.time_ns()
    der = token_of_response(reply(made.write(tmp_path), asked.request))
    after_ns = time.time_ns()
    token = authority.verify(der, IMPRINT, asked.nonce)
    assert ("1.3.6.1.4.1.99999.1", 2, asked.nonce, der) == (token.policy, token.serial, token.nonce, token.der)
    assert (1_500_000_000, "Common Name: Example Time") == (token.accuracy_ns, token.signer)
    assert before_ns // NS * NS <= token.time_ns <= after_ns
    assert Interval(token.time_ns - 1_500_000_000, token.time_ns + 2_500_000_000) == token.made


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")
def test_whatever_is_altered_is_refused_or_says_the_same(made: Made, authority: Authority, tmp_path: Path) -> None:
    asked = ask_for(TEXT)
    der = token_of_response(reply(made.write(tmp_path), asked.request))
    true = authority.verify(der, IMPRINT, asked.nonce)
    codes = Counter[str]()
    for at in range(0, len(der), 3):
        altered = bytearray(der)
        altered[at] ^= 1
        try:
            token = authority.verify(bytes(altered), IMPRINT, asked.nonce)
        except VerificationError as error:
            codes[error.code] += 1
        else:  # it was in what nobody signs, such as the root that the authority sent along
            assert (true.time_ns, true.serial, true.policy) == (token.time_ns, token.serial, token.policy)
            codes["the same"] += 1
    assert {"timestamp.imprint", "timestamp.malformed", "timestamp.authority", "timestamp.signer"} <= codes.keys()
    assert codes["the same"] < len(der) / 3 / 2


def test_what_was_not_asked_for_is_refused(made: Made, authority: Authority) -> None:
    der = made.forge(IMPRINT, NOW, nonce=9)
    assert 9 == authority.verify(der, IMPRINT, 9).nonce
    assert "timestamp.imprint" == code(lambda: authority.verify(der, hashlib.sha256(b"other").digest(), 9))
    assert "timestamp.nonce" == code(lambda: authority.verify(der, IMPRINT, 10))
    assert "timestamp.nonce" == code(lambda: authority.verify(made.forge(IMPRINT, NOW), IMPRINT, 9))
    assert "timestamp.imprint" == code(lambda: authority.verify(made.forge(IMPRINT, NOW, digest="sha512"), IMPRINT))


def test_another_authority_is_refused(made: Made) -> None:
    for name, wanted in (("Example Time", "timestamp.authority"), ("Another Time", "timestamp.unknown")):
        other = Authority.of_pem(Made(name).pem, "another")
        assert wanted == code(lambda other=other: other.verify(made.forge(IMPRINT, NOW), IMPRINT))
    leaf = Authority.of_pem(made.signer.public_bytes(Encoding.PEM), "the signer alone, which is no root")
    assert "timestamp.unknown" == code(lambda: leaf.verify(made.forge(IMPRINT, NOW), IMPRINT))


def test_a_certificate_counts_if_it_was_valid_at_the_tokens_time() -> None:
    past = Made(starts=NOW - 2 * YEAR, ends=NOW - YEAR)
    authority = Authority.of_pem(past.pem, "of the past")
    assert "expired" in why(lambda: authority.verify(past.forge(IMPRINT, NOW), IMPRINT))
    assert "not yet valid" in why(lambda: authority.verify(past.forge(IMPRINT, NOW - 3 * YEAR), IMPRINT))
    then = NOW - 1.5 * YEAR
    assert int(then.timestamp()) * NS == authority.verify(past.forge(IMPRINT, then), IMPRINT).time_ns


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")
def test_an_expired_authority_that_goes_on_is_refused(tmp_path: Path) -> None:
    expired = Made(starts=NOW - 2 * YEAR, ends=NOW - timedelta(days=1))
    asked = ask_for(TEXT)
    der = token_of_response(reply(expired.write(tmp_path), asked.request))
    authority = Authority.of_pem(expired.pem, "expired")
    assert "certificate has expired" in why(lambda: authority.verify(der, IMPRINT, asked.nonce))


@pytest.mark.parametrize(
    "wrong", [Made(critical=False), Made(usage=ExtendedKeyUsageOID.SERVER_AUTH)], ids=["not critical", "a server's"]
)
def test_a_certificate_for_something_else_is_refused(wrong: Made) -> None:
    authority = Authority.of_pem(wrong.pem, "wrong")
    assert "timestamp.authority" == code(lambda: authority.verify(wrong.forge(IMPRINT, NOW), IMPRINT))


def test_the_signers_certificate_is_there_once_and_named_by_its_digest(made: Made, authority: Authority) -> None:
    assert "timestamp.signer" == code(lambda: authority.verify(made.forge(IMPRINT, NOW, named=bytes(32)), IMPRINT))
    twice = made.forge(IMPRINT, NOW, extra=(made.signer.public_bytes(Encoding.DER),))
    assert "timestamp.malformed" == code(lambda: authority.verify(twice, IMPRINT))


def test_accuracy_is_taken_as_stated_and_as_a_second_where_it_is_not(made: Made, authority: Authority) -> None:
    stated = authority.verify(made.forge(IMPRINT, NOW, accuracy={"millis": 5, "micros": 7}), IMPRINT)
    assert 5_007_000 == stated.accuracy_ns
    assert Interval(AT_NS - 5_007_000, AT_NS + NS + 5_007_000) == stated.made
    unstated = authority.verify(made.forge(IMPRINT, NOW), IMPRINT)
    assert (None, Interval(AT_NS - NS, AT_NS + 2 * NS)) == (unstated.accuracy_ns, unstated.made)
    useless = made.forge(IMPRINT, NOW, accuracy={"seconds": 90_000})
    assert "timestamp.accuracy" == code(lambda: authority.verify(useless, IMPRINT))


def test_what_is_no_token_is_refused(made: Made, authority: Authority) -> None:
    der = made.forge(IMPRINT, NOW)
    for wrong in (b"", b"rubbish", der[:-1], der + b"\0", b"\x30\x80", bytes(TIMESTAMP_BYTES_MAX + 1)):
        assert "timestamp.malformed" == code(lambda wrong=wrong: authority.verify(wrong, IMPRINT))
        assert "timestamp.malformed" == code(lambda wrong=wrong: token_of_response(wrong))
    assert der == token_of_response(response_of(der))


def test_a_refusal_is_named() -> None:
    refused = bytes.fromhex("3016" + "3014" + "020102" + "300b" + "0c09" + b"not today".hex() + "03020520")
    assert "timestamp.refused" == code(lambda: token_of_response(refused))
    assert "rejection: not today" in why(lambda: token_of_response(refused))


def test_a_file_without_certificates_is_wrong_input() -> None:
    for wrong in (b"", b"rubbish", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(InvalidInput, match="no certificate"):
            Authority.of_pem(wrong, "file.pem")
