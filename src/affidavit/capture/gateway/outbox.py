"""What goes to the client, in order, with gates: bytes behind a gate leave only when it is opened.

A gate stands before the answer to a statement whose record is not durable yet. Several may stand in a row; each
holds back everything written after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


class Gate:
    """Holds back what was written after it. `held_bytes` counts up to the next gate."""

    __slots__ = ("held_bytes", "opened", "parts")

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.held_bytes = 0
        self.opened = False


class Outbox:
    """Ordered output. `write` passes bytes on at once while no gate is closed."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._gates: deque[Gate] = deque()

    def put(self, data: bytes) -> None:
        """Send `data`, after everything put before it."""
        if self._gates:
            gate = self._gates[-1]
            gate.parts.append(data)
            gate.held_bytes += len(data)
        else:
            self._write(data)

    def gate(self) -> Gate:
        """A new closed gate before whatever is put next."""
        gate = Gate()
        self._gates.append(gate)
        return gate

    def open(self, gate: Gate) -> None:
        """Let through what stands behind `gate`, as soon as all gates before it are open too."""
        gate.opened = True
        gates = self._gates
        while gates and gates[0].opened:
            parts = gates.popleft().parts
            if parts:
                self._write(b"".join(parts) if len(parts) > 1 else parts[0])

    def drop(self) -> None:
        """Throw away everything that is held: it must not be sent."""
        self._gates.clear()

    @property
    def held_bytes(self) -> int:
        return sum(gate.held_bytes for gate in self._gates)
