"""The HTTP door against a real socket server: deadlines, and proof of what was sent."""

import gzip
import socket
from decimal import Decimal

import pytest

from models.database import in_transaction
from pipelines.providers.transport import (
    BODY_BYTES_MAX,
    AnswerLost,
    ConnectFailed,
    VendorTransport,
)
from tests.providers.socket_server import certificate, reply, serving


def get(server, transport=None, **options):
    options = {"headers": {}, "deadline_seconds": 5} | options
    return (transport or VendorTransport()).request("GET", server.url + "/x", **options)


def post(server, transport=None, **options):
    options = {"headers": {}, "json": {"a": 1}, "deadline_seconds": 5} | options
    return (transport or VendorTransport()).request("POST", server.url + "/x", **options)


def test_an_answer_comes_back_whole():
    with serving(
        lambda peer, _: peer.sendall(reply(b'{"a":1}', extra=b"Retry-After: 7\r\n"))
    ) as server:
        answer = get(server, headers={"Accept": "text/x"}, params={"q": "a b"})

    assert (answer.status, answer.body, answer.headers["retry-after"]) == (200, b'{"a":1}', "7")
    assert server.requests[0].startswith(b"GET /x?q=a+b HTTP/1.1\r\n")
    assert b"\r\nAccept: text/x\r\n" in server.requests[0]
    assert repr(answer) == "Answer(status=200, body=7 bytes)"


def test_amounts_leave_digit_by_digit():
    with serving(lambda peer, _: peer.sendall(reply())) as server:
        post(server, json={"unitPrice": Decimal("25.1"), "name": "Zoë", "n": [1, None, True]})

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert body == b'{"unitPrice":25.1,"name":"Zo\\u00eb","n":[1,null,true]}'
    assert b"Content-Type: application/json" in head


def test_a_refused_connection_proves_nothing_was_sent():
    with serving(lambda *_: None) as server:
        pass

    with pytest.raises(ConnectFailed, match=r"^ConnectionRefusedError$"):
        post(server)


def test_a_name_that_does_not_resolve_proves_nothing_was_sent():
    with pytest.raises(ConnectFailed, match=r"^name_not_resolved$"):
        VendorTransport().request(
            "POST", "http://vendor.invalid/x", headers={}, json={}, deadline_seconds=5
        )


def test_an_untrusted_certificate_proves_nothing_was_sent(tmp_path):
    context, _ = certificate(tmp_path)
    with (
        serving(lambda peer, _: peer.sendall(reply()), tls=context) as server,
        pytest.raises(ConnectFailed, match=r"^SSLCertVerificationError$"),
    ):
        post(server)

    assert server.requests == []


def test_a_server_that_does_not_speak_tls_proves_nothing_was_sent():
    with (
        serving(lambda peer, _: peer.sendall(b"220 hello\r\n"), reads=False) as server,
        pytest.raises(ConnectFailed),
    ):
        VendorTransport().request(
            "POST", server.url.replace("http", "https"), headers={}, json={}, deadline_seconds=5
        )


def test_a_tls_handshake_that_hangs_is_cut_and_proves_nothing_was_sent():
    with (
        serving(lambda _, server: server.stopping.wait(30), reads=False) as server,
        pytest.raises(ConnectFailed, match=r"^deadline$"),
    ):
        VendorTransport().request(
            "POST", server.url.replace("http", "https"), headers={}, json={}, deadline_seconds=1
        )


def test_a_full_backlog_ends_as_a_failed_connection():
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    waiting = [socket.socket() for _ in range(4)]
    for each in waiting:
        each.setblocking(False)
        each.connect_ex(listener.getsockname())

    with pytest.raises(ConnectFailed):
        VendorTransport().request(
            "POST",
            f"http://127.0.0.1:{listener.getsockname()[1]}",
            headers={},
            json={},
            deadline_seconds=0.5,
        )
    for each in [listener, *waiting]:
        each.close()


@pytest.mark.parametrize("call", [get, post])
def test_a_connection_closed_without_an_answer_loses_the_answer(call):
    with serving(lambda *_: None) as server, pytest.raises(AnswerLost):
        call(server)

    assert len(server.requests) == 1, "the door must not try again by itself"


def test_a_reset_after_the_request_loses_the_answer():
    def reset(peer, _):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()

    with serving(reset) as server, pytest.raises(AnswerLost, match=r"^ConnectionResetError$"):
        post(server)


def test_a_silent_server_is_cut_at_the_deadline():
    with (
        serving(lambda _, server: server.stopping.wait(30)) as server,
        pytest.raises(AnswerLost, match=r"^deadline$"),
    ):
        post(server, deadline_seconds=0.5)


def test_headers_at_one_byte_a_second_are_cut_at_the_deadline():
    with (
        serving(lambda peer, server: server.trickle(peer, reply())) as server,
        pytest.raises(AnswerLost, match=r"^deadline$"),
    ):
        post(server, deadline_seconds=1.5)


def test_half_of_the_headers_at_the_deadline_are_not_an_answer():
    """http.client takes an end of file among the headers for their end."""
    half = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"

    def stall(peer, server):
        peer.sendall(half)
        server.trickle(peer, b"X-Slow: abcdef\r\n\r\n")

    with serving(stall) as server, pytest.raises(AnswerLost, match=r"^deadline$"):
        post(server, deadline_seconds=1.5)


def test_a_body_at_one_byte_a_second_is_cut_at_the_deadline():
    def trickle(peer, server):
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")
        server.trickle(peer, b"x" * 99)

    with serving(trickle) as server, pytest.raises(AnswerLost, match=r"^deadline$"):
        post(server, deadline_seconds=1.5)


def test_a_body_that_trickles_through_tls_is_cut_at_the_deadline(tmp_path):
    def trickle(peer, server):
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")
        server.trickle(peer, b"x" * 99)

    context, ca_file = certificate(tmp_path)
    with (
        serving(trickle, tls=context) as server,
        pytest.raises(AnswerLost, match=r"^deadline$"),
    ):
        post(server, VendorTransport(ca_file=ca_file), deadline_seconds=1.5)
    assert len(server.requests) == 1


def test_an_answer_comes_back_whole_through_tls(tmp_path):
    context, ca_file = certificate(tmp_path)
    with serving(lambda peer, _: peer.sendall(reply(b'{"a":1}')), tls=context) as server:
        assert post(server, VendorTransport(ca_file=ca_file)).body == b'{"a":1}'


def test_a_body_shorter_than_promised_loses_the_answer():
    short = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}"
    with (
        serving(lambda peer, _: peer.sendall(short)) as server,
        pytest.raises(AnswerLost, match=r"^IncompleteRead$"),
    ):
        post(server)


@pytest.mark.parametrize(("size", "taken"), [(BODY_BYTES_MAX, True), (BODY_BYTES_MAX + 1, False)])
def test_a_body_may_be_one_mebibyte_and_no_more(size, taken):
    with serving(lambda peer, _: peer.sendall(reply(b"x" * size))) as server:
        if taken:
            assert len(get(server).body) == BODY_BYTES_MAX
        else:
            with pytest.raises(AnswerLost, match=r"^too_large$"):
                get(server)


def test_a_small_packed_body_may_not_unpack_to_a_large_one():
    packed = gzip.compress(b"x" * 50 * BODY_BYTES_MAX)
    sent = reply(packed, extra=b"Content-Encoding: gzip\r\n")
    with (
        serving(lambda peer, _: peer.sendall(sent)) as server,
        pytest.raises(AnswerLost, match=r"^too_large$"),
    ):
        get(server)


def test_a_redirect_is_an_answer_and_is_not_followed():
    moved = reply(b"", head=b"HTTP/1.1 302 Found", extra=b"Location: http://127.0.0.1:1/\r\n")
    with serving(lambda peer, _: peer.sendall(moved)) as server:
        assert post(server).status == 302


def test_gets_share_a_connection_and_each_post_opens_its_own():
    def keep(peer, _):
        peer.sendall(reply())
        return "keep"

    transport = VendorTransport()
    with serving(keep) as server:
        counts = []
        for call in (get, get, post, get, post):
            call(server, transport)
            counts.append(server.connections)
        transport._session().close()

    assert counts == [1, 1, 2, 2, 3]


def test_a_kept_connection_is_watched_too():
    def answers_once(peer, server):
        if len(server.requests) == 1:
            peer.sendall(reply())
            return "keep"
        return server.trickle(peer, reply())

    transport = VendorTransport()
    with serving(answers_once) as server:
        get(server, transport)
        with pytest.raises(AnswerLost, match=r"^deadline$"):
            get(server, transport, deadline_seconds=1.5)
    assert server.connections == 1


def test_cookies_are_not_kept():
    def keep(peer, _):
        peer.sendall(reply(extra=b"Set-Cookie: a=b\r\n"))
        return "keep"

    transport = VendorTransport()
    with serving(keep) as server:
        get(server, transport)
        get(server, transport)
        transport._session().close()

    assert b"cookie" not in server.requests[1].lower()


def test_a_failure_says_nothing_about_the_url_or_the_headers():
    with serving(lambda *_: None) as server, pytest.raises(AnswerLost) as caught:
        get(server, headers={"Authorization": "Bearer s3cr3t"}, params={"key": "s3cr3t"})

    seen, error = [], caught.value
    while error is not None:
        seen.append(f"{error!r}")
        error = error.__cause__ or error.__context__
    assert seen == ["AnswerLost('RemoteDisconnected')"]


def test_a_call_inside_a_database_transaction_is_refused():
    token = in_transaction.set(True)
    try:
        with (
            serving(lambda peer, _: peer.sendall(reply())) as server,
            pytest.raises(RuntimeError, match="network call inside a database transaction"),
        ):
            get(server)
    finally:
        in_transaction.reset(token)

    assert server.connections == 0
