"""A file of codes that is sent while another file is taken in (S4-061)."""

from pipelines.wiring import House
from tests.seeding import Seeded
from tests.web.console.conftest import Visitor
from tests.web.console.test_campaign_codes import (
    load,
    mia,
    path,
    standing,
    withdraw_listed,
)
from tests.web.console.test_redeem_page import CODE, OTHER, app, seeded
from web.admission import intake_slot

__all__ = ["app", "mia", "path", "seeded"]


def test_while_another_file_is_taken_a_file_of_codes_waits_and_what_was_typed_stays(
    house: House, seeded: Seeded, mia: Visitor, path: str
) -> None:
    load(mia, seeded, OTHER)
    with intake_slot():
        busy = load(mia, seeded, CODE, amount="37.50", reopen_withdrawn="1")
        listed = withdraw_listed(mia, path, OTHER, reason="Posted in a forum")

    assert (busy.status_code, listed.status_code) == (503, 503)
    assert int(busy.headers["Retry-After"]) > 0
    assert "Another file is being taken in" in busy.text.partition('id="file-wrong"')[2]
    assert 'value="37.50"' in busy.text
    assert 'name="reopen_withdrawn" value="1" checked' in busy.text
    assert "Another file is being taken in" in listed.text.partition('id="listed-wrong"')[2]
    assert 'value="Posted in a forum"' in listed.text
    assert standing(house) == [(2500, False)]
