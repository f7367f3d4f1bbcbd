"""Messages of the client that wait for their turn, in order, and how much they are."""

from __future__ import annotations

from collections import deque

from affidavit.limits import HOLD_BYTES_MAX, PREPARED_MAX


class Inbox:
    """A queue of (code, payload). `crowded` says that the client must not be read until some are worked off."""

    def __init__(self) -> None:
        self._messages: deque[tuple[int, bytes]] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, messages: list[tuple[int, bytes]]) -> None:
        """Add messages at the end."""
        self._messages.extend(messages)
        self._bytes += sum([len(payload) for _, payload in messages])

    def take(self) -> tuple[int, bytes]:
        """The message that comes next."""
        found = self._messages.popleft()
        self._bytes -= len(found[1])
        return found

    def back(self, code: int, payload: bytes) -> None:
        """Put a message back in front: it comes next again."""
        self._messages.appendleft((code, payload))
        self._bytes += len(payload)

    def clear(self) -> None:
        self._messages.clear()
        self._bytes = 0

    @property
    def crowded(self) -> bool:
        return self._bytes > HOLD_BYTES_MAX or len(self._messages) > PREPARED_MAX
