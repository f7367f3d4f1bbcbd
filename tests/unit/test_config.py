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
    WitnessConfig,
    load_config,
    parse_config,
    render_config,
)
from affidavit.errors import InvalidInput
from affidavit.ledger.witness_http import WitnessHttp
from affidavit.tlog.keys import SignerKey

ROOT = Path("/data/log")
GATEWAY = """origin = "example.com/audit"
[[gateway]]
system = "clinic"
listen = "127.0.0.1:6432"
upstream = "db.example"
database = "clinic"
upstream_user = "app"
"""
WITNESS_KEY = SignerKey("witness.example/w1", b"\1" * 32, 4).verifier
WITNESS = f"""origin = "example.com/audit"
[[witness]]
name = "w1"
key = "{WITNESS_KEY.to_text()}"
url = "http://witness.example:7380"
"""
SECOND_KEY = SignerKey("witness.example/w2", b"\2" * 32, 6).verifier
SECOND = f"""[[witness]]
name = "w2"
key = "{SECOND_KEY.to_text()}"
url = "https://witness.example/two/"
"""
LOG_KEY = SignerKey("example.org/other", b"\1" * 32).verifier.to_text()
OUTSIDE = 'origin = "a.example/x"\n[[outside]]\nfolder = "/mnt/elsewhere"\n'
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
        (WitnessConfig("Town Hall", WITNESS_KEY, "https://witness.example/prefix"),),
        ROOT / "clinic.policy",
        "refuse",
        signer=Path("/run/affidavit-key/sock"),
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
        (GATEWAY + "watch_interval_s = 0", "config.gateway", "from 1 to 3600"),
        (GATEWAY + "watch_interval_s = true", "config.gateway", "from 1 to 3600"),
        (GATEWAY + "watch_interval_s = 2.5", "config.gateway", "from 1 to 3600"),
        (GATEWAY + "watch_interval_s = 3601", "config.gateway", "from 1 to 3600"),
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
        ('origin = "a.example/x"\nsigner = "/run/agent"', "config.signer", "unix:"),
        ('origin = "a.example/x"\nsigner = "unix:"', "config.signer", "unix:"),
        (f'origin = "a.example/x"\nsigner = "unix:/{"s" * 120}"', "config.signer", "107"),
        ("origin = ", "config.toml", "TOML"),
        # Places: which one, and what to write instead.
        (WITNESS.replace("[[witness]]", "[witness]"), "config.type", "witness must be a list of tables: [[witness]]"),
        (WITNESS + "keys = 1", "config.key", "The nearest known key is witness.key"),
        (WITNESS.replace('url = "http://witness.example:7380"', ""), "config.absent_key", "witness.url of w1"),
        (WITNESS.replace('name = "w1"', ""), "config.absent_key", 'witness.name. Add name = "…"'),
        (
            WITNESS.replace('"w1"', "1"),
            "config.type",
            "witness.name must be a text that is not empty. Write it as name",
        ),
        (WITNESS.replace('"w1"', '"/mnt/x"'), "config.witness", "witness.name = '/mnt/x' cannot be a name. Write"),
        (WITNESS.replace('"w1"', '"w\\u001b"'), "config.witness", "cannot be a name"),
        (WITNESS.replace('"w1"', f'"{"w" * 201}"'), "config.witness", "at most 200 characters"),
        (
            WITNESS.replace(WITNESS_KEY.to_text(), LOG_KEY),
            "config.witness",
            "The key of the witness w1 is one of a log",
        ),
        (WITNESS.replace("example.com/audit", WITNESS_KEY.name), "config.witness", "it stands in witness.vkey"),
        (WITNESS.replace("w1+", "w9+"), "config.witness", "The key of the witness w1: The id of the key"),
        (
            WITNESS.replace(WITNESS_KEY.to_text(), "w1"),
            "config.witness",
            "The key of the witness w1: A verifier key has",
        ),
        (WITNESS + WITNESS.partition("\n")[2], "config.witness", "Two [[witness]] tables have the same name, w1. Give"),
        (
            WITNESS + WITNESS.partition("\n")[2].replace('"w1"', '"w2"'),
            "config.witness",
            "The witnesses w1 and w2 have the same key, so they are one and would count as two. Keep one",
        ),
        (WITNESS + SECOND.replace("two/", "two#"), "config.witness", "The url of the witness w2 is no address"),
        (
            WITNESS + 'policy = "p"',
            "config.key",
            "the key policy inside the table witness. Move policy above the first",
        ),
        (OUTSIDE + 'unguarded = "refuse"', "config.key", "Move unguarded above the first table"),
        (
            OUTSIDE + OUTSIDE.partition("\n")[2],
            "config.outside",
            "Two [[outside]] tables name the folder /mnt/elsewhere",
        ),
        (OUTSIDE + '[[outside]]\nfolder = "/mnt/x/../elsewhere"', "config.outside", "Two [[outside]] tables"),
        (OUTSIDE.replace("/mnt/elsewhere", "/data/log"), "config.outside", "Name a folder on another disk or machine"),
        (OUTSIDE.replace("folder", "folders"), "config.key", "outside.folder"),
        (OUTSIDE.replace('"/mnt/elsewhere"', "[]"), "config.type", 'Write it as folder = "…"'),
        (OUTSIDE.replace("[[outside]]", "[outside]"), "config.type", "[[outside]]"),
        ('origin = "a.example/x"\npolicy = 2', "config.type", 'Write it as policy = "…"'),
        ('origin = "a.example/x"\nunguarded = "stop"', "config.unguarded", 'Write "start" or "refuse"'),
        ('origin = "a.example/x"\nunguarded = true', "config.unguarded", 'Write "start" or "refuse"'),
        ('origin = "a.example/x"\nunguarded = ["start"]', "config.unguarded", 'Write "start" or "refuse"'),
        ('origin = "a.example/x"\n' + "[[outside]]\n" * 65, "config.size", "64"),
    ],
)
def test_what_is_wrong_is_named(text: str, code: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_config(text.encode(), ROOT)
    assert refused.value.code == code
    assert said in str(refused.value)


def test_two_witnesses_and_a_policy() -> None:
    got = parse_config(('policy = "clinic.policy"\nunguarded = "start"\n' + WITNESS + SECOND).encode(), ROOT)
    assert ["w1", "w2"] == [witness.name for witness in got.witnesses]
    assert [4, 6] == [witness.key.type for witness in got.witnesses]
    assert (ROOT / "clinic.policy", "start") == (got.policy, got.unguarded)


@pytest.mark.parametrize(
    "url",
    ["http://w", "http://127.0.0.1:1", "http://[::1]:7380/", "https://w.example:65535/a/b", "https://w.example/a%20b/"],
)
def test_an_address_of_a_witness(url: str) -> None:
    witness = parse_config(WITNESS.replace("http://witness.example:7380", url).encode(), ROOT).witnesses[0]
    assert url == witness.url
    # What the configuration lets through, the client takes as it stands.
    assert WitnessHttp(url)._prefix == (url if url.endswith("/") else f"{url}/")


@pytest.mark.parametrize(
    "url",
    [
        "w.example",
        "ftp://w.example",
        "http:///prefix",
        "http://w.example:0",
        "http://w.example:65536",
        "http://w.example:",
        "http://w.example:x",
        "http://me:secret@w.example",
        "http://secret@w.example/",
        "http://w.example/?q=secret",
        "http://w.example/#secret",
        " http://w.example",
        "http://w.example/a b",
        "http://w.example\\n",
        "http://w.exämple",
        "http://w.example//x",
        "http://[::1/",
        "HTTP://w.example",
        "http://w.example/" + "a" * 2_000,
    ],
)
def test_what_is_no_address_of_a_witness_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_config(WITNESS.replace("http://witness.example:7380", url).encode(), ROOT)
    assert "config.witness" == refused.value.code
    assert "The url of the witness w1" in refused.value.message and "http://HOST:PORT" in refused.value.hint
    assert "secret" not in str(refused.value)


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


@pytest.mark.parametrize("listen", ["127.0.0.1:8440", "[::1]:0", "localhost:8440"])
def test_the_console_is_for_this_machine(listen: str) -> None:
    text = f'origin = "example.com/audit"\n[console]\nlisten = "{listen}"\n'
    config = parse_config(text.encode(), ROOT)
    assert config.console is not None
    assert listen == str(config.console.listen)
    assert config == parse_config(render_config(config, ROOT).encode(), ROOT)


@pytest.mark.parametrize("listen", ["0.0.0.0:8440", "[::]:8440", "10.0.0.5:8440", "audit.example:443", "127.0.0.1"])
def test_the_console_is_for_no_other_machine(listen: str) -> None:
    text = f'origin = "example.com/audit"\n[console]\nlisten = "{listen}"\n'
    with pytest.raises(InvalidInput, match=r"console\.listen"):
        parse_config(text.encode(), ROOT)
