"""affidavit.toml: what it says comes back whole, and what is wrong in it is named with what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from affidavit.config import (
    Address,
    AuthorityConfig,
    Config,
    GatewayConfig,
    OutsideConfig,
    PublicConfig,
    ServerConfig,
    load_config,
    parse_config,
    render_config,
)
from affidavit.errors import InvalidInput

ROOT = Path("/data/log")
GATEWAY = """origin = "example.com/audit"
[[gateway]]
system = "clinic"
listen = "127.0.0.1:6432"
upstream = "db.example"
database = "clinic"
upstream_user = "app"
"""
AUTHORITY = """origin = "example.com/audit"
[[time_authority]]
name = "Example"
url = "https://tsa.example/tsr"
certificates = "tsa.pem"
"""


def test_what_is_written_is_read() -> None:
    config = Config(
        "example.com/audit",
        ServerConfig(ROOT / "affidavit.sock"),
        (
            GatewayConfig(
                "clinic",
                Address("::1", 6432),
                Address("db", 5433),
                'odd"name\\',
                "app",
                ROOT / "c.pem",
                Path("/k.pem"),
                True,
            ),
            GatewayConfig("lab", Address("127.0.0.1", 0), Address("db", 5432), "lab", "app"),
        ),
        (OutsideConfig(Path("/mnt/elsewhere")),),
        PublicConfig(Address("0.0.0.0", 8080), "/logs/clinic/"),
        (AuthorityConfig("Example", "https://tsa.example/tsr", ROOT / "tsa.pem", 600),),
    )
    assert parse_config(render_config(config, ROOT).encode(), ROOT) == config


def test_the_least_is_an_origin() -> None:
    got = parse_config(b'origin = "example.com/audit"\n', ROOT)
    assert got == Config("example.com/audit", ServerConfig(ROOT / "affidavit.sock"))


def test_the_upstream_port_may_be_left_out() -> None:
    assert parse_config(GATEWAY.encode(), ROOT).gateways[0].upstream == Address("db.example", 5432)


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", "config.absent_key", "origin"),
        ("origin = 7", "config.type", "origin"),
        ('origin = "two words"', "config.origin", "without spaces"),
        ('origin = "a.example+b"', "config.origin", "plus"),
        ('origin = "a.example/x"\nserfer = 1', "config.key", "server"),
        ('origin = "a.example/x"\n[server]\nsokcet = "x"', "config.key", "server.socket"),
        (GATEWAY + 'uptsream = "x"', "config.key", "gateway.upstream"),
        (GATEWAY.replace("127.0.0.1:6432", "6432"), "config.address", "127.0.0.1:6432"),
        (GATEWAY.replace("127.0.0.1:6432", "127.0.0.1:99999"), "config.address", "99999"),
        (GATEWAY.replace('"clinic"', '"Clinic!"', 1), "config.gateway", "Clinic!"),
        (GATEWAY.replace('"clinic"', '"log"', 1), "config.gateway", "log"),
        (GATEWAY + "[[gateway]]\n" + GATEWAY.partition("[[gateway]]\n")[2], "config.gateway", "Two"),
        (GATEWAY + "require_tls = true", "config.tls", "tls_certificate"),
        (GATEWAY + 'tls_key = "k.pem"', "config.tls", "missing"),
        (GATEWAY + 'require_tls = "yes"', "config.type", "true or false"),
        ('origin = "a.example/x"\n[[outside]]\nfolder = "copies"', "config.outside", "inside"),
        (AUTHORITY.replace("https", "ftp"), "config.time_authority", "address"),
        (AUTHORITY.replace("tsa.example", "me@tsa.example"), "config.time_authority", "address"),
        (AUTHORITY + "interval_s = 59", "config.time_authority", "60"),
        (AUTHORITY + "interval_s = true", "config.time_authority", "60"),
        (AUTHORITY + "intervall_s = 60", "config.key", "time_authority.interval_s"),
        (AUTHORITY.replace('certificates = "tsa.pem"', ""), "config.absent_key", "certificates"),
        (AUTHORITY + AUTHORITY.partition("\n")[2], "config.time_authority", "name of its own"),
        ('origin = "a.example/x"\n[gateway]\nsystem = "x"', "config.type", "[[gateway]]"),
        (f'origin = "a.example/x"\n[server]\nsocket = "/{"s" * 120}"', "config.socket", "107"),
        ("origin = ", "config.toml", "TOML"),
    ],
)
def test_what_is_wrong_is_named(text: str, code: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_config(text.encode(), ROOT)
    assert refused.value.code == code
    assert said in str(refused.value)


def test_a_folder_without_a_configuration_is_no_data_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        load_config(tmp_path)
    assert (refused.value.code, "affidavit init" in refused.value.hint) == ("config.absent", True)


@pytest.mark.parametrize(("prefix", "whole"), [("/", "/"), ("/clinic", "/clinic/"), ("/a/b/", "/a/b/")])
def test_the_prefix_of_the_public_log_ends_with_a_slash(prefix: str, whole: str) -> None:
    text = f'origin = "example.com/audit"\n[public]\nlisten = "127.0.0.1:8080"\nprefix = "{prefix}"\n'
    assert PublicConfig(Address("127.0.0.1", 8080), whole) == parse_config(text.encode(), ROOT).public


@pytest.mark.parametrize("prefix", ["clinic", "//", "/a//b", "/../", "/a/./b", "/a b", "/%41", "/a?b"])
def test_a_prefix_that_is_no_plain_path_is_refused(prefix: str) -> None:
    text = f'origin = "example.com/audit"\n[public]\nlisten = "127.0.0.1:8080"\nprefix = "{prefix}"\n'
    with pytest.raises(InvalidInput, match=r"public\.prefix"):
        parse_config(text.encode(), ROOT)
