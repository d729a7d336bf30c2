"""The one HTTP door to vendors: a total deadline, and proof of whether anything was sent.

`requests` bounds each read, not the whole call, so a server that trickles bytes could hold a
worker for hours. Here a watchdog shuts the socket down at the deadline, whatever the call is
doing: connecting, shaking hands, waiting for headers or reading the body. The connection itself
notes the moment before its first byte leaves; a failure before that is `ConnectFailed` (nothing
ran), any later one is `AnswerLost` (the vendor may have acted).

Only name resolution cannot be cut from outside; a call that comes out of it late sends nothing.
"""

import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from typing import Self
from urllib.parse import urlencode

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from models.database import in_transaction
from pipelines.errors import Fault
from pipelines.providers.exact import encode_json

BODY_BYTES_MAX = 1024 * 1024
#: A vendor that takes longer to accept a connection is down.
CONNECT_SECONDS = 3.0
_READ_BYTES = 64 * 1024
_USER_AGENT = "largesse"


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """What came back, complete and within the limits; header names are in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Answer(status={self.status}, body={len(self.body)} bytes)"


class ConnectFailed(Fault):
    """Nothing was sent: the name, the connection or the TLS handshake failed, or time ran out."""


class AnswerLost(Fault):
    """Something was sent and no complete answer came back: the vendor may have acted."""


@dataclass(frozen=True, slots=True)
class Manners:
    """Whom a transport trusts how far; a vendor, unless said otherwise."""

    #: A longer body is a lost answer, or with `cuts_body` is read so far and no further.
    body_bytes_max: int = BODY_BYTES_MAX
    cuts_body: bool = False
    #: Asked of each address of the name at each connection, which goes to the address asked about;
    #: one that is refused refuses the name. None: the name is ours, and may lead anywhere.
    may_reach: Callable[[str], bool] | None = None


class VendorTransport:
    """Calls vendors; safe to share between threads, each of which has its own session.

    An idle connection may be closed by the vendor just as we write to it, and then nobody can
    say whether the request arrived. So everything but GET starts on a fresh connection.
    """

    def __init__(self, *, ca_file: str | None = None, manners: "Manners | None" = None) -> None:
        self._ca_file = ca_file
        self._manners = manners or Manners()
        self._threads = threading.local()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        json: object = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        params: Mapping[str, str] | None = None,
        deadline_seconds: float,
        send_by: float | None = None,
    ) -> Answer:
        """One attempt, over within `deadline_seconds`; raises `ConnectFailed` or `AnswerLost`.

        The body is `json`, or `form` in the way browsers send one, or `content`, which is JSON
        already and is sent byte for byte, or none.

        `send_by` (monotonic seconds): after it no first byte leaves, so that a worker which
        froze on its way here cannot send what others have meanwhile found absent.
        """
        if in_transaction.get():
            raise RuntimeError("network call inside a database transaction")
        session = self._session()
        if method != "GET":
            session.close()
        wire = _Wire(time.monotonic() + deadline_seconds, send_by, self._manners)
        body = _body(json, form, content)
        answer: Answer | None = None
        cause = ""
        try:
            with wire:
                answer = _exchange(session, wire, method, url, headers, body, params)
        except (OSError, HTTPException, urllib3.exceptions.HTTPError, _TooLarge) as error:
            cause = _cause(error)  # the error itself quotes the URL, so it is not kept
        if wire.was_cut or (cause == "timeout" and wire.is_over()):
            cause = "deadline"
        if answer is not None and not cause:
            return answer
        session.close()
        if wire.was_sent:
            raise AnswerLost(cause)
        raise ConnectFailed(cause)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._threads, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False
            session.verify = self._ca_file or True
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            for scheme in ("http://", "https://"):
                session.mount(scheme, _Adapter(max_retries=0))
            self._threads.session = session
        return session


def _body(
    json: object, form: Mapping[str, str] | None, content: bytes | None
) -> tuple[bytes, str] | None:
    if form is not None:
        return urlencode(form).encode(), "application/x-www-form-urlencoded"
    if content is None and json is not None:
        content = encode_json(json)
    return None if content is None else (content, "application/json")


def _exchange(
    session: requests.Session,
    wire: "_Wire",
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: tuple[bytes, str] | None,
    params: Mapping[str, str] | None,
) -> Answer:
    plain = {"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"}
    content, typed = (None, {}) if body is None else (body[0], {"Content-Type": body[1]})
    response = session.request(
        method,
        url,
        headers=plain | typed | dict(headers),
        data=content,
        params=params,
        timeout=(CONNECT_SECONDS, wire.seconds_left()),
        allow_redirects=False,
        stream=True,
    )
    with response:
        named = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, _read(response, wire.manners), named)


def _read(response: requests.Response, manners: Manners) -> bytes:
    parts = bytearray()
    for part in response.iter_content(_READ_BYTES):
        parts += part
        if len(parts) > manners.body_bytes_max:
            if manners.cuts_body:
                break
            raise _TooLarge
    return bytes(parts[: manners.body_bytes_max])


class _TooLarge(Exception):
    """The body is longer than anything a vendor documents."""


class _NotReached(OSError):
    """The name leads to an address that this transport may not reach."""


def _cause(error: BaseException) -> str:
    """A word for the log: the innermost error's kind, without its text."""
    innermost: object = error
    while isinstance(innermost, BaseException):
        found = innermost
        nested = (arg for arg in found.args if isinstance(arg, BaseException))
        innermost = getattr(found, "reason", None) or next(nested, None) or found.__cause__
    match found:
        case _TooLarge():
            return "too_large"
        case _NotReached():
            return "address_forbidden"
        case socket.gaierror():
            return "name_not_resolved"
        case TimeoutError():
            return "timeout"
        case _:
            return type(found).__name__


@dataclass(slots=True)
class _Wire:
    """One call's way out: its deadline, its socket, and whether bytes have left.

    The socket is held by a duplicate of its descriptor, so that it can be shut down while TLS
    owns the original, and so that the number cannot meanwhile belong to another connection.
    """

    deadline_at: float
    send_by: float | None = None
    manners: Manners = field(default_factory=Manners)
    was_sent: bool = False
    was_cut: bool = False
    _socket: socket.socket | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _watchdog: threading.Timer | None = None
    _unset: Callable[[], None] | None = None

    def __enter__(self) -> Self:
        token = _current.set(self)
        self._unset = lambda: _current.reset(token)
        self._watchdog = threading.Timer(self.seconds_left(), self._cut)
        self._watchdog.daemon = True
        self._watchdog.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._watchdog is not None
        assert self._unset is not None
        self._watchdog.cancel()
        self._unset()
        with self._lock:
            self._release()

    def seconds_left(self) -> float:
        """Never quite zero: for a socket, a timeout of zero means something else."""
        return max(0.001, self.deadline_at - time.monotonic())

    def is_over(self) -> bool:
        """Whether the deadline has passed; the socket may notice before the watchdog cuts it."""
        return time.monotonic() >= self.deadline_at

    def hold(self, connection: socket.socket) -> None:
        """Watch this socket from now on; refuses if the deadline has passed."""
        with self._lock:
            self._release()
            if self.was_cut:
                raise TimeoutError
            self._socket = socket.fromfd(connection.fileno(), connection.family, connection.type)

    def sending(self, connection: socket.socket) -> None:
        """Called before each write; the first one is the point of no return."""
        if self.was_sent:
            return
        if self._socket is None:  # a connection kept from an earlier call
            self.hold(connection)
        with self._lock:
            is_late = self.send_by is not None and time.monotonic() > self.send_by
            if self.was_cut or is_late:
                raise TimeoutError
            self.was_sent = True

    def _cut(self) -> None:
        with self._lock:
            self.was_cut = True
            if self._socket is not None:
                with suppress(OSError):  # the vendor may have closed it first
                    self._socket.shutdown(socket.SHUT_RDWR)

    def _release(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


_current: ContextVar[_Wire] = ContextVar("vendor_wire")


class _Watched(HTTPConnection):
    """A connection that lets the call's wire watch its socket and its first byte."""

    def _new_conn(self) -> socket.socket:
        wire = _current.get()
        connect_by = min(wire.deadline_at, time.monotonic() + CONNECT_SECONDS)
        failure: OSError = TimeoutError()
        found = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        may_reach = wire.manners.may_reach
        if may_reach is not None and not all(may_reach(str(entry[4][0])) for entry in found):
            raise _NotReached
        for family, kind, protocol, _, address in found:
            left = connect_by - time.monotonic()
            if left <= 0:
                break
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(left)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.connect(address)
                connection.settimeout(wire.seconds_left())
                wire.hold(connection)
                return connection
            except OSError as error:
                connection.close()
                failure = error
        raise failure

    def send(self, data: object) -> None:
        if self.sock is None:
            self.connect()
        _current.get().sending(self.sock)
        super().send(data)  # type: ignore[arg-type]  # http.client hands on what it was given


class _WatchedTls(_Watched, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTls


class _Adapter(HTTPAdapter):
    """Makes watched connections; never retries."""

    def init_poolmanager(self, *args: object, **kwargs: object) -> None:
        super().init_poolmanager(*args, **kwargs)  # type: ignore[arg-type]
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
