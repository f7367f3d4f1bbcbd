"""SCRAM-SHA-256 on both sides, the example of RFC 7677, and refusals that tell nothing."""

import base64

import pytest

from affidavit.errors import Denied, InvalidInput
from affidavit.limits import SCRAM_ITERATIONS_MAX
from affidavit.wire.postgres import auth
from affidavit.wire.postgres.auth import ScramClient, ScramServer, make_verifier, parse_verifier

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
MOCK = b"m" * 32
VERIFIER = make_verifier("pencil", SALT)
CLIENT_NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"

RFC_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
RFC_SALT_TEXT = "W22ZaJ0SNY7soEsUEjb6gQ=="
RFC_CHALLENGE = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
RFC_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
RFC_PROOF = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def server(user="maria", verifier=VERIFIER, nonce=SERVER_NONCE) -> ScramServer:
    return ScramServer(user, lambda name: verifier if name == "maria" else "", MOCK, nonce)


def login(client: ScramClient, peer: ScramServer) -> None:
    client.finish(peer.final(client.final(peer.first(client.first()))))


def test_rfc_7677_as_client():
    client = ScramClient("pencil", CLIENT_NONCE, user="user")
    assert client.first() == RFC_FIRST
    assert client.final(RFC_CHALLENGE) == RFC_FINAL
    client.finish(RFC_PROOF)


def test_rfc_7677_as_server():
    assert RFC_SALT_TEXT in VERIFIER
    peer = server()
    assert peer.first(RFC_FIRST) == RFC_CHALLENGE
    assert peer.final(RFC_FINAL) == RFC_PROOF


@pytest.mark.parametrize(
    "password", ["pencil", "pässwörd", "🔑 token", "I\u00adX", "\u00adonly", "\x07bell", "ab_1234-xyz"]
)
def test_both_sides_agree(password):
    login(ScramClient(password, "clientnonce"), server(verifier=make_verifier(password, SALT)))


def test_saslprep_maps_what_postgresql_maps():
    # RFC 4013: a soft hyphen is mapped to nothing.
    assert make_verifier("I\u00adX", SALT) == make_verifier("IX", SALT)
    assert make_verifier("a\u00a0b", SALT) == make_verifier("a b", SALT)


@pytest.mark.parametrize("name", ["", "*", "user", "=2C=3D", "=broken", "日本"])
def test_the_name_inside_scram_is_ignored(name):
    """libpq sends no name, pgjdbc a star: the proof covers the words as the client sent them."""
    client = ScramClient("pencil", "clientnonce")
    client.first()
    client._scram.client_first_bare = f"n={name},r=clientnonce"
    peer = server()
    client.finish(peer.final(client.final(peer.first(f"n,,n={name},r=clientnonce".encode()))))


def test_client_that_could_bind_but_was_not_offered_it_logs_in():
    """libpq over TLS says "y" when only SCRAM-SHA-256 is offered."""
    client = ScramClient("pencil", "clientnonce")
    client._scram.gs2_header.gs2_char = "y"
    assert client.first() == b"y,,n=*,r=clientnonce"
    peer = server()
    client.finish(peer.final(client.final(peer.first(b"y,,n=*,r=clientnonce"))))


def test_wrong_password_is_denied():
    client, peer = ScramClient("pen", "clientnonce"), server()
    final = client.final(peer.first(client.first()))
    with pytest.raises(Denied) as caught:
        peer.final(final)
    assert caught.value.code == "pg.scram_proof"
    with pytest.raises(InvalidInput):
        peer.final(final)


def test_unknown_user_looks_like_a_wrong_password():
    def attempt(user):
        client, peer = ScramClient("pen", "clientnonce"), server(user)
        challenge = peer.first(client.first())
        with pytest.raises(Denied) as caught:
            peer.final(client.final(challenge))
        return challenge, str(caught.value), caught.value.code

    known, unknown, again, other = attempt("maria"), attempt("nobody"), attempt("nobody"), attempt("somebody")
    assert known[1:] == unknown[1:]
    assert [len(part) for part in known[0].split(b",")] == [len(part) for part in unknown[0].split(b",")]
    assert unknown == again
    assert unknown[0] != other[0]


def test_a_mock_verifier_logs_nobody_in_even_with_its_keys():
    """Someone who could make a proof for the mock keys is still refused."""
    peer = server("nobody", nonce="x")
    stored = parse_verifier(VERIFIER)
    peer._scram.auth_fn = lambda _: _given(stored)
    client = ScramClient("pencil", "clientnonce")
    with pytest.raises(Denied):
        peer.final(client.final(peer.first(client.first())))


def _given(stored):
    from scramp.core import IterationCount, Salt

    return Salt(stored.salt), stored.stored_key, stored.server_key, IterationCount(stored.iterations)


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"n,,",
        b"n,,n=user",
        b"n,,r=abc",
        b"n,,n=user,r=",
        b"n,,n=user,r=a\x7fb",
        b"n,a=admin,n=user,r=abc",
        b"x,,n=user,r=abc",
        b"p=tls-server-end-point,,n=user,r=abc",
        b"n,,m=ext,n=user,r=abc",
        b"n,,n=user,r=abc,r=def",
        b"n,,n=user,r=\xff",
        b"n,,n=user,r=" + b"a" * 70_000,
    ],
)
def test_malformed_first_messages(first):
    peer = server()
    with pytest.raises(InvalidInput) as caught:
        peer.first(first)
    assert caught.value.code == "pg.scram_malformed"
    with pytest.raises(InvalidInput):
        peer.final(RFC_FINAL)


@pytest.mark.parametrize(
    "final",
    [
        b"",
        RFC_FINAL.replace(b"c=biws", b"c=eSws"),
        RFC_FINAL.replace(b"k0,p", b"k1,p"),
        RFC_FINAL.partition(b",p=")[0],
        RFC_FINAL.partition(b",p=")[0] + b",p=####",
        RFC_FINAL.replace(b"c=biws,", b""),
    ],
)
def test_malformed_final_messages(final):
    peer = server()
    peer.first(RFC_FIRST)
    with pytest.raises(InvalidInput) as caught:
        peer.final(final)
    assert caught.value.code == "pg.scram_malformed"


@pytest.mark.parametrize("proof", [b"AAAA", b"A" * 43 + b"="])
def test_a_proof_of_the_wrong_shape_is_a_wrong_proof(proof):
    peer = server()
    peer.first(RFC_FIRST)
    with pytest.raises(Denied):
        peer.final(RFC_FINAL.partition(b",p=")[0] + b",p=" + proof)


def test_final_before_first_is_refused():
    with pytest.raises(InvalidInput):
        server().final(RFC_FINAL)


@pytest.mark.parametrize(
    "challenge",
    [
        b"",
        b"r=other%nonce,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"r=clientnonce,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"r=clientnonceX,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1",
        b"r=clientnonceX,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=" + str(SCRAM_ITERATIONS_MAX + 1).encode(),
        b"r=clientnonceX,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=" + b"9" * 5000,
        b"r=clientnonceX,s=AA==,i=4096",
        b"e=other-error",
    ],
)
def test_client_refuses_a_bad_challenge(challenge):
    client = ScramClient("pencil", "clientnonce")
    client.first()
    with pytest.raises(InvalidInput) as caught:
        client.final(challenge)
    assert caught.value.code == "pg.scram_malformed"


@pytest.mark.parametrize("proof", [b"v=" + b"A" * 43 + b"=", b"", b"e=invalid-proof", b"v=\xff"])
def test_client_refuses_a_server_without_proof(proof):
    client = ScramClient("pencil", CLIENT_NONCE, user="user")
    client.first()
    client.final(RFC_CHALLENGE)
    with pytest.raises((Denied, InvalidInput)):
        client.finish(proof)


def test_verifier_text_round_trips():
    stored = parse_verifier(VERIFIER)
    assert (stored.iterations, stored.salt) == (4096, SALT)
    assert auth._verifier_text(*stored) == VERIFIER


@pytest.mark.parametrize(
    "text",
    [
        "",
        "md5abc",
        VERIFIER + " ",
        VERIFIER + "\n",
        VERIFIER.replace("$4096", "$0"),
        VERIFIER.replace("$4096", "$4095"),
        VERIFIER.replace("$4096", "$9999999999"),
        VERIFIER.replace(RFC_SALT_TEXT, "AAAA"),
        VERIFIER.replace(RFC_SALT_TEXT, "####"),
        VERIFIER[:-8],
    ],
)
def test_broken_verifiers_are_refused_without_showing_them(text):
    with pytest.raises(InvalidInput) as caught:
        parse_verifier(text)
    assert caught.value.code == "pg.scram_verifier"
    assert "=" not in str(caught.value)


def test_make_verifier_refuses_short_salts_and_odd_costs():
    for salt, iterations in ((b"short", 4096), (SALT, 1), (SALT, SCRAM_ITERATIONS_MAX + 1)):
        with pytest.raises(InvalidInput):
            make_verifier("token", salt, iterations)


def test_a_broken_stored_verifier_is_an_error_not_a_login():
    with pytest.raises(InvalidInput):
        server(verifier="garbage")
