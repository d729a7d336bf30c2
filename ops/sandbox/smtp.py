"""Play a mail server over real SMTP, with the ways in which mail servers fail."""

import asyncio

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from ops.sandbox.faults import FaultBoard, FaultKind, Strike
from ops.sandbox.mailbox import Mailbox

#: What a server does at a point of the conversation: `rcpt` when it hears for whom the mail is,
#: `data` when it has all of it. `kept`: the mail was taken in though nobody heard so.
FAULTS = (
    FaultKind("refuse_recipient", "rcpt", {"code": 550}),
    FaultKind("defer_recipient", "rcpt", {"code": 450}),
    FaultKind("drop_at_recipient", "rcpt"),
    FaultKind("refuse_message", "data", {"code": 554}),
    FaultKind("defer_message", "data", {"code": 451}),
    FaultKind("drop_after_data", "data", {"kept": True}),
    FaultKind("slow", "data", {"seconds": 60.0}),
)
MESSAGE_BYTES_MAX = 1024 * 1024


def start_smtp(mailbox: Mailbox, faults: FaultBoard, *, host: str, port: int) -> None:
    """Serve SMTP in a thread of this process, as long as the process lives."""
    Controller(
        _Handler(mailbox, faults),
        hostname=host,
        port=port,
        data_size_limit=MESSAGE_BYTES_MAX,
        enable_SMTPUTF8=True,
        ident="Largesse sandbox",
    ).start()


class _Handler:
    """aiosmtpd's hooks; what they return is the reply."""

    def __init__(self, mailbox: Mailbox, faults: FaultBoard) -> None:
        self._mailbox = mailbox
        self._faults = faults

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's own name and shape
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        strike = self._faults.draw("rcpt")
        if strike is not None and strike.name == "drop_at_recipient":
            _drop(server)
        elif strike is not None:
            return _said(strike, "is not taken here")
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's own name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        strike = self._faults.draw("data")
        name = "" if strike is None else strike.name
        if strike is not None and "code" in strike.params:
            return _said(strike, "this message is not taken")
        if strike is not None and name == "slow":
            await asyncio.sleep(strike.number("seconds"))
        if name != "drop_after_data" or (strike is not None and strike.flag("kept")):
            content = envelope.original_content or b""
            self._mailbox.add(envelope.mail_from or "", list(envelope.rcpt_tos), content)
        if name == "drop_after_data":
            _drop(server)
        return "250 OK"


def _said(strike: Strike, why: str) -> str:
    return f"{int(strike.number('code'))} {why}"


def _drop(server: SMTP) -> None:
    """Reset the connection: the reply that follows reaches nobody."""
    if isinstance(server.transport, asyncio.WriteTransport):
        server.transport.abort()
