"""affidavit.toml: what a configuration says comes back whole, and nothing that stands there is read in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import assume, example, given
from hypothesis import strategies as st

from affidavit.config import Config, OutsideConfig, ServerConfig, WitnessConfig, parse_config, render_config
from affidavit.errors import InvalidInput
from affidavit.tlog.keys import COSIGNATURE_ED25519, ML_DSA_44, SignerKey

ROOT = Path("/data/log")
KEYS = [
    SignerKey(f"w.example/{number}", bytes([number + 1]) * 32, kind).verifier
    for number, kind in enumerate((COSIGNATURE_ED25519, ML_DSA_44, COSIGNATURE_ED25519))
]
NAMES = st.text("aZ9-.ü\u4e2d\U0001f418\"'\\#[]=", min_size=1, max_size=8)
SEGMENTS = st.text("abcXYZ019._~-", min_size=1, max_size=12)
URLS = st.builds(
    lambda scheme, host, port, path: f"{scheme}://{host}{port}" + "".join(f"/{part}" for part in path),
    st.sampled_from(("http", "https")),
    st.sampled_from(("w.example", "127.0.0.1", "[::1]", "w")),
    st.one_of(st.just(""), st.integers(1, 65_535).map(lambda port: f":{port}")),
    st.lists(SEGMENTS, max_size=3),
)
CONFIGS = st.builds(
    lambda folders, names, urls, policy, unguarded: Config(
        "example.com/audit",
        ServerConfig(ROOT / "affidavit.sock"),
        outside=tuple(OutsideConfig(Path("/mnt") / name) for name in folders),
        witnesses=tuple(WitnessConfig(*one) for one in zip(names, KEYS, urls, strict=False)),
        policy=policy,
        unguarded=unguarded,
    ),
    st.lists(SEGMENTS.map(lambda name: f"x{name}"), max_size=3, unique=True),
    st.lists(NAMES, max_size=3, unique=True),
    st.lists(URLS, min_size=3, max_size=3),
    st.one_of(st.none(), SEGMENTS.map(lambda name: ROOT / f"p{name}")),
    st.sampled_from(("start", "refuse")),
)


@given(CONFIGS)
def test_what_is_written_is_read(config: Config) -> None:
    assert config == parse_config(render_config(config, ROOT).encode(), ROOT)


@given(CONFIGS, st.data())
def test_an_unknown_key_is_never_passed_over(config: Config, data: Any) -> None:
    """Wherever a line is put: it is an error that names the key, whichever table it fell into."""
    lines = render_config(config, ROOT).splitlines()
    at = data.draw(st.integers(0, len(lines)))
    text = "\n".join([*lines[:at], "witnes = 1", *lines[at:], ""])
    try:
        parse_config(text.encode(), ROOT)
    except InvalidInput as error:
        assert "config.key" == error.code and "witnes" in error.message and error.hint
    else:
        raise AssertionError(text)


VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-(2**40), 2**40), st.sampled_from(('""', '"x"', '"\\u0000"', "1.5"))).map(
        lambda value: value if isinstance(value, str) else str(value).lower()
    ),
    lambda inner: st.lists(inner, max_size=2).map(lambda items: f"[{', '.join(items)}]"),
    max_leaves=4,
)
PLACES = {
    "policy": "{} ",
    "unguarded": "{} ",
    "outside": "{} ",
    "witness": "{} ",
    "folder": "[[outside]]\nfolder = {}",
    "name": '[[witness]]\nkey = "k"\nurl = "u"\nname = {}',
    "key": '[[witness]]\nname = "w1"\nurl = "u"\nkey = {}',
    "url": f'[[witness]]\nname = "w1"\nkey = "{KEYS[0].to_text()}"\nurl = {{}}',
}


@given(st.sampled_from(sorted(PLACES)), VALUES)
@example("witness", "[]")
def test_a_value_of_another_kind_is_refused_by_name(key: str, value: str) -> None:
    """A number, a truth, a list where a text or a table belongs: never read as something else, never a crash."""
    assume(not (value == '"x"' and key in ("policy", "folder")))
    assume(not (value == "[]" and key in ("outside", "witness")))
    table = PLACES[key].startswith("[[")
    text = 'origin = "a.example/x"\n' + (PLACES[key].format(value) if table else f"{key} = {value}") + "\n"
    try:
        parse_config(text.encode(), ROOT)
    except InvalidInput as error:
        assert key in error.message or "unguarded" in error.message or "folder" in error.message, error.message
        assert error.hint or "[[" in error.message, error.message
    else:
        raise AssertionError(text)
