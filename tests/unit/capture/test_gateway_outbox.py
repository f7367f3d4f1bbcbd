"""What is behind a closed gate does not leave; order holds whatever opens first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from affidavit.capture.gateway.outbox import Outbox


def test_passes_at_once_without_a_gate() -> None:
    sent: list[bytes] = []
    outbox = Outbox(sent.append)
    outbox.put(b"a")
    assert sent == [b"a"]


def test_holds_behind_a_gate_until_it_opens() -> None:
    sent: list[bytes] = []
    outbox = Outbox(sent.append)
    gate = outbox.gate()
    outbox.put(b"answer")
    assert (sent, outbox.held_bytes) == ([], 6)
    outbox.open(gate)
    assert (sent, outbox.held_bytes) == ([b"answer"], 0)


def test_a_later_gate_that_opens_first_waits_for_the_earlier() -> None:
    sent: list[bytes] = []
    outbox = Outbox(sent.append)
    first = outbox.gate()
    outbox.put(b"1")
    second = outbox.gate()
    outbox.put(b"2")
    outbox.open(second)
    assert sent == []
    outbox.open(first)
    assert b"".join(sent) == b"12"


def test_dropped_bytes_never_leave() -> None:
    sent: list[bytes] = []
    outbox = Outbox(sent.append)
    gate = outbox.gate()
    outbox.put(b"secret")
    outbox.drop()
    outbox.open(gate)
    assert sent == []


def test_an_answer_that_goes_on_after_its_gate_opened_streams() -> None:
    sent: list[bytes] = []
    outbox = Outbox(sent.append)
    gate = outbox.gate()
    outbox.put(b"a")
    outbox.open(gate)
    outbox.put(b"b")
    assert sent == [b"a", b"b"]


@given(st.lists(st.sampled_from("pgo"), max_size=60), st.randoms(use_true_random=False))
def test_output_is_a_prefix_and_never_passes_a_closed_gate(steps, random) -> None:
    sent: list[bytes] = []
    outbox = Outbox(sent.append)
    closed = []
    put = b""
    allowed = None  # bytes that may be out while the first closed gate is closed
    marks = []  # (gate, position at which it stands)
    for number, step in enumerate(steps):
        if step == "p":
            put += bytes([number])
            outbox.put(bytes([number]))
        elif step == "g":
            gate = outbox.gate()
            closed.append(gate)
            marks.append((gate, len(put)))
        elif closed:
            outbox.open(closed.pop(random.randrange(len(closed))))
        allowed = min((at for gate, at in marks if gate in closed), default=len(put))
        assert b"".join(sent) == put[:allowed]
