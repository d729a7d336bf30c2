"""Hand one mail to the mail server: the second door to the network, and as strict as the first.

`smtplib` bounds each read, not the whole conversation; a watchdog shuts the socket down at the
deadline. A server's own words are not kept: they quote the address.
"""

import smtplib
import socket
import ssl
import threading
import time
from contextlib import suppress
from email.message import EmailMessage
from types import TracebackType
from typing import Self

from models.database import in_transaction
from pipelines.mail.outcomes import Bounced, NotNow, Outcome, Sent
from pipelines.mail_settings import MailSettings, Security

#: A server that takes longer to accept a connection, or to say a word, is down.
SILENCE_SECONDS = 10.0
#: After the deadline: how often to look whether there is a connection to shut down.
_CUT_AGAIN_SECONDS = 0.2


class MailServer:
    """The mail server of the settings; each mail has a connection of its own."""

    def __init__(self, settings: MailSettings, *, tls: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        self._tls = tls or ssl.create_default_context()

    def send(self, message: EmailMessage, *, to: str, deadline_seconds: float) -> Outcome:
        """One try, over within `deadline_seconds`.

        A refusal of the recipient or of the message is for good. Every other, of our name, our
        password or our place, is one for a person to mend, and the mail waits.
        """
        if in_transaction.get():
            raise RuntimeError("network call inside a database transaction")
        silence = min(SILENCE_SECONDS, deadline_seconds)
        line = self._line(silence)
        try:
            with _Watchdog(line, time.monotonic() + deadline_seconds) as watchdog:
                outcome = self._greet(line) or self._hand_over(line, message, to) or Sent()
                was_cut = watchdog.was_cut
                with suppress(smtplib.SMTPException, OSError):
                    line.quit()
        finally:
            line.close()
        return NotNow("deadline") if was_cut and isinstance(outcome, NotNow) else outcome

    def _line(self, silence: float) -> smtplib.SMTP:
        name = self._settings.sender.domain
        if self._settings.security is Security.TLS:
            return smtplib.SMTP_SSL(context=self._tls, timeout=silence, local_hostname=name)
        return smtplib.SMTP(timeout=silence, local_hostname=name)

    def _greet(self, line: smtplib.SMTP) -> NotNow | None:
        """Connect, protect the line, sign in; what goes wrong here says nothing of the mail."""
        settings = self._settings
        # smtplib takes the name that the certificate must have from here.
        line._host = settings.host  # type: ignore[attr-defined]
        try:
            code, _words = line.connect(settings.host, settings.port)
            if code != 220:
                return NotNow(f"smtp_{code}", of_house=True)
            if settings.security is Security.STARTTLS:
                line.starttls(context=self._tls)
            if settings.user:
                line.login(settings.user, settings.password)
        except ssl.SSLError:
            return NotNow("tls_failed", of_house=True)
        except smtplib.SMTPNotSupportedError:
            return NotNow("not_offered", of_house=True)
        except smtplib.SMTPResponseException as refusal:
            return NotNow(f"smtp_{refusal.smtp_code}", of_house=True)
        except (smtplib.SMTPException, OSError):
            return NotNow("unreachable", of_house=True)
        return None

    def _hand_over(
        self, line: smtplib.SMTP, message: EmailMessage, to: str
    ) -> Bounced | NotNow | None:
        try:
            line.send_message(message, self._settings.sender.addr_spec, [to])
        except smtplib.SMTPRecipientsRefused as refusal:
            return _judged(refusal.recipients[to][0])
        except smtplib.SMTPDataError as refusal:
            return _judged(refusal.smtp_code)
        except smtplib.SMTPNotSupportedError:
            return Bounced("smtputf8_not_offered")
        except smtplib.SMTPResponseException as refusal:
            # Of our sender, or of our greeting.
            return NotNow(f"smtp_{refusal.smtp_code}", of_house=True)
        except (smtplib.SMTPException, OSError):
            return NotNow("connection_lost")
        return None


def _judged(code: int) -> Bounced | NotNow:
    return Bounced(f"smtp_{code}") if 500 <= code < 600 else NotNow(f"smtp_{code}")


class _Watchdog:
    """Shuts a conversation down at its deadline, whatever it is doing, and each one begun after."""

    def __init__(self, line: smtplib.SMTP, deadline_at: float) -> None:
        self._line = line
        self._deadline_at = deadline_at
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.was_cut = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._is_over.set()

    def _watch(self) -> None:
        """A connection that was still being made at the deadline is cut once it is there."""
        wait = max(0.001, self._deadline_at - time.monotonic())
        while not self._is_over.wait(wait):
            self.was_cut = True
            self._cut()
            wait = _CUT_AGAIN_SECONDS

    def _cut(self) -> None:
        connection = getattr(self._line, "sock", None)
        if connection is not None:
            with suppress(OSError):  # the server may have closed it first
                connection.shutdown(socket.SHUT_RDWR)
