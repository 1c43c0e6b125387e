"""No secret in a text, an address, a mapping; and no text that takes long to look through."""

import time
from typing import Any

import pytest

from connectors.kit import redaction
from connectors.kit.integration import Secret
from tests.connectors.kit.peer import integration


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("GET /x?access_token=hidden&id=7", "GET /x?access_token=***&id=7"),
        ("/x?id=7&X-Amz-Signature=hidden", "/x?id=7&X-Amz-Signature=***"),
        ("/x?sig=hidden&code=hidden&key=hidden", "/x?sig=***&code=***&key=***"),
        ("password=hidden&user=ann", "password=***&user=ann"),
        ("grant_type=x&client_secret=hidden", "grant_type=x&client_secret=***"),
        ("sap-password: hidden", "sap-password: ***"),
        ("https://ann:hid%40den@vendor.example/x", "https://***@vendor.example/x"),
        ("amqp://hidden@host", "amqp://***@host"),
        ("Authorization: Bearer hidden.hidden", "Authorization: ***"),
        ('authorization: Digest user="ann", response="hidden"\nnext', "authorization: ***\nnext"),
        ("Proxy-Authorization: Negotiate hidden==", "Proxy-Authorization: ***"),
        ("sent Bearer hidden.hidden to", "sent Bearer *** to"),
        ("sent Basic aGlkZGVuOng= to", "sent Basic *** to"),
        ("Cookie: JSESSIONID=hidden; b=hidden", "Cookie: ***"),
        ("Set-Cookie: SAP_SESSIONID=hidden; path=/\r\nX: y", "Set-Cookie: ***\r\nX: y"),
        ("/x;JSESSIONID=hidden", "/x;JSESSIONID=***"),
        ('{"access_token":"hidden","id":7}', '{"access_token":"***","id":7}'),
        ('{"client_secret" : "hid\\"den", "id": 7}', '{"client_secret" : "***", "id": 7}'),
        ('{"password":12345,"id":7}', '{"password":***,"id":7}'),
        ("{'refresh_token': 'hidden', 'id': 7}", "{'refresh_token': '***', 'id': 7}"),
        ('{"x-api-key": "hidden"}', '{"x-api-key": "***"}'),
        ('{"Authorization": "Bearer hidden1", "id": 7}', '{"Authorization": "***", "id": 7}'),
        ('{"private_key": "hidden"}', '{"private_key": "***"}'),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJoaWRkZW4ifQ.c2ln-_", "***"),
    ],
)
def test_secrets_in_texts(given: str, shown: str) -> None:
    assert redaction.text(given) == shown
    assert redaction.text(shown) == shown, "once is enough"


@pytest.mark.parametrize(
    "given",
    [
        "the token is from another issuer",
        "there is no session",
        "error code=42, key=value",
        "design=blue signal=5",
        "https://vendor.example/a@b",
        "Storage bin 011.01/02 is blocked",
        "",
    ],
)
def test_other_texts_stay(given: str) -> None:
    assert redaction.text(given) == given


def test_texts_are_cut_after_the_secrets_are_masked() -> None:
    """Cutting first would show the beginning of a secret that the cut goes through."""
    assert redaction.text("x" * 500) == "x" * 500
    assert redaction.text("x" * 501) == "x" * 497 + "..."
    shown = redaction.text("x" * 480 + " Bearer " + "hidden" * 50)
    assert "hidden" not in shown
    assert len(shown) <= 500
    shown = redaction.text("x " * 2_496 + "token=" + "hidden" * 50)
    assert "hidden" not in shown


@pytest.mark.parametrize(
    "piece",
    ["x", "a-", "a.", "token", "password ", "basic ", " ", "://", "eyJ-", "eyJaaaaa.", '"', "\\", "cookie ", "&key"],
)
def test_no_text_takes_long(piece: str) -> None:
    started = time.perf_counter()
    redaction.text(piece * (1_000_000 // len(piece)))
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("https://ann:hidden@vendor.example:8443/a/b?token=hidden#hidden", "https://vendor.example:8443/a/b"),
        ("http://[::1]:8082/api;jsessionid=hidden/x", "http://[::1]:8082/api/x"),
        ("https://vendor.example", "https://vendor.example"),
        ("https://vendor.example/bot/token=hidden/x", "https://vendor.example/bot/token=***"),
        ("http://[bad", "(an address that cannot be read)"),
        ("http://vendor.example:99999/", "(an address that cannot be read)"),
        ("http://vendor.example:port/", "(an address that cannot be read)"),
    ],
)
def test_addresses_are_shown_without_what_they_carry(given: str, shown: str) -> None:
    assert redaction.url(given) == shown


def test_mappings_are_masked_by_name_however_deep() -> None:
    given: dict[str, Any] = {
        "user": "ann",
        "Password": "hidden",
        "apiKey": {"inner": "hidden"},
        "session_id": 7,
        "rows": [{"client_secret": "hidden", "id": 1}, ("Bearer hidden1", 2)],
        "body": b'{"token": "hidden"}',
        "headers": {"Authorization": "Basic hidden", "Accept": "json", 7: "x"},
    }
    assert redaction.mapping(given) == {
        "user": "ann",
        "Password": "***",
        "apiKey": "***",
        "session_id": "***",
        "rows": [{"client_secret": "***", "id": 1}, ["Bearer ***", 2]],
        "body": '{"token": "***"}',
        "headers": {"Authorization": "***", "Accept": "json", "7": "x"},
    }


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret("hidden")
    made = integration(credentials={"password": secret})
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r:>20}", "%s %r" % (secret, secret), repr(made)]  # noqa: UP031
    assert not any("hidden" in each for each in shown)
    assert secret.reveal() == "hidden"
    assert (bool(secret), bool(Secret(""))) == (True, False)
