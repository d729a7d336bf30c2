"""The HTTP door cannot be led elsewhere: by the environment, by an answer, by an address (SEC-25)."""

import pytest

from pipelines.providers.transport import ConnectFailed, VendorTransport
from tests.providers.socket_server import certificate, reply, serving


def get(server):
    return VendorTransport().request("GET", server.url + "/x", headers={}, deadline_seconds=5)


def post(server):
    return VendorTransport().request(
        "POST", server.url + "/x", headers={}, json={"a": 1}, deadline_seconds=5
    )


@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"])
def test_sec025_no_variable_sends_calls_through_a_proxy(monkeypatch, name):
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    with serving(lambda peer, _: peer.sendall(reply())) as server:
        assert get(server).status == 200


def test_sec025_no_file_of_the_machine_adds_credentials(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password KANARIE\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(lambda peer, _: peer.sendall(reply())) as server:
        get(server)

    assert b"authorization" not in server.requests[0].lower()


def test_sec025_no_variable_names_another_trust_for_certificates(monkeypatch, tmp_path):
    context, ca_file = certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca_file)
    monkeypatch.setenv("CURL_CA_BUNDLE", ca_file)
    with (
        serving(lambda peer, _: peer.sendall(reply()), tls=context) as server,
        pytest.raises(ConnectFailed),
    ):
        post(server)


@pytest.mark.parametrize("status", [b"301 x", b"302 x", b"303 x", b"307 x", b"308 x"])
@pytest.mark.parametrize("target", [b"http://169.254.169.254/latest", b"file:///etc/passwd", b"/x"])
def test_sec025_no_redirect_is_followed_wherever_it_leads(status, target):
    moved = reply(b"", head=b"HTTP/1.1 " + status, extra=b"Location: " + target + b"\r\n")
    with serving(lambda peer, _: peer.sendall(moved)) as server:
        assert get(server).status == int(status[:3])
        assert len(server.requests) == 1


@pytest.mark.parametrize("url", ["file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/"])
def test_sec025_no_other_scheme_is_spoken(url):
    with pytest.raises(ConnectFailed):
        VendorTransport().request("GET", url, headers={}, deadline_seconds=5)
