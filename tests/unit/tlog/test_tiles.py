"""Paths and bytes of tiles and bundles, with the examples of the specification and what must be refused."""

from __future__ import annotations

import pytest

from affidavit.errors import InvalidInput, VerificationError
from affidavit.tlog.tiles import (
    TileAddress,
    bundles_of,
    decode_entries,
    encode_entries,
    entries_path,
    parse_path,
    partial_width,
    tile_hashes,
    tile_path,
    tile_width,
    tiles_of,
)

PATHS = [
    (TileAddress(0, 0), "tile/0/000"),
    (TileAddress(0, 1_234_067), "tile/0/x001/x234/067"),
    (TileAddress(1, 1, 17), "tile/1/001.p/17"),
    (TileAddress(63, 999, 255), "tile/63/999.p/255"),
    (TileAddress(None, 0), "tile/entries/000"),
    (TileAddress(None, 1000, 1), "tile/entries/x001/000.p/1"),
]


@pytest.mark.parametrize(("address", "path"), PATHS)
def test_paths_are_written_and_read(address: TileAddress, path: str) -> None:
    assert path == address.path
    assert address == parse_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "checkpoint",
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/001",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/257",
        "tile/0/000.p/01",
        "tile/0/000.p",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/0/٠٠٠",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/../0/000",
        "tile/data/000",
    ],
)
def test_other_spellings_are_refused(path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_path(path)
    assert "tile.path" == refused.value.code


@pytest.mark.parametrize(
    "arguments", [(-1, 0, 256), (64, 0, 256), (0, -1, 256), (0, 2**60, 256), (0, 0, 0), (0, 0, 257)]
)
def test_tiles_that_cannot_be_have_no_path(arguments: tuple[int, int, int]) -> None:
    with pytest.raises(InvalidInput):
        tile_path(*arguments)


def test_widths_of_size_70000_are_those_of_the_specification() -> None:
    assert [112, 17, 1, 0] == [partial_width(70_000, level) for level in range(4)]
    assert [256, 112, 0] == [tile_width(70_000, 0, index) for index in (272, 273, 274)]
    assert 275 + 2 == len(list(tiles_of(70_000))) and "tile/2/000.p/1" == list(tiles_of(70_000))[-1].path
    assert 274 == len(list(bundles_of(70_000)))
    assert [] == list(tiles_of(0)) == list(bundles_of(0))
    assert entries_path(273, 112) == list(bundles_of(70_000))[-1].path


def test_a_bundle_is_read_back() -> None:
    entries = [b"", b"one", b"\xff" * 65_535]
    data = encode_entries(entries)
    assert b"\x00\x00\x00\x03one\xff\xff\xff" == data[:10]
    assert entries == decode_entries(data, 3)


@pytest.mark.parametrize(
    ("data", "count", "code"),
    [
        (b"\0\1a\0\1b", 1, "bundle.trailing"),
        (b"\0\1a\0\1b", 3, "bundle.short"),
        (b"\0\1a\0", 2, "bundle.short"),
        (b"\0\2a", 1, "bundle.short"),
        (b"", 1, "bundle.short"),
    ],
)
def test_a_bundle_with_another_count_is_refused(data: bytes, count: int, code: str) -> None:
    with pytest.raises(VerificationError) as refused:
        decode_entries(data, count)
    assert code == refused.value.code


def test_bundles_are_bounded() -> None:
    with pytest.raises(VerificationError) as refused:
        decode_entries(b"\0" * (256 * 65_537 + 1), 256)
    assert "bundle.length" == refused.value.code
    for entries in ([], [b""] * 257, [b"\0" * 65_536]):
        with pytest.raises(InvalidInput):
            encode_entries(entries)
    for count in (0, 257):
        with pytest.raises(InvalidInput):
            decode_entries(b"", count)


def test_a_tile_has_exactly_its_hashes() -> None:
    assert [b"a" * 32, b"b" * 32] == tile_hashes(b"a" * 32 + b"b" * 32, 2)
    for length in (0, 32, 63, 65, 96):
        with pytest.raises(VerificationError):
            tile_hashes(b"\0" * length, 2)
