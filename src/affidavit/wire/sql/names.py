"""A cursor over the terms of a statement, and the names that it meets."""

from __future__ import annotations

from affidavit.wire.sql.terms import Term, Unreadable

_END = Term("end", "", 0, 0)


class Cursor:
    """A place in a statement's terms. What is expected and not there raises `Unreadable`."""

    def __init__(self, terms: tuple[Term, ...], at: int) -> None:
        self._terms = terms
        self._at = at

    def _term(self, ahead: int = 0) -> Term:
        at = self._at + ahead
        return self._terms[at] if at < len(self._terms) else _END

    def word(self, ahead: int = 0) -> str:
        """The text of a term ahead; empty beyond the end."""
        return self._term(ahead).text

    def kind(self, ahead: int = 0) -> str:
        """The kind of a term ahead; `end` beyond the end."""
        return self._term(ahead).kind

    def before(self) -> str:
        """The text of the term just passed."""
        return self._terms[self._at - 1].text

    def done(self) -> bool:
        """Whether nothing is left."""
        return self._at >= len(self._terms)

    def skip(self, count: int = 1) -> None:
        """Pass some terms."""
        self._at += count

    def take(self, *words: str) -> bool:
        """Pass these words if they stand here; whether they did."""
        if all(self.word(n) == word for n, word in enumerate(words)):
            self._at += len(words)
            return True
        return False

    def need(self, word: str) -> None:
        """Pass this word."""
        if not self.take(word):
            raise Unreadable(f"{word.upper()} is expected")

    def end(self) -> None:
        """Make sure that nothing is left."""
        if not self.done():
            raise Unreadable("more than is expected")

    def dotted(self) -> list[str]:
        """Pass a name with its qualifications; its parts."""
        if self.kind() not in ("word", "quoted"):
            raise Unreadable("a name is expected")
        parts = [self._term().name]
        self.skip()
        while self.word() == "." and self.kind(1) in ("word", "quoted"):
            parts.append(self._term(1).name)
            self.skip(2)
        return parts

    def table(self) -> tuple[str, str]:
        """Pass a table's name, with ONLY before or * after it; (schema or empty, name)."""
        self.take("only")
        parts = self.dotted()
        self.take("*")
        return (parts[-2] if len(parts) > 1 else "", parts[-1])

    def group(self) -> tuple[Term, ...]:
        """Pass the parenthesised group that begins here; the terms inside."""
        start = self._at + 1
        self.pass_group()
        return self._terms[start : self._at - 1]

    def pass_group(self) -> None:
        """Pass the parenthesised group that begins here, if one does."""
        if self.word() != "(":
            return
        depth = 0
        while not self.done():
            depth += (self.word() == "(") - (self.word() == ")")
            self.skip()
            if depth == 0:
                return
        raise Unreadable("unbalanced")

    def find(self, *words: str) -> bool:
        """Go to the first of these words outside of parentheses; False, at the end, if there is none."""
        while not self.done():
            if self.word() == "(":
                self.pass_group()
            elif self.kind() == "word" and self.word() in words:
                return True
            else:
                self.skip()
        return False

    def without_tail(self, *tails: tuple[str, ...]) -> Cursor:
        """A cursor at this place over the terms without one of these endings."""
        for tail in tails:
            if tuple(t.text for t in self._terms[-len(tail) :]) == tail:
                return Cursor(self._terms[: -len(tail)], self._at)
        return self

    def rest(self) -> tuple[Term, ...]:
        """What is left; raises at the end."""
        if self.done():
            raise Unreadable("a statement is expected")
        return self._terms[self._at :]


def read_names(c: Cursor) -> list[tuple[str, str]]:
    """Pass a list of tables, each with a list of columns or not; (schema or empty, name) of each."""
    found = [c.table()]
    c.pass_group()
    while c.take(","):
        found.append(c.table())
        c.pass_group()
    return found
