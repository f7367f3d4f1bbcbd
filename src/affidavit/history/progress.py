"""A number that only grows, written by one thread, that coroutines of any event loop can wait for."""

from __future__ import annotations

import asyncio
import threading

from affidavit.errors import Unavailable


class Progress:
    """Holds `value`. Cheap to read from any thread."""

    def __init__(self, value: int, what: str) -> None:
        self.value = value
        self._what = what
        self._lock = threading.Lock()
        self._waiting: list[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = []

    def advance(self, value: int) -> None:
        """Set the value and wake who waits for it. Does not block."""
        with self._lock:
            self.value = value
            ready = [entry for entry in self._waiting if entry[0] <= value]
            self._waiting = [entry for entry in self._waiting if entry[0] > value]
        for _, loop, event in ready:
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:  # that loop is closed: nobody waits there any more
                continue

    async def reached(self, value: int, timeout_s: float) -> None:
        """Wait until the value is at least `value`. Raises `Unavailable` after `timeout_s` seconds."""
        event = asyncio.Event()
        entry = (value, asyncio.get_running_loop(), event)
        with self._lock:
            if self.value >= value:
                return
            self._waiting.append(entry)
        try:
            await asyncio.wait_for(event.wait(), timeout_s)
        except TimeoutError:
            raise Unavailable(
                "live.behind", f"{self._what} did not reach {value} within {timeout_s:g} s.", "Try again."
            ) from None
        finally:
            with self._lock:
                if entry in self._waiting:
                    self._waiting.remove(entry)
