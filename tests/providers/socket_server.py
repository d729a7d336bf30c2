"""A real socket server whose every byte the test decides, and a certificate for it."""

import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Server:
    """Takes connections one by one and hands each, with the request bytes, to `answer`."""

    def __init__(self, answer, *, tls=None, reads=True):
        self.answer, self.tls, self.reads = answer, tls, reads
        self.requests, self.connections = [], 0
        self.stopping = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while not self.stopping.is_set():
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            with peer, suppress(OSError):
                self.converse(self.tls.wrap_socket(peer, server_side=True) if self.tls else peer)

    def converse(self, peer):
        while self.reads:
            request = read_request(peer)
            if not request:
                return
            self.requests.append(request)
            if self.answer(peer, self) != "keep":
                return
        self.answer(peer, self)

    def trickle(self, peer, payload):
        """One byte a second, as a slow or spiteful server would."""
        for byte in payload:
            peer.sendall(bytes([byte]))
            if self.stopping.wait(1.0):
                return

    def stop(self):
        self.stopping.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)


def read_request(peer):
    received = b""
    while b"\r\n\r\n" not in received:
        part = peer.recv(65536)
        if not part:
            return received
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line.split(b":")[1]):
                body += peer.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def serving(answer, **options):
    server = Server(answer, **options)
    try:
        yield server
    finally:
        server.stop()


def reply(body=b"{}", *, head=b"HTTP/1.1 200 OK", extra=b""):
    return head + b"\r\nContent-Length: %d\r\n%b\r\n%b" % (len(body), extra, body)


def certificate(tmp_path):
    """A certificate for 127.0.0.1 that nobody trusts unless told to."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vendor")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "vendor.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + built.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, str(path)
