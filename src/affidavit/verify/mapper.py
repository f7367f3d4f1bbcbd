"""Where bundles are sifted: here and one after another, or by whatever the caller brings along."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol, TypeVar

from affidavit.record.body import BodyKey
from affidavit.verify.sift import Sieve, Sifted, Task

T = TypeVar("T")


class Mapper(Protocol):
    """Sifts tasks."""

    def sift(
        self, keys: Mapping[bytes, BodyKey], tasks: Iterator[tuple[T, Task | None]]
    ) -> Iterator[tuple[T, Sifted | None]]:
        """What `Sieve(keys).sift` gives for each task, in the order of the tasks, with what stands beside the task;
        None where there is no task. At most a bounded number of tasks is taken ahead.

        Raises an `AffidavitError` where the results cannot be had: a result is never left out or made up.
        """
        ...


class InProcess:
    """Each when it is asked for."""

    def sift(
        self, keys: Mapping[bytes, BodyKey], tasks: Iterator[tuple[T, Task | None]]
    ) -> Iterator[tuple[T, Sifted | None]]:
        """As `Mapper` promises."""
        sieve = Sieve(keys)
        for beside, task in tasks:
            yield beside, None if task is None else sieve.sift(task)
