"""Policies: what is refused and where, which facts are mentioned, whom and what the scope leaves room for."""

from __future__ import annotations

import pytest

from affidavit.errors import InvalidInput
from affidavit.limits import BRACKETS_DEPTH_MAX
from affidavit.state.facts import FACTS
from affidavit.state.policy import administrators, mentions, observe_all, parse_policy

WHEN = "permit(principal, action, resource) when { %s };"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("permit(principal, action", "unexpected end of input"),
        ("permit(principal, action,\n  resource) when { 1 == };", r"unexpected token `}` at line 2, column 26"),
        ("permit(principal, action, resource)\nwhen true;", r"at line 2, column 6"),
        ("", "holds 0 policies"),
        ("// nothing\n", "holds 0 policies"),
        ("permit(principal, action, resource);\npermit(principal, action, resource);", "holds 2 policies"),
        ("permit(principal == ?principal, action, resource);", "is a template"),
        ("permit(principal, action, resource in ?resource);", "is a template"),
        (WHEN % "context.verb == \"x\"", "optional attribute `verb`.*context has NAME"),
        (WHEN % "context has typo", "no fact `context.typo`. Known: application"),
        (WHEN % "principal.kind == 1", "not compatible"),
        (WHEN % "principal.ward == \"3b\"", "ward"),
        ("permit(principal, action == Action::\"fly\", resource);", "unrecognized action"),
        ("permit(principal, action, resource == Group::\"a\");", "applicable action"),
        ("permit(principal is Robot, action, resource);", "unrecognized entity type `Robot`"),
        (WHEN % "ip(\"10.0.0.0/99\").isIpv4()", "IP address"),
        (WHEN % "unknown(\"x\") == 1", "`unknown` has no value"),
        (WHEN % " && ".join(["true"] * 100), "nests too deep"),
        (WHEN % " && ".join(["true"] * 2000), "nests too deep"),
        (WHEN % ("(" * 40 + "true" + ")" * 40), "brackets nest deeper"),
        (WHEN % ("(" * 5000 + "true" + ")" * 5000), "brackets nest deeper"),
        (WHEN % "true" + "//" + "x" * 16_384, "longer than 16384 bytes"),
        (WHEN % "true\r", "control character"),
        # A comment that ends at \r for one lexer and at \n for another would hide brackets from the count.
        ("// \r \" \n" + WHEN % ("(" * 5000 + "true" + ")" * 5000) + '"', "control character"),
        (WHEN % "true\x00", "control character"),
        (WHEN % "foo(1)", "not a valid function"),
    ],
)  # fmt: skip
def test_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        parse_policy(text, "`policy/p`")
    assert ("state.policy", True) == (caught.value.code, "`policy/p`" in caught.value.message)


def test_brackets_in_texts_and_comments_do_not_count() -> None:
    brackets = "(" * (BRACKETS_DEPTH_MAX + 1)
    parse_policy(f'// {brackets}\npermit(principal, action, resource) when {{ principal.kind == "\\"{brackets}" }};')


def test_brackets_hidden_by_closing_ones_in_a_text_are_counted() -> None:
    text = WHEN % ("(" * 20 + '")))))))))))))))))))" == "a" || ' + "(" * 20 + "true" + ")" * 40)
    with pytest.raises(InvalidInput, match="brackets nest deeper"):
        parse_policy(text)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("true", set()),
        ('principal.kind == "context"', set()),
        ("context has verb", {"verb"}),
        ('context has verb && context.verb == "x"', {"verb"}),
        ('context has tables && context["tables"].contains("a")', {"tables"}),
        ("context has tls && context.tls || context has parsed", {"tls", "parsed"}),
        ('context has client_address && context.client_address.isInRange(ip("10.0.0.0/8"))', {"client_address"}),
        ("if context has approving then false else true", {"approving"}),
        ("[1, 2].contains(if context has own then 1 else 3)", {"own"}),
        ("{a: context has op}.a", {"op"}),
        ("context == context", set(FACTS)),
        ("(if true then context else context) has verb", set(FACTS)),
        ("{a: context}.a has verb", set(FACTS)),
    ],
)
def test_mentions(condition: str, expected: set[str]) -> None:
    assert frozenset(expected) == mentions(WHEN % condition)


def test_mentions_in_unless() -> None:
    assert frozenset({"tls"}) == mentions(
        "forbid(principal, action, resource) unless { context has tls && context.tls };"
    )


ACTOR, GROUPS = "u-00000000000000a1", frozenset({"nurses"})


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        ("principal", True),
        ('principal == Identity::"u-00000000000000a1"', True),
        ('principal in Identity::"u-00000000000000a1"', True),
        ('principal == Identity::"u-00000000000000b2"', False),
        ('principal in Group::"nurses"', True),
        ('principal in Group::"doctors"', False),
        ("principal is Identity", True),
        ('principal is Identity in Group::"nurses"', True),
        ('principal is Identity in Group::"doctors"', False),
    ],
)
def test_slice_by_principal(principal: str, expected: bool) -> None:
    policy = parse_policy(f"permit({principal}, action, resource);")
    assert expected is policy.can_match(ACTOR, GROUPS, "clinic")


@pytest.mark.parametrize(
    ("resource", "clinic", "log"),
    [
        ("resource", True, True),
        ('resource == System::"clinic"', True, False),
        ('resource in System::"clinic"', True, False),
        ('resource == System::"ward"', False, False),
        ('resource == Table::"clinic/public.a"', True, False),
        ('resource == Table::"ward/public.a"', False, False),
        ('resource == Table::"clinic2/public.a"', False, False),
        ("resource is System", True, False),
        ("resource is Table", True, False),
        ('resource is Table in System::"clinic"', True, False),
        ('resource is Table in System::"ward"', False, False),
        ("resource is Object", False, True),
        ("resource is Log", False, True),
        ('resource == Log::"log"', False, True),
        ('resource in Log::"log"', False, True),
        ('resource in ObjectKind::"grant"', False, True),
        ('resource == Object::"policy/p"', False, True),
        ('resource is Object in ObjectKind::"grant"', False, True),
    ],
)
def test_slice_by_resource(resource: str, clinic: bool, log: bool) -> None:
    policy = parse_policy(f"forbid(principal, action, {resource});")
    assert (clinic, log) == (policy.can_match(ACTOR, GROUPS, "clinic"), policy.can_match(ACTOR, GROUPS, "log"))


def test_our_own_policies_are_valid() -> None:
    for value in (observe_all(), administrators()):
        assert "permit" == parse_policy(value["text"]).effect
