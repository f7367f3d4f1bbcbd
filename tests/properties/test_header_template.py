"""A header written from a template has the bytes of the encoder."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from affidavit.record.header import FORMAT, Header, Log, Source, Time, encode_header
from affidavit.record.moment import format_moment, moment_bytes
from affidavit.record.template import Own, fill_shared, header_template

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["%", "%d%%b", '"\\', "é\n\0", "%b"]
)
MAYBE_TEXT = st.none() | TEXT
MAYBE_NUMBER = st.none() | st.integers(0, 2**53)
HEX = st.text("0123456789abcdef", min_size=8, max_size=8)
NS = st.integers(0, 253_402_300_799 * 10**9)


@st.composite
def headers(draw: st.DrawFn) -> tuple[Header, int]:
    at_ns = draw(NS)
    tags = tuple(sorted(draw(st.sets(HEX, max_size=3))))
    fields: dict[str, Any] = {
        **{name: draw(MAYBE_TEXT) for name in ("guarantee", "actor", "system", "action", "decision", "outcome")},
        **{name: draw(MAYBE_NUMBER) for name in ("decided", "session", "context", "ref")},
    }
    header = Header(
        v=FORMAT,
        id=draw(st.from_regex(r"[0-9a-f]{8}-[0-9a-f]{4}", fullmatch=True)),
        kind=draw(TEXT),
        source=Source(draw(HEX), draw(st.integers(0, 2**53))),
        time=Time(format_moment(at_ns), draw(MAYBE_NUMBER)),
        log=Log(format_moment(draw(NS)), draw(st.integers(0, 2**53))),
        basis=draw(TEXT),
        tags=tags,
        tags_overflow=draw(st.booleans()),
        root=draw(st.none() | HEX),
        body=draw(st.none() | HEX),
        **fields,
    )
    return header, at_ns


def filled(header: Header) -> bytes:
    return fill_shared(
        header_template(header),
        context=header.context,
        decided=header.decided,
        state=header.log.state,
        ref=header.ref,
        session=header.session,
        clock=header.time.clock,
    )


def own_part(header: Header, at_ns: int) -> Own:
    tags = b",".join(b'"%b"' % tag.encode() for tag in header.tags)
    return (
        (header.body or "").encode(),
        header.id.encode(),
        header.log.at.encode(),
        header.source.seq,
        header.source.stream.encode(),
        tags,
        moment_bytes(at_ns),
    )


@given(headers(), headers())
def test_a_template_gives_what_the_encoder_gives(made: tuple[Header, int], other: tuple[Header, int]) -> None:
    header, at_ns = made
    shared = filled(header)
    assert encode_header(header) == shared % own_part(header, at_ns)
    # and another record that shares it, with an id, a stream, a number and times of its own
    second, second_ns = other
    changed = Header(
        **{
            **{name: getattr(header, name) for name in header.__struct_fields__},
            "id": second.id,
            "source": second.source,
            "log": Log(second.log.at, header.log.state),
            "time": Time(second.time.at, header.time.clock),
        }
    )
    assert encode_header(changed) == shared % own_part(changed, second_ns)
