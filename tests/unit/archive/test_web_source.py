"""The web source over a transport in memory: answers, bounds, redirects and what is refused."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable, Iterator

import httpx
import pytest

from affidavit.archive.web import Web
from affidavit.errors import Corruption, InvalidInput, Unavailable

Answer = Callable[[httpx.Request], httpx.Response]


def web(answer: Answer, url: str = "https://log.example/a") -> Web:
    return Web(url, httpx.MockTransport(answer))


def test_a_file_lies_below_the_url() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(200, content=iter([b"da", b"ta"]))

    for url in ("https://log.example/a", "https://log.example/a/", "https://log.example"):
        assert b"data" == web(answer, url).get("tile/0/x001/000.p/3", 4)
    expected = ["https://log.example/a/tile/0/x001/000.p/3"] * 2 + ["https://log.example/tile/0/x001/000.p/3"]
    assert expected == seen
    assert None is web(answer).paths()
    assert "https://log.example/a/" == web(answer).name


@pytest.mark.parametrize("status", [404, 410])
def test_absent_is_none(status: int) -> None:
    assert None is web(lambda request: httpx.Response(status)).get("checkpoint", 10)


@pytest.mark.parametrize("status", [204, 206, 304, 401, 403, 429, 500, 503])
def test_other_answers_are_not_absence(status: int) -> None:
    with pytest.raises(Unavailable) as refused:
        web(lambda request: httpx.Response(status, content=b"x")).get("checkpoint", 10)
    assert "archive.unreachable" == refused.value.code
    assert str(status) in refused.value.message


def test_the_answer_is_bounded_without_reading_on() -> None:
    pulled = itertools.count()

    def endless() -> Iterator[bytes]:
        while True:
            next(pulled)
            yield b"x" * 100

    with pytest.raises(Corruption) as refused:
        web(lambda request: httpx.Response(200, content=endless())).get("checkpoint", 1000)
    assert "archive.too_large" == refused.value.code
    assert next(pulled) < 20


def encoded(data: bytes, encoding: str = "gzip") -> Answer:
    # A stream, as from a socket: httpx decodes content that is given whole.
    return lambda request: httpx.Response(200, headers={"Content-Encoding": encoding}, content=iter([data]))


def test_gzip_is_read_and_bounded_by_what_it_unpacks_to() -> None:
    assert b"data" == web(encoded(gzip.compress(b"data"))).get("checkpoint", 100)
    with pytest.raises(Corruption) as refused:
        web(encoded(gzip.compress(b"\0" * 10_000_000))).get("checkpoint", 100_000)
    assert "archive.too_large" == refused.value.code


def test_gzip_that_is_cut_or_false_is_refused() -> None:
    with pytest.raises(Unavailable):
        web(encoded(gzip.compress(b"data" * 100)[:-4])).get("checkpoint", 1000)
    with pytest.raises(Corruption) as refused:
        web(encoded(b"no gzip")).get("checkpoint", 1000)
    assert "archive.encoding" == refused.value.code
    with pytest.raises(Unavailable):
        web(encoded(b"data", "br")).get("checkpoint", 1000)


def test_a_server_that_drips_is_left() -> None:
    seconds = itertools.count(0, 100)
    drips = web(lambda request: httpx.Response(200, content=iter([b"x"] * 50)))
    drips._monotonic = lambda: float(next(seconds))
    with pytest.raises(Unavailable) as refused:
        drips.get("checkpoint", 1000)
    assert "longer than" in refused.value.message


def redirecting(location: str) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/a/checkpoint":
            return httpx.Response(302, headers={"Location": location})
        return httpx.Response(200, content=iter([b"there"]))

    return answer


@pytest.mark.parametrize("location", ["/b/checkpoint", "https://log.example/b"])
def test_redirects_on_the_same_host_are_followed(location: str) -> None:
    assert b"there" == web(redirecting(location)).get("checkpoint", 10)


def test_http_may_become_https() -> None:
    assert b"there" == web(redirecting("https://log.example/b"), "http://log.example/a").get("checkpoint", 10)


@pytest.mark.parametrize(
    "location",
    ["https://other.example/x", "http://log.example/b", "https://log.example:444/b", "//other.example/x", "file:///x"],
)
def test_redirects_elsewhere_are_refused(location: str) -> None:
    with pytest.raises(Unavailable) as refused:
        web(redirecting(location)).get("checkpoint", 10)
    assert "archive.redirect" == refused.value.code
    assert "give its URL" in refused.value.hint


def test_redirects_end() -> None:
    asked = itertools.count()

    def answer(request: httpx.Request) -> httpx.Response:
        next(asked)
        return httpx.Response(307, headers={"Location": "/a/checkpoint"})

    with pytest.raises(Unavailable):
        web(answer).get("checkpoint", 10)
    assert 6 == next(asked)


def test_a_failing_connection_is_unavailable() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("timed out")

    with pytest.raises(Unavailable) as refused:
        web(answer).get("checkpoint", 10)
    assert "timed out" in refused.value.message


@pytest.mark.parametrize("path", ["", "../x", "http://other.example/x", "x:y", "a?b", "a#b", "%2e%2e/x", "a b"])
def test_paths_that_would_mean_something_else_in_a_url_are_refused(path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        web(lambda request: httpx.Response(200)).get(path, 10)
    assert "archive.path" == refused.value.code


@pytest.mark.parametrize(
    "url",
    [
        "ftp://log.example/",
        "log.example",
        "https://",
        "https://me:secret@log.example/",
        "https://log.example/?x=1",
        "http://[::1",
    ],
)
def test_urls_that_cannot_be_a_log_are_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Web(url)
    assert "archive.url" == refused.value.code
    assert "secret" not in str(refused.value)
