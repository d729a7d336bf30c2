"""The sandbox as a process: its file survives a restart, and it leaves at once."""

import socket
from pathlib import Path

from tests.sandbox.conftest import Running, start_sandbox


def test_a_restart_with_a_file_keeps_orders_cards_tokens_and_balance(tmp_path: Path):
    first = start_sandbox(tmp_path / "sandbox.sqlite3")
    order = first.order("ref-1").json()
    cards = first.cards(order["transactionId"]).json()
    balance = first.call("GET", "/reloadly/accounts/balance").json()["balance"]
    first.stop()

    second = start_sandbox(tmp_path / "sandbox.sqlite3")
    second.token = first.token
    found = second.look_up("ref-1")["content"]
    cards_after = second.cards(order["transactionId"]).json()
    balance_after = second.call("GET", "/reloadly/accounts/balance").json()["balance"]
    again = second.order("ref-1")
    second.stop()

    assert found == [order]
    assert cards_after == cards
    assert balance_after == balance
    assert again.json()["errorCode"] == "CUSTOM_IDENTIFIER_ALREADY_USED"


def test_the_process_leaves_at_once_while_a_request_hangs():
    running = start_sandbox()
    hang_an_order(running)

    assert running.stop() == 0


def hang_an_order(running: Running) -> None:
    """Send a slow order without waiting for its answer, until the sandbox has counted it."""
    body = b'{"productId":120,"quantity":1,"unitPrice":25,"customIdentifier":"ref-1"}'
    host, port = running.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    head = (
        f"POST /reloadly/orders HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n"
        f"Authorization: Bearer {running.token}\r\nX-Sandbox-Fault: slow; seconds=600\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    for _ in range(200):
        if running.summary()["faults_fired"] == {"slow": 1}:
            return
    raise AssertionError("the slow order never arrived")
