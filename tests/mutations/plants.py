"""Defects that are planted in a copy of the code, one at a time, and the test that catches each."""

from __future__ import annotations

from mutations.asof import ASOF
from mutations.erasing import ERASING
from mutations.indexing import INDEXING
from mutations.judging import JUDGING
from mutations.proving import PROVING
from mutations.reopening import REOPENING
from mutations.searching import SEARCHING
from mutations.serving import SERVING
from mutations.watching import WATCHING
from mutations.writing import WRITING

PLANTS = (*WRITING, *REOPENING, *PROVING, *JUDGING, *SERVING, *WATCHING, *ASOF, *ERASING, *SEARCHING, *INDEXING)
