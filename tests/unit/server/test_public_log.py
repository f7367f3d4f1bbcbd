"""The public log over HTTP: what is served, how it is cached and compressed, and that nothing else gets out."""

from __future__ import annotations

import asyncio
import gzip
import threading
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledgercase import Case
from starlette.responses import Response

from affidavit.archive.folder import Folder
from affidavit.durable import OsDisk
from affidavit.ledger.ledger import Ledger
from affidavit.server.publiclog import PublicLog, choose_coding, zstd
from affidavit.tlog.checkpoint import Checkpoint, sign_checkpoint
from affidavit.tlog.hashing import Tree, leaf_hash, root_of
from affidavit.tlog.notes import SignerKey, parse_note
from affidavit.tlog.tiles import bundles_of, decode_entries, encode_entries

SIGNER = SignerKey("log.example/public", b"\1" * 32)
ENTRIES = [b'{"number":%d}' % number for number in range(300)]
PLAIN: dict[str, str] = {}


def write(log: Path, path: str, data: bytes) -> None:
    (log / path).parent.mkdir(parents=True, exist_ok=True)
    (log / path).write_bytes(data)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a log of 300 entries and what lies beside it."""
    log = tmp_path / "log"
    tree = Tree()
    tree.append_leaf_hashes(map(leaf_hash, ENTRIES))
    for address in bundles_of(300):
        start = address.index * 256
        write(log, address.path, encode_entries(ENTRIES[start : start + address.width]))
    for tile in tree.tiles(0):
        write(log, tile.path, tile.data)
    write(log, "checkpoint", sign_checkpoint(Checkpoint(SIGNER.name, 300, tree.root()), SIGNER))
    write(log, "key/00000000000000000300", b"a rotation note\n")
    write(log, "key/sizes", b"00000000000000000300\n")
    write(tmp_path, "secrets/log.key", b"PRIVATE")
    write(tmp_path, "bodies/000", b"content")
    return tmp_path


@pytest.fixture
def public(data: Path):
    made = PublicLog(Folder(data / "log"))
    yield made
    made.close()


def get(public: PublicLog, path: str, headers: dict[str, str] = PLAIN, method: str = "GET") -> Response:
    return public.respond(method, path.encode(), headers)


@pytest.mark.parametrize(
    ("path", "media_type", "cache"),
    [
        ("checkpoint", "text/plain; charset=utf-8", "public, max-age=1"),
        ("tile/0/000", "application/octet-stream", "public, max-age=31536000, immutable"),
        ("tile/0/001.p/44", "application/octet-stream", "public, max-age=31536000, immutable"),
        ("tile/1/000.p/1", "application/octet-stream", "public, max-age=31536000, immutable"),
        ("tile/entries/000", "application/octet-stream", "public, max-age=31536000, immutable"),
        ("tile/entries/001.p/44", "application/octet-stream", "public, max-age=31536000, immutable"),
        ("key/sizes", "text/plain; charset=utf-8", "public, max-age=1"),
        ("key/00000000000000000300", "text/plain; charset=utf-8", "public, max-age=31536000, immutable"),
    ],
)
def test_each_file_of_the_log_is_served_as_it_lies(
    data: Path, public: PublicLog, path: str, media_type: str, cache: str
) -> None:
    got = get(public, f"/{path}")
    assert (200, (data / "log" / path).read_bytes()) == (got.status_code, got.body)
    assert (media_type, cache) == (got.headers["content-type"], got.headers["cache-control"])
    assert "*" == got.headers["access-control-allow-origin"]
    assert "nosniff" == got.headers["x-content-type-options"]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/tile",
        "/tile/",
        "/tile/0/",
        "/tile/0/002",  # not written yet
        "/tile/0/001",
        "/tile/entries/002.p/1",
        "/tile/0/000.p/0",
        "/tile/0/000.p/256",
        "/tile/00/000",
        "/tile/0/0",
        "/tile/0/x000/000",
        "/tile/64/000",
        "/tile/0/%30%30%30",  # another spelling of 000
        "/tile/0/000?x",
        "//checkpoint",
        "/./checkpoint",
        "/checkpoint/",
        "/Checkpoint",
        "/key/300",
        "/key/",
        "/key/00000000000000000301",
        "/../secrets/log.key",
        "/tile/../../secrets/log.key",
        "/%2e%2e/secrets/log.key",
        "/bodies/000",
        "/tile/0/000\0",
        "/tile/0/00é",
    ],
)
def test_nothing_else_is_there(public: PublicLog, path: str) -> None:
    got = get(public, path)
    assert (404, "no-store") == (got.status_code, got.headers["cache-control"])
    assert b"There is no such file in this log.\n" == got.body


def test_links_are_not_followed_and_damage_is_not_served(data: Path, public: PublicLog, caplog) -> None:
    (data / "log/tile/0/000").unlink()
    (data / "log/tile/0/000").symlink_to(data / "secrets/log.key")
    assert 500 == get(public, "/tile/0/000").status_code
    assert b"PRIVATE" not in get(public, "/tile/0/000").body
    (data / "log/tile/0/001.p/44").write_bytes(b"cut")
    assert 500 == get(public, "/tile/0/001.p/44").status_code
    (data / "log/tile/entries/000").write_bytes(b"\0\1x" * 257)
    assert 500 == get(public, "/tile/entries/000").status_code


@pytest.mark.parametrize("link", ["tile", "tile/0", "tile/entries", "key", "checkpoint"])
def test_no_link_on_the_way_is_followed(data: Path, public: PublicLog, link: str) -> None:
    """Not even to what would be served: who can put a link into the folder could name another log's."""
    (data / "log" / link).rename(data / "moved")
    (data / "log" / link).symlink_to(data / "moved")
    below = {"tile": "/0/000", "tile/0": "/000", "tile/entries": "/000", "key": "/sizes", "checkpoint": ""}[link]
    assert 500 == get(public, f"/{link}{below}").status_code


@given(
    st.lists(
        st.sampled_from(
            ("tile", "entries", "checkpoint", "key", "sizes", "0", "1", "000", "001.p", "44", "..", ".", "")
        )
        | st.text("/.%0x2eE\\\0 ", max_size=6),
        max_size=6,
    ),
    st.sampled_from(("GET", "HEAD")),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_path_is_a_file_of_the_log_in_its_one_spelling_or_nothing(
    data: Path, public: PublicLog, parts: list[str], method: str
) -> None:
    path = "/".join(parts)
    got = get(public, f"/{path}", {}, method)
    if got.status_code == 200:
        assert path == str(Path(path)) and (data / "log" / path).is_file()
        assert method == "HEAD" or (data / "log" / path).read_bytes() == got.body
    else:
        assert (404, "no-store") == (got.status_code, got.headers["cache-control"])


def test_who_reads_while_the_log_is_published_always_finds_the_tree_of_the_checkpoint_that_they_saw(
    tmp_path: Path,
) -> None:
    """Partial tiles are replaced by wider and full ones, and removed, between any two requests."""
    case = Case(OsDisk(), tmp_path)
    case.create()
    ledger = case.recover()
    writer = threading.Thread(target=lambda: [publish_one(case, ledger) for _ in range(38)])
    public = PublicLog(Folder(tmp_path / "log"))
    seen: dict[int, Checkpoint] = {}
    writer.start()
    while writer.is_alive() or ledger.published.size not in seen:
        checkpoint = Checkpoint.parse(parse_note(get(public, "/checkpoint").body)[0])
        assert checkpoint == seen.setdefault(checkpoint.size, checkpoint)
        check_tree(public, checkpoint)
    writer.join()
    assert max(seen) > 256 and len(seen) > 3, "the log hardly grew: this showed nothing"
    for checkpoint in seen.values():  # years later, for who kept one of them
        check_tree(public, checkpoint)
    public.close()


def publish_one(case: Case, ledger: Ledger) -> None:
    for _ in range(4):
        case.session(ledger, case.stream())
    ledger.publish_now()


def check_tree(public: PublicLog, checkpoint: Checkpoint) -> None:
    """All that a reader of `checkpoint` asks for is there, and leads to its root."""
    leaves: list[bytes] = []
    for address in bundles_of(checkpoint.size):
        bundle = get(public, f"/{address.path}")
        assert 200 == bundle.status_code, address
        leaves += map(leaf_hash, decode_entries(bundle.body, address.width))
    assert checkpoint.root == root_of(leaves)
    tree = Tree()
    tree.append_leaf_hashes(leaves)
    for tile in tree.tiles(0):
        assert tile.data == get(public, f"/{tile.path}").body, tile.path


def test_a_folder_that_is_gone_is_a_reason_to_come_back(data: Path, public: PublicLog) -> None:
    (data / "log").rename(data / "elsewhere")
    got = get(public, "/checkpoint")
    assert (503, "5") == (got.status_code, got.headers["retry-after"])


def test_a_partial_tile_that_was_removed_is_cut_from_the_full_one(data: Path, public: PublicLog) -> None:
    assert not (data / "log/tile/0/000.p/7").exists()
    assert (data / "log/tile/0/000").read_bytes()[: 7 * 32] == get(public, "/tile/0/000.p/7").body
    assert encode_entries(ENTRIES[:7]) == get(public, "/tile/entries/000.p/7").body
    assert 404 == get(public, "/tile/1/001.p/7").status_code


def test_the_prefix_is_where_the_log_is_and_nowhere_else(data: Path) -> None:
    public = PublicLog(Folder(data / "log"), "/logs/clinic/")
    assert 200 == get(public, "/logs/clinic/checkpoint").status_code
    assert [404, 404, 404] == [
        get(public, path).status_code for path in ("/checkpoint", "/logs/clinic", "/logs/clinic//checkpoint")
    ]
    public.close()


def test_entry_bundles_are_compressed_and_hash_tiles_are_not(data: Path, public: PublicLog) -> None:
    plain = (data / "log/tile/entries/000").read_bytes()
    zipped = get(public, "/tile/entries/000", {"accept-encoding": "gzip, identity"})
    assert ("gzip", plain) == (zipped.headers["content-encoding"], gzip.decompress(zipped.body))
    assert len(zipped.body) < len(plain) / 2
    better = get(public, "/tile/entries/000", {"accept-encoding": "gzip, zstd"})
    assert ("zstd", plain) == (better.headers["content-encoding"], zstd.decompress(better.body))
    none = get(public, "/tile/entries/000")
    assert "content-encoding" not in none.headers
    assert 3 == len({got.headers["etag"] for got in (zipped, better, none)})
    assert {"accept-encoding"} == {got.headers["vary"] for got in (zipped, better, none)}
    tile = get(public, "/tile/0/000", {"accept-encoding": "gzip"})
    assert "content-encoding" not in tile.headers


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (None, "identity"),
        ("", "identity"),
        ("gzip", "gzip"),
        ("gzip, identity", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP;Q=0.5", "gzip"),
        ("gzip;q=0", "identity"),
        ("zstd;q=0.5, gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("br", "identity"),
        ("*", "zstd"),
        ("*;q=0", "gzip"),
        ("identity;q=0", "gzip"),
        ("identity;q=0, *;q=0", "gzip"),
        ("gzip;q=nonsense", "identity"),
        ("identity, gzip;q=0.5", "identity"),
    ],
)
def test_the_coding_is_what_the_client_wants_most(accepted: str | None, coding: str) -> None:
    assert coding == choose_coding(accepted)


def test_a_client_that_has_it_gets_304(public: PublicLog) -> None:
    for path, headers in (("/checkpoint", {}), ("/tile/entries/000", {"accept-encoding": "gzip"})):
        tag = get(public, path, headers).headers["etag"]
        for named in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            got = get(public, path, {**headers, "if-none-match": named})
            assert (304, b"", tag) == (got.status_code, got.body, got.headers["etag"])
            assert "content-length" not in got.headers
        assert 200 == get(public, path, {**headers, "if-none-match": '"other"'}).status_code
        assert 200 == get(public, path, {**headers, "if-match": tag}).status_code
        assert 412 == get(public, path, {**headers, "if-match": '"other"'}).status_code
    # A tag of one coding is not the tag of another.
    zipped = get(public, "/tile/entries/000", {"accept-encoding": "gzip"}).headers["etag"]
    assert 200 == get(public, "/tile/entries/000", {"if-none-match": zipped}).status_code


def test_a_range_is_answered_with_the_whole(data: Path, public: PublicLog) -> None:
    got = get(public, "/tile/0/000", {"range": "bytes=0-31"})
    assert (200, 8192, "none") == (got.status_code, len(got.body), got.headers["accept-ranges"])


def test_other_methods_are_refused(public: PublicLog) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE"):
        got = get(public, "/checkpoint", method=method)
        assert (405, "GET, HEAD, OPTIONS") == (got.status_code, got.headers["allow"])
    assert (204, "*") == (
        get(public, "/checkpoint", method="OPTIONS").status_code,
        get(public, "/checkpoint", method="OPTIONS").headers["access-control-allow-headers"],
    )


def test_head_says_what_get_says(public: PublicLog) -> None:
    for path, headers in (("/tile/0/000", {}), ("/tile/entries/000", {"accept-encoding": "gzip"}), ("/nothing", {})):
        whole, head = get(public, path, headers), get(public, path, headers, "HEAD")
        assert b"" == head.body
        assert whole.headers == head.headers


def test_as_an_application_it_reads_the_path_as_it_was_sent(public: PublicLog) -> None:
    async def run() -> None:
        transport = httpx.ASGITransport(app=public)
        async with httpx.AsyncClient(transport=transport, base_url="http://log.example") as client:
            assert 200 == (await client.get("/checkpoint")).status_code
            assert 404 == (await client.get("/%63heckpoint")).status_code

    asyncio.run(run())
