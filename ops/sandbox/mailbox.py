"""Keep the mails the sandbox received, and let a test read them."""

import email
import email.policy
import time
from email.message import EmailMessage
from typing import Any

from flask import Blueprint, Response, request

from ops.sandbox.store import Store
from ops.sandbox.wire import reply

#: Mails in one answer of `/mailbox`, the newest first.
PAGE_MAILS = 200


class Mailbox:
    """Every mail that was taken in, by arrival."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, sender: str, recipients: list[str], content: bytes) -> None:
        with self._store.transaction() as connection:
            for recipient in recipients:
                connection.execute(
                    "INSERT INTO mails (recipient, sender, content, received_at)"
                    " VALUES (?, ?, ?, ?)",
                    (recipient.casefold(), sender, content, time.time()),
                )

    def listing(self, to: str | None, *, limit: int) -> list[dict[str, Any]]:
        """The newest mails first, those to one address if it is named."""
        with self._store.alone() as connection:
            rows = connection.execute(
                "SELECT mail_id, recipient, sender, content, received_at FROM mails"
                " WHERE ? IS NULL OR recipient = ? ORDER BY mail_id DESC LIMIT ?",
                (to, (to or "").casefold(), limit),
            ).fetchall()
        return [_shown(row) for row in rows]


def mailbox_pages(mailbox: Mailbox) -> Blueprint:
    pages = Blueprint("mailbox", __name__)

    @pages.get("/mailbox")
    def list_mails() -> Response:
        limit = min(request.args.get("limit", PAGE_MAILS, int), PAGE_MAILS)
        return reply({"mails": mailbox.listing(request.args.get("to"), limit=limit)})

    return pages


def _shown(row: Any) -> dict[str, Any]:
    """A mail as a person's program would show it, with its headers as they were sent."""
    message = email.message_from_bytes(row["content"], policy=email.policy.default)
    return {
        "id": row["mail_id"],
        "to": row["recipient"],
        "from": row["sender"],
        "received_at": row["received_at"],
        "subject": str(message["Subject"] or ""),
        "headers": [[name, str(value)] for name, value in message.items()],
        "text": _part(message, "plain"),
        "html": _part(message, "html"),
    }


def _part(message: EmailMessage, kind: str) -> str | None:
    body = message.get_body((kind,))
    return None if body is None else str(body.get_content()).replace("\r\n", "\n")
