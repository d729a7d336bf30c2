"""A brand's price that somebody else set meanwhile, and clients whom the form does not list (EC-078)."""

import pytest

from models.base import new_id
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded, seed
from tests.web.console.conftest import Visitor
from tests.web.console.test_brands import PRICE, agree, check, home, operator, prices
from web.console import person_form

__all__ = ["operator"]


def test_ec078_a_price_that_somebody_else_set_meanwhile_is_not_replaced_unseen(
    operator: Visitor, house: House, seeded: Seeded
):
    path = f"{home(seeded)}/price"
    mine = check(operator, path, **PRICE)
    theirs = check(operator, path, **PRICE | {"share": "90"})

    agree(operator, path, theirs, reason="Contract")
    conflict = agree(operator, path, mine, reason="Three percent on top")
    unmoved = prices(house)
    done = agree(operator, path, conflict, reason="Agreed with them")
    elsewhere = check(operator, path, **PRICE | {"value": "25"})

    assert conflict.status_code == 409
    assert "Somebody else changed it since you looked" in conflict.text
    assert "<td>90 % of the value</td><td>103 % of the value</td>" in conflict.text
    assert 'value="Three percent on top"' in conflict.text
    assert unmoved == [(None, None, None, 9_000, True)]
    assert done.status_code == 303
    assert prices(house) == [(None, None, None, 9_000, False), (None, None, None, 10_300, True)]
    assert "No price of its own" in elsewhere.text


def test_a_client_that_is_not_listed_is_named_by_its_id(
    operator: Visitor, house: House, seeded: Seeded, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(person_form, "CHOICES_MAX", 1)
    newer, other = seed(house, vendor=False), str(seeded.client_id)
    path, making = f"{home(seeded)}/price", "/console/campaigns/new"
    new = {"name": "Spring", "time_zone": "", "client_id": ""}

    shown, made = operator.get(path).text, operator.get(making).text
    checked = check(operator, path, **PRICE | {"other_client_id": other})
    set_ = agree(operator, path, checked)
    wrong = [
        check(operator, path, **PRICE | {"other_client_id": "nobody"}),
        operator.send(making, **new, other_client_id="nobody"),
        operator.send(making, **new, other_client_id=str(new_id())),
    ]
    campaign = operator.send(making, **new, other_client_id=other)

    for page in (shown, made):
        assert "The newest 1 clients are listed above" in page
        assert (str(newer.client_id) in page, other in page) == (True, False)
    assert (set_.status_code, prices(house)) == (
        303,
        [(seeded.client_id, None, None, 10_300, True)],
    )
    for refused in wrong:
        assert refused.status_code == 422
        assert 'id="other_client_id-wrong"' in refused.text
    assert campaign.status_code == 303
    found = rows(house, "SELECT client_id FROM campaigns WHERE name = 'Spring'")
    assert found == [(seeded.client_id,)]
