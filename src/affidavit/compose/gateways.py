"""Makes a gateway from its configuration and the secrets of the log."""

from __future__ import annotations

import hmac
import ssl

from affidavit.capture.gateway.server import Gateway, GatewaySecrets
from affidavit.capture.gateway.target import Target
from affidavit.capture.producer import Producer
from affidavit.capture.watch.watcher import Watcher
from affidavit.compose.site import Site
from affidavit.config import GatewayConfig
from affidavit.errors import InvalidInput
from affidavit.history.asof import Records
from affidavit.history.live import Live
from affidavit.limits import SECRET_BYTES_MAX

_MOCK_LABEL = b"affidavit scram for unknown users"


def make_gateway(
    site: Site, config: GatewayConfig, live: Live, records: Records, producer: Producer
) -> tuple[Gateway, Watcher]:
    """The gateway that `config` describes, not listening yet, and the watcher of its upstream.

    Raises `InvalidInput` for a password or certificate.
    """
    digest_key = site.secrets.digest_key
    secrets = GatewaySecrets(
        digest_key=digest_key,
        verifiers=site.layout.secrets / "scram",
        mock_secret=hmac.digest(digest_key, _MOCK_LABEL, "sha256"),
    )
    target = Target(
        system=config.system,
        listen_host=config.listen.host,
        listen_port=config.listen.port,
        upstream_host=config.upstream.host,
        upstream_port=config.upstream.port,
        database=config.database,
        upstream_user=config.upstream_user,
        password=_password(site, config.system),
        tls=_tls(config),
        require_tls=config.require_tls,
    )
    watcher = Watcher(target, config.watch_interval_s, producer, live, records, site.clock)
    return Gateway(target, producer, live, watcher, secrets, site.clock), watcher


def _password(site: Site, system: str) -> str | None:
    data = site.disk.read_private(site.layout.secrets / "upstream" / system, SECRET_BYTES_MAX)
    if data is None:
        return None
    try:
        return data.decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise InvalidInput("gateway.password", f"secrets/upstream/{system} is not UTF-8 text.") from None


def _tls(config: GatewayConfig) -> ssl.SSLContext | None:
    if config.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(config.tls_certificate, config.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(
            "config.tls",
            f"The certificate {config.tls_certificate} and its key cannot be used: {error}.",
            "Both must be PEM files, and belong together.",
        ) from None
    return context
