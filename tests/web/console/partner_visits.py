"""What tests of a partner's pages ask of them: forms, and the secret that a page shows."""

import re
from typing import Any

from werkzeug.test import TestResponse

from pipelines.wiring import House
from tests.driving import rows
from tests.partnering import Partner
from tests.web.console.conftest import SAME_ORIGIN, Visitor
from tests.web.console.test_discount_form import hidden

HOME = "/console/partners"
NEW = f"{HOME}/new"
SECRET = re.compile(r'id="secret" data-value="([\w+/]{43}=)"')


def home_of(partner: Partner) -> str:
    return f"{HOME}/{partner.id}"


def post(visitor: Visitor, path: str, form: dict[str, Any]) -> TestResponse:
    """Send a form as it stands; the same again is the same form."""
    return visitor.client.post(path, data=form, headers=SAME_ORIGIN)


def form_of(visitor: Visitor, path: str) -> dict[str, str]:
    """The hidden fields of the last form of a page."""
    return hidden(visitor.get(path).text)


def only(house: House) -> Any:
    (row,) = rows(house, "SELECT * FROM partners")
    return row


def actions(house: House) -> list[str]:
    """What the audit says of partners, in its order."""
    found = rows(
        house, "SELECT action FROM audit_entries WHERE action LIKE 'partner.%' ORDER BY id"
    )
    return [row.action for row in found]
