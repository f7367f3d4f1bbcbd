"""Which statements carry literal credentials, so that their literals are never kept, and what is kept instead.

Three rules, from the statement's kind and from its text:

* always: servers, user mappings, subscriptions, ALTER SYSTEM; SET of a setting whose name says so; ROLE with
  PASSWORD; calls of functions that take a key or a connection string (dblink, crypt, pgp_…);
* if named: statements whose literals are code or options (DO, CREATE FUNCTION, CALL, EXECUTE, SET, COPY with a
  program), and whatever is not understood: where the text names a credential;
* by content, in every statement: a literal that holds a connection string with a password.

Such a statement loses all its literals and comments, and whatever stands after a word such as PASSWORD: people forget
quotes, the server refuses the statement, and its text would be kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from affidavit.limits import STATEMENT_PARSE_BYTES_MAX
from affidavit.wire.sql import lexer
from affidavit.wire.sql.reading import ALWAYS, BY_CONTENT, IF_NAMED, Reading
from affidavit.wire.sql.terms import Term

_NAMES = (
    "password", "passwd", "passphrase", "pwd", "secret", "token", "credential", "api_key", "apikey", "api-key",
    "private key", "private_key", "privatekey", "access_key", "accesskey", "encryption_key", "conninfo",
)  # fmt: skip
_ROLE_VERBS = frozenset({"CREATE ROLE", "ALTER ROLE", "CREATE USER", "ALTER USER", "CREATE GROUP", "ALTER GROUP"})
_KEYED_FUNCTIONS = frozenset({"crypt", "encrypt", "encrypt_iv", "decrypt", "decrypt_iv", "hmac"})
_KEYED_PREFIXES = ("dblink", "pgp_", "postgres_fdw")
MASK = "'***'"
_NAMING_WORDS = frozenset({"password", "passwd", "pwd", "secret", "token", "passphrase", "user_password", "credential"})
_KEPT_WORDS = frozenset({"null", "is", "from", "on", "for", "using", "valid", "none", "as"})
_IN_CONNECTION = re.compile(r"pass(?:word|wd|phrase)?\s*=|://[^/\s:@]*:[^@\s]+@", re.IGNORECASE)
_ESCAPES = re.compile(r"[uU]&['\"]|\\(?:[xuU]|[0-7])")


def names_credential(text: str) -> bool:
    """Whether the text names a credential anywhere, in any case."""
    lowered = text.lower()
    return any(name in lowered for name in _NAMES)


def with_rule(reading: Reading, terms: tuple[Term, ...]) -> Reading:
    """The reading with the rule by which its credentials are told."""
    if reading.verb in _ROLE_VERBS and any(t.text == "password" for t in terms):
        return replace(reading, credential=ALWAYS)
    for function in reading.functions:
        bare = function.rpartition(".")[2]
        if bare in _KEYED_FUNCTIONS or bare.startswith(_KEYED_PREFIXES):
            return replace(reading, credential=ALWAYS)
        if bare in ("set_config", "query_to_xml", "ts_stat") and reading.credential == BY_CONTENT:
            reading = replace(reading, credential=IF_NAMED)
    return reading


def holds_credential(rule: str, text: str, literals: Iterable[str]) -> bool:
    """Whether a statement with this rule, this text and these literals carries credentials."""
    if rule == BY_CONTENT:
        # A cheap look before the expression: nearly every statement ends here.
        if "://" not in text and "pass" not in text.lower():
            return False
        return any(_IN_CONNECTION.search(literal) for literal in literals)
    if rule == IF_NAMED:
        return names_credential(text) or _ESCAPES.search(text) is not None  # escapes could hide the name
    return True


def mask_literals(text: str) -> str:
    """`text` with every literal as `'***'`, without comments, and without what follows a word that names a credential.

    A text beyond `STATEMENT_PARSE_BYTES_MAX` is cut there, and its rest is one mask.
    """
    tail = ""
    if lexer.too_long(text):
        text, tail = text[:STATEMENT_PARSE_BYTES_MAX], f" {MASK}"
    parts: list[str] = []
    named = False
    for token in lexer.tokens(text):
        piece = text[token.start : token.end]
        if token.kind in ("space", "comment"):
            parts.append(" " if token.kind == "comment" else piece)
            continue
        if (
            token.kind in lexer.LITERAL_KINDS
            or token.kind in ("bad", "stand_in")
            or (named and token.kind in ("quoted", "unicode", "parameter"))
        ):
            parts.append(MASK)
            named = False
        elif named and piece.lower() in ("=", "to"):
            parts.append(piece)
        elif named and token.kind == "word":
            parts.append(piece if piece.lower() in _KEPT_WORDS else MASK)
            named = False
        else:
            parts.append(piece)
            named = token.kind == "word" and piece.lower() in _NAMING_WORDS
    return "".join(parts) + tail
