"""A time-stamp authority for tests: keys and certificates made on the spot, tokens by `openssl ts` behind HTTP, and,
for what a real authority would not say (another time, another digest), tokens that are put together here.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

OPENSSL = shutil.which("openssl")
NOW = datetime.now(UTC)
YEAR = timedelta(days=365)
_CONFIG = """
[tsa]
default_tsa = it
[it]
serial = serial
signer_cert = signer.pem
certs = root.pem
signer_key = signer.key
signer_digest = sha256
default_policy = 1.3.6.1.4.1.99999.1
digests = sha256, sha512
accuracy = secs:1, millisecs:500
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


def make_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


class Made:
    """One authority: a root, and a signer that it certified for time-stamping."""

    def __init__(
        self,
        name: str = "Example Time",
        *,
        starts: datetime = NOW - YEAR,
        ends: datetime = NOW + YEAR,
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.TIME_STAMPING,
        critical: bool = True,
    ) -> None:
        self.root_key, self.key = make_key(), make_key()
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} root")])
        self.root = _certificate(issuer, issuer, self.root_key.public_key(), self.root_key, None, NOW - 5 * YEAR)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        extension = (x509.ExtendedKeyUsage([usage]), critical)
        self.signer = _certificate(issuer, subject, self.key.public_key(), self.root_key, extension, starts, ends)
        self.pem = self.root.public_bytes(serialization.Encoding.PEM)

    def write(self, folder: Path) -> Path:
        """What `openssl ts` needs, in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config").write_text(_CONFIG)
        (folder / "serial").write_text("01\n")
        (folder / "root.pem").write_bytes(self.pem)
        (folder / "signer.pem").write_bytes(self.signer.public_bytes(serialization.Encoding.PEM))
        (folder / "signer.key").write_bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return folder

    def forge(
        self,
        imprint: bytes,
        at: datetime,
        *,
        nonce: int | None = None,
        accuracy: dict[str, int] | None = None,
        digest: str = "sha256",
        named: bytes | None = None,
        extra: tuple[bytes, ...] = (),
    ) -> bytes:
        """A token over `imprint` of the moment `at`, signed as it should be; `named` is the digest of the certificate
        that the signature names, `extra` are more certificates in it."""
        info = tsp.TSTInfo(
            {
                "version": "v1",
                "policy": "1.3.6.1.4.1.99999.1",
                "message_imprint": {"hash_algorithm": {"algorithm": digest}, "hashed_message": imprint},
                "serial_number": 7,
                "gen_time": core.GeneralizedTime(at.replace(microsecond=0)),
                **({"accuracy": accuracy} if accuracy else {}),
                **({"nonce": nonce} if nonce is not None else {}),
            }
        )
        content = info.dump()
        signer = asn1_x509.Certificate.load(self.signer.public_bytes(serialization.Encoding.DER))
        names = named if named is not None else hashlib.sha256(signer.dump()).digest()
        identified = tsp.SigningCertificateV2(
            {"certs": [{"hash_algorithm": {"algorithm": "sha256"}, "cert_hash": names}]}
        )
        attributes = cms.CMSAttributes(
            [
                cms.CMSAttribute({"type": "content_type", "values": ["tst_info"]}),
                cms.CMSAttribute({"type": "message_digest", "values": [hashlib.sha256(content).digest()]}),
                cms.CMSAttribute({"type": "signing_certificate_v2", "values": [identified]}),
            ]
        )
        signature = self.key.sign(attributes.dump(), padding.PKCS1v15(), hashes.SHA256())
        signed = cms.SignedData(
            {
                "version": "v3",
                "digest_algorithms": [algos.DigestAlgorithm({"algorithm": "sha256"})],
                "encap_content_info": {
                    "content_type": "tst_info", "content": core.ParsableOctetString(content),
                },
                "certificates": [signer, *[asn1_x509.Certificate.load(one) for one in extra]],
                "signer_infos": [
                    {
                        "version": "v1",
                        "sid": cms.IssuerAndSerialNumber(
                            {"issuer": signer.issuer, "serial_number": signer.serial_number}
                        ),
                        "digest_algorithm": {"algorithm": "sha256"},
                        "signed_attrs": attributes,
                        "signature_algorithm": {"algorithm": "sha256_rsa"},
                        "signature": signature,
                    }
                ],
            }
        )  # fmt: skip
        return bytes(cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump())


def response_of(token: bytes) -> bytes:
    """The answer that grants `token`."""
    return bytes(
        tsp.TimeStampResp(
            {"status": {"status": "granted"}, "time_stamp_token": cms.ContentInfo.load(token)}
        ).dump()
    )  # fmt: skip


def reply(folder: Path, request: bytes) -> bytes:
    """What `openssl ts` answers to `request`."""
    (folder / "request").write_bytes(request)
    command = [str(OPENSSL), "ts", "-reply", "-config", "config", "-section", "it", "-queryfile", "request"]
    return subprocess.run(
        [*command, "-out", "/dev/stdout"], cwd=folder, capture_output=True, check=True, timeout=20
    ).stdout


@contextmanager
def served(answer: Callable[[bytes], bytes | tuple[int, bytes]]) -> Iterator[str]:
    """The URL of an authority on the loopback that gives `answer(request)`, perhaps with a status."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Content-Type"] != "application/timestamp-query":
                self.send_error(415)
                return
            given = answer(request)
            status, body = given if isinstance(given, tuple) else (200, given)
            self.send_response(status)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tsa"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _certificate(
    issuer: x509.Name,
    subject: x509.Name,
    key: rsa.RSAPublicKey,
    signed_by: rsa.RSAPrivateKey,
    usage: tuple[x509.ExtendedKeyUsage, bool] | None,
    starts: datetime,
    ends: datetime = NOW + 5 * YEAR,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=usage is None, path_length=None), critical=True)
    )
    if usage is not None:
        builder = builder.add_extension(usage[0], critical=usage[1])
    return builder.sign(signed_by, hashes.SHA256())
