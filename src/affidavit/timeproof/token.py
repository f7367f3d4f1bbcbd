"""RFC 3161 time-stamp tokens: what an authority signed, and whether a trusted certificate stands behind it.

Signature and chain are checked by `rfc3161-client` (OpenSSL). Checked here is what it leaves open: which of the
certificates in a token is the signer's, that the signer names it by its digest (RFC 5816), and what was asked for.
Certificates count if they were valid at the token's own time: a token outlives the certificate that signed it.
Revocation is not looked up: that takes the network, and an answer of today.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any

from asn1crypto import cms, core, tsp
from cryptography import x509
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder, TimeStampResponse, VerifierBuilder
from rfc3161_client import decode_timestamp_response as decode

from affidavit.errors import InvalidInput, VerificationError
from affidavit.limits import TIMESTAMP_BYTES_MAX, TOKEN_ACCURACY_NS_MAX, TOKEN_SECOND_NS
from affidavit.record.moment import NS
from affidavit.timeproof.interval import Interval

_SHA256 = "2.16.840.1.101.3.4.2.1"
_GRANTED = bytes.fromhex("3003020100")  # PKIStatusInfo {status granted}: what a bare token needs to be a response again
_ELSEWHERE = "Ask the authority's operator, or another authority: what it gives proves nothing."
_GIVEN = frozenset({"granted", "granted_with_mods"})
_DIGESTS = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}
#: What OpenSSL says where a chain leads to no trusted certificate, as opposed to one that does not hold.
_UNKNOWN = re.compile(r"self.signed certificate|unable to get (local )?issuer certificate|unable to verify the first")
_WHY = re.compile(r"Verify error:\s*([A-Za-z0-9 ,'()-]+)")


class _Response(core.Sequence):  # type: ignore[misc]  # the package has no types
    """TimeStampResp of RFC 3161 section 2.4.2. A refusal has no token, which the package's own class does not know."""

    _fields = [  # noqa: RUF012  # the package fills it in
        ("status", tsp.PKIStatusInfo),
        ("time_stamp_token", cms.ContentInfo, {"optional": True}),
    ]


@dataclass(frozen=True)
class Asked:
    """A request as it is sent, and the nonce that the answer must carry."""

    request: bytes
    nonce: int


@dataclass(frozen=True)
class Token:
    """A token that was verified. `signer` is the subject of the certificate that signed it; `time_ns` its time, to the
    second below; `accuracy_ns` None where not stated."""

    der: bytes
    signer: str
    time_ns: int
    accuracy_ns: int | None
    policy: str
    serial: int
    nonce: int | None

    @property
    def made(self) -> Interval:
        """When the authority made it: its second, give or take its accuracy, which counts as a second if unstated."""
        accuracy_ns = TOKEN_SECOND_NS if self.accuracy_ns is None else self.accuracy_ns
        return Interval(self.time_ns - accuracy_ns, self.time_ns + TOKEN_SECOND_NS + accuracy_ns)


class Authority:
    """A time-stamp authority as a verifier trusts it: its certificates, at least one of them a self-signed root."""

    def __init__(self, certificates: Sequence[x509.Certificate]) -> None:
        self._verifier = VerifierBuilder(roots=list(certificates)).build()

    @classmethod
    def of_pem(cls, data: bytes, where: str) -> Authority:
        """The authority of a PEM file called `where`. Raises `InvalidInput` where it holds no certificate."""
        try:
            return cls(x509.load_pem_x509_certificates(data))
        except ValueError:
            raise InvalidInput(
                "timestamp.certificates",
                f"{where} holds no certificate that can be read.",
                "Give the authority's root certificate (and intermediate ones) as PEM.",
            ) from None

    def verify(self, der: bytes, imprint: bytes, nonce: int | None = None) -> Token:
        """The token in `der`, which must be over the SHA-256 digest `imprint` and carry `nonce` where one is given.

        Raises `VerificationError` with the reason; its code is `timestamp.unknown` where none of the certificates has
        anything to do with it.
        """
        response, token = _read(der)
        said = response.tst_info.message_imprint
        if said.hash_algorithm.dotted_string != _SHA256 or not hmac.compare_digest(said.message, imprint):
            raise VerificationError("timestamp.imprint", "The token is for other data.", _ELSEWHERE)
        if nonce is not None and token.nonce != nonce:
            raise VerificationError(
                "timestamp.nonce", "The token does not carry the number that was asked with.", _ELSEWHERE
            )
        signer = _signer(der)
        try:
            self._verifier.verify(response, imprint)
        except Exception as error:  # the library has errors of its own, and passes on those of two others
            why = _reason(error)
            if _UNKNOWN.search(why):
                raise VerificationError(
                    "timestamp.unknown",
                    f"No given certificate stands behind the token: {why}.",
                    "Get the root certificate of the authority that answers there, from the authority itself.",
                ) from None
            raise VerificationError(
                "timestamp.authority",
                f"The token is not believed: {why}.",
                "Compare its certificates with those configured; an expired one is for its operator to renew.",
            ) from None
        return replace(token, signer=signer)


def ask_for(text: bytes) -> Asked:
    """The request for a token over `text`, with a fresh nonce, asking for the certificates (RFC 3161 section 2.4.1)."""
    request = TimestampRequestBuilder().data(text).hash_algorithm(HashAlgorithm.SHA256).build()
    if request.nonce is None:
        raise InvalidInput("timestamp.nonce", "The request was made without a nonce.")
    return Asked(request.as_bytes(), request.nonce)


def token_of_response(data: bytes) -> bytes:
    """The token in an authority's answer. Raises `VerificationError` where it holds none, or refuses."""
    if len(data) > TIMESTAMP_BYTES_MAX:
        raise _malformed(f"it is larger than {TIMESTAMP_BYTES_MAX} bytes")
    try:
        response = _Response.load(data, strict=True)
        status = response["status"]["status"].native
        said = "; ".join(response["status"]["status_string"].native or ())
        token = bytes(response["time_stamp_token"].dump())
    except Exception as error:  # whatever a parser meets in bytes of strangers
        raise _malformed(_reason(error)) from None
    if status not in _GIVEN:
        words = f"{str(status).replace('_', ' ')}{f': {said[:200]}' if said else ''}"
        raise VerificationError("timestamp.refused", f"The authority answered {words}.", _ELSEWHERE)
    return token


def _ordered(der: bytes) -> bytes:
    """The token with its certificates in the order of DER, which the library wants and OpenSSL's authorities do not
    keep. No signature covers that order."""
    info = cms.ContentInfo.load(der, strict=True)
    held = [item.dump() for item in info["content"]["certificates"]]
    if held == sorted(held):
        return der
    info["content"]["certificates"] = [cms.CertificateChoices.load(one) for one in sorted(held)]
    return bytes(info.dump())


def _read(der: bytes) -> tuple[TimeStampResponse, Token]:
    """The token as a response again, and what it says. Nothing is verified yet."""
    if len(der) > TIMESTAMP_BYTES_MAX:
        raise _malformed(f"it is larger than {TIMESTAMP_BYTES_MAX} bytes")
    try:
        response = decode(_sequence(_GRANTED + _ordered(der)))
        info = response.tst_info
        at = info.gen_time
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        accuracy_ns = None
        if info.accuracy is not None:
            seconds, millis, micros = info.accuracy.seconds, info.accuracy.millis, info.accuracy.micros
            accuracy_ns = (seconds or 0) * NS + (millis or 0) * 1_000_000 + (micros or 0) * 1_000
        token = Token(
            der=der,
            signer="",
            time_ns=int(at.timestamp()) * NS,
            accuracy_ns=accuracy_ns,
            policy=info.policy.dotted_string,
            serial=info.serial_number,
            nonce=info.nonce,
        )
    except Exception as error:  # whatever a parser meets in bytes of strangers
        raise _malformed(_reason(error)) from None
    if accuracy_ns is not None and accuracy_ns > TOKEN_ACCURACY_NS_MAX:
        raise VerificationError("timestamp.accuracy", "The token is accurate to more than a day: it proves nothing.")
    return response, token


def _signer(der: bytes) -> str:
    """The subject of the one signer, whose certificate is in the token once and is the one that the signed attributes
    name by digest.

    RFC 3161 section 2.4.2 wants the last of it: another certificate for the same key must not take the first one's
    place. Without the rest, two certificates of one issuer and serial number could be mistaken for each other.
    """
    try:
        signed = cms.ContentInfo.load(der, strict=True)["content"]
        (signer,) = signed["signer_infos"]
        name = signer["sid"].chosen
        held = [item.chosen for item in signed["certificates"]]
        (certificate,) = [
            one
            for one in held
            if one.issuer.dump() == name["issuer"].dump() and one.serial_number == name["serial_number"].native
        ]
        digests = [_named(attribute) for attribute in signer["signed_attrs"]]
        named = next(digest for digest in digests if digest is not None)
        good = hmac.compare_digest(_DIGESTS[named[0]](certificate.dump()).digest(), named[1])
        subject = str(certificate.subject.human_friendly)
    except Exception:  # whatever a parser meets in bytes of strangers
        raise _malformed("it does not hold its one signer's certificate, named by digest") from None
    if not good:
        raise VerificationError("timestamp.signer", "The token's signature names another certificate than it holds.")
    return subject


def _named(attribute: Any) -> tuple[str, bytes] | None:
    """Algorithm and digest of the signer's certificate, where this is the attribute that says it."""
    kind = attribute["type"].native  # a name that `tsp` made known to `cms`
    if kind not in ("signing_certificate", "signing_certificate_v2"):
        return None
    signing: tsp.SigningCertificate | tsp.SigningCertificateV2 = attribute["values"][0]
    first = signing["certs"][0]
    algorithm = "sha1" if kind == "signing_certificate" else first["hash_algorithm"]["algorithm"].native
    return algorithm, first["cert_hash"].native


def _sequence(content: bytes) -> bytes:
    """DER of a SEQUENCE."""
    length = len(content)
    if length < 0x80:
        return b"\x30" + bytes([length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return b"\x30" + bytes([0x80 | len(size)]) + size + content


def _reason(error: Exception) -> str:
    """What the library says, without its wrapping."""
    text = str(error)
    found = _WHY.search(text)
    return (found[1] if found else text).strip().rstrip(".")[:200]


def _malformed(why: str) -> VerificationError:
    return VerificationError("timestamp.malformed", f"This is no time-stamp token: {why}.", _ELSEWHERE)
