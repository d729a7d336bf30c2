"""Codes of a campaign in the console: loaded by file, counted, withdrawn; none is shown (S4-092)."""

import io
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from models.base import new_id
from models.people import Role
from pipelines.provisioning.code_counts import codes_by_value
from pipelines.wiring import House
from tests.driving import rows
from tests.intake import table_sizes
from tests.seeding import Seeded, seed
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor, visitor_of
from tests.web.console.test_redeem_page import CODE, OTHER, app, seeded, typed

__all__ = ["app", "seeded"]
NEW = "NEWC-7K2M-9QXA"


@pytest.fixture
def mia(app: Flask, house: House, seeded: Seeded) -> Visitor:
    """Manages the campaigns of a client."""
    return visitor_of(app, house, Role.CAMPAIGN_MANAGER, seeded)


@pytest.fixture
def path(seeded: Seeded) -> str:
    return f"/console/campaigns/{seeded.campaign_id}/codes"


def load(visitor: Visitor, seeded: Seeded, *codes: str, **fields: str) -> TestResponse:
    chosen = {"brand_id": str(seeded.brand_id), "amount": "25"} | fields
    content = "\n".join(["redemption_code", *codes, ""]).encode()
    path = f"/console/campaigns/{seeded.campaign_id}/codes"
    return followed(visitor, visitor.send(path, file=(io.BytesIO(content), "codes.csv"), **chosen))


def followed(visitor: Visitor, answer: TestResponse) -> TestResponse:
    """The page to which a form that was done leads; else the answer itself."""
    return visitor.get(answer.headers["Location"]) if answer.status_code == 303 else answer


def hidden(page: str) -> dict[str, str]:
    return {name: unescape(value) for name, value in HIDDEN.findall(page.rpartition("<form")[2])}


def standing(house: House) -> list[tuple[int, bool]]:
    """Value and withdrawal of every loaded code."""
    found = rows(
        house,
        "SELECT denomination_minor, withdrawn_at IS NOT NULL FROM loaded_codes "
        "ORDER BY denomination_minor, withdrawn_at IS NOT NULL",
    )
    return [tuple(row) for row in found]


def test_s4_092_where_not_all_codes_are_counted_the_page_says_so_and_a_withdrawal_counts_them(
    house: House, seeded: Seeded, mia: Visitor, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(mia, seeded, CODE, OTHER)
    monkeypatch.setitem(codes_by_value.__kwdefaults__, "at_most", 1)
    page = mia.get(path).text
    asking = mia.get(f"{path}/withdraw?brand_id={seeded.brand_id}&denomination_minor=2500").text

    assert "1 or more</td>" in page
    assert "each number may be greater" in page
    assert "Withdraw 2 open codes" in asking


def test_s4_092_a_file_of_codes_is_loaded_and_a_code_of_it_brings_a_card(
    house: House, seeded: Seeded, mia: Visitor, browser: FlaskClient, path: str
) -> None:
    empty = mia.get(path).text

    loaded = load(mia, seeded, CODE, OTHER)
    again = load(mia, seeded, CODE.lower(), NEW, NEW)
    redeemed = typed(browser, seeded)
    page = mia.get(path).text

    assert "No code yet" in empty
    assert "2 codes loaded." in loaded.text
    assert "1 code loaded. 2 rows changed nothing." in again.text
    assert "The campaign has the code already." in again.text
    assert "The code stands in the file before." in again.text
    assert redeemed.status_code == 303
    cells = page.partition(", $25.00</th>")[2].partition("</tr>")[0]
    assert [part.partition("<")[0] for part in cells.split('<td class="number">')[1:]] == list(
        "2103"
    )
    assert f"/redeem?campaign={seeded.campaign_id}" in page
    for answer in (loaded.text, again.text, page):
        assert not any(code in answer or code.lower() in answer for code in (CODE, OTHER, NEW))
    entries = rows(house, "SELECT detail FROM audit_entries WHERE action = 'codes.loaded'")
    assert [entry.detail["loaded"] for entry in entries] == [2, 1]


def test_ec065_a_wrong_row_refuses_the_file_and_is_told_by_its_number(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    load(mia, seeded, CODE)
    before = table_sizes(house)

    wrong = load(mia, seeded, NEW, "A-1", "sp ace-123456")
    differs = load(mia, seeded, NEW, CODE, amount="50")
    guessable = load(mia, seeded, *(f"CODE-2026-{n:08d}" for n in range(30)))

    assert {answer.status_code for answer in (wrong, differs, guessable)} == {422}
    assert "Nothing was changed: 2 rows cannot be used." in wrong.text
    table = wrong.text.partition("What is wrong in which row")[2].partition("</table>")[0]
    rows_told = table.split('<th scope="row" class="number">')[1:]
    assert [row.partition("<")[0] for row in rows_told] == ["2", "3"]
    assert "A code has at least 12 letters and digits" in table
    assert "sp ace" not in wrong.text
    assert "Withdraw it first, or leave it out." in differs.text
    assert "Codes like these are found by trying" in guessable.text
    assert table_sizes(house) == before


def test_what_is_wrong_with_a_load_is_told_at_its_field_and_nothing_is_loaded(
    house: House, seeded: Seeded, mia: Visitor, path: str
) -> None:
    before = table_sizes(house)
    chosen = {"brand_id": str(seeded.brand_id), "amount": "25"}
    large = io.BytesIO(b"redemption_code\n" + b"x" * (8 * 1024 * 1024))

    without = mia.send(path, **chosen)
    larger = mia.send(path, file=(large, "codes.csv"), **chosen)

    for field, value, words in (
        ("brand_id", str(new_id()), "Choose the brand"),
        ("brand_id", "x", "Choose the brand"),
        ("amount", "0", "more than zero"),
        ("amount", "many", "Give the amount as digits"),
    ):
        refused = load(mia, seeded, CODE, **{field: value})

        assert refused.status_code == 422
        assert words in refused.text.partition(f'id="{field}-wrong"')[2].partition("</span>")[0]
    assert "Choose a CSV file" in without.text
    assert "larger than 8" in larger.text
    assert (without.status_code, larger.status_code) == (422, 422)
    assert table_sizes(house) == before


def test_ec065_open_codes_of_a_value_are_counted_and_withdrawn_once_with_a_reason(
    house: House, seeded: Seeded, mia: Visitor, browser: FlaskClient, path: str
) -> None:
    load(mia, seeded, CODE, OTHER)
    load(mia, seeded, NEW, amount="50")
    typed(browser, seeded)
    asked = f"{path}/withdraw?brand_id={seeded.brand_id}&denomination_minor=2500"

    listed, shown = mia.get(path).text, mia.get(asked).text
    unreasoned = mia.send(f"{path}/withdraw", asked, reason=" ")
    form = hidden(shown) | {"reason": "Printed with a wrong value"}
    done = [mia.client.post(f"{path}/withdraw", data=form, headers=SAME_ORIGIN) for _ in range(2)]
    gone, kept = typed(browser, seeded, OTHER), typed(browser, seeded)

    assert f'href="{asked.replace("&", "&amp;")}"' in listed
    assert "Withdraw 1 open code</button>" in shown
    assert "$25.00" in shown
    assert unreasoned.status_code == 422
    assert "Say in a few words why" in unreasoned.text
    assert {answer.headers["Location"] for answer in done} == {f"{path}?done=withdrawn"}
    assert (gone.status_code, kept.status_code) == (404, 303)
    assert standing(house) == [(2500, False), (2500, True), (5000, False)]
    (entry,) = rows(house, "SELECT detail FROM audit_entries WHERE action = 'codes.withdrawn'")
    assert entry.detail["withdrawn"] == 1
    assert entry.detail["reason"] == "Printed with a wrong value"
    assert "The codes are withdrawn" in mia.get(done[0].headers["Location"]).text
    assert "No code is open here" in mia.get(asked).text


def test_ec065_codes_that_came_after_the_count_or_were_half_chosen_are_not_withdrawn(
    house: House, seeded: Seeded, mia: Visitor, path: str
) -> None:
    load(mia, seeded, CODE)
    form = hidden(mia.get(f"{path}/withdraw").text) | {"reason": "Leaked"}
    load(mia, seeded, OTHER, amount="50")
    halves = (
        {"brand_id": str(seeded.brand_id)},
        {"denomination_minor": "2500"},
        {"brand_id": "x", "denomination_minor": "2500"},
        {"brand_id": str(seeded.brand_id), "denomination_minor": "-1"},
    )
    odd_counts = ("9" * 5_000, "-1", "many", "")

    odd = [
        mia.client.post(f"{path}/withdraw", data=form | half, headers=SAME_ORIGIN).status_code
        for half in halves
    ]
    miscounted = [
        mia.client.post(
            f"{path}/withdraw", data=form | {"open": count}, headers=SAME_ORIGIN
        ).status_code
        for count in odd_counts
    ]
    refused = mia.client.post(f"{path}/withdraw", data=form, headers=SAME_ORIGIN)
    before = standing(house)
    again = hidden(refused.text) | {"reason": "Leaked"}
    mia.client.post(f"{path}/withdraw", data=again, headers=SAME_ORIGIN)

    assert odd == [404] * 4
    assert miscounted == [409] * 4
    assert '<div class="scroll" id="open" tabindex="-1">' in refused.text
    assert refused.status_code == 409
    assert "More codes were loaded since." in refused.text
    assert 'value="Leaked"' in refused.text
    assert "Withdraw 2 open codes</button>" in refused.text
    assert before == [(2500, False), (5000, False)]
    assert standing(house) == [(2500, True), (5000, True)]


def test_ec065_a_form_of_codes_that_is_sent_again_makes_no_withdrawn_code_good_again(
    house: House, seeded: Seeded, mia: Visitor, path: str
) -> None:
    chosen = {"brand_id": str(seeded.brand_id), "amount": "25"} | hidden(mia.get(path).text)

    def send(form: dict[str, str]) -> TestResponse:
        file = (io.BytesIO(f"redemption_code\n{CODE}\n{OTHER}\n".encode()), "codes.csv")
        return mia.client.post(path, data=form | {"file": file}, headers=SAME_ORIGIN)

    first = send(chosen)
    withdraw_listed(mia, path, CODE, reason="Leaked")
    twice = send(chosen)
    after_both = standing(house)
    anew = followed(mia, send(chosen | hidden(mia.get(path).text)))
    after_anew = standing(house)
    dearer = hidden(mia.get(path).text) | {"amount": "50"}
    differs = send(chosen | dearer)
    withdraw_listed(mia, path, OTHER, reason="Leaked too")
    left = followed(mia, send(chosen | dearer))
    after_left = standing(house)
    opening = dearer | hidden(mia.get(path).text) | {"reopen_withdrawn": "1"}
    opened = followed(mia, send(chosen | opening))

    assert first.status_code == 303
    assert first.headers["Location"] == twice.headers["Location"]
    assert "2 codes loaded." in mia.get(first.headers["Location"]).text
    assert after_both == after_anew == [(2500, False), (2500, True)]
    assert "No code was new. 2 rows changed nothing." in anew.text
    assert "1 code withdrawn before: left so." in anew.text
    assert 'class="notice warn"' in anew.text
    assert "The code was withdrawn before." in anew.text
    assert (differs.status_code, "Withdraw it first" in differs.text) == (422, True)
    assert "2 codes withdrawn before: left so." in left.text
    assert after_left == [(2500, True), (2500, True)]
    assert "2 codes loaded." in opened.text
    assert standing(house) == [(5000, False), (5000, False)]


def withdraw_listed(visitor: Visitor, path: str, *codes: str, reason: str) -> TestResponse:
    content = "\n".join(["redemption_code", *codes, ""]).encode()
    file = (io.BytesIO(content), "leaked.csv")
    sent = visitor.send(f"{path}/withdraw-listed", path, listed=file, reason=reason)
    return followed(visitor, sent)


def test_ec065_the_codes_of_a_leaked_list_are_withdrawn_and_no_others(
    house: House, seeded: Seeded, mia: Visitor, browser: FlaskClient, path: str
) -> None:
    load(mia, seeded, CODE, OTHER, NEW)
    typed(browser, seeded)
    leaked = (CODE, OTHER.lower(), OTHER, "NOTO-7K2M-OURS")

    silent = withdraw_listed(mia, path, *leaked, reason="")
    wrong = withdraw_listed(mia, path, OTHER, "A-1", reason="Leaked")
    before = standing(house)
    done = withdraw_listed(mia, path, *leaked, reason="Posted in a forum")
    again = withdraw_listed(mia, path, *leaked, reason="Posted in a forum")

    assert (silent.status_code, wrong.status_code) == (422, 422)
    assert "Say in a few words why" in silent.text
    assert "Nothing was changed: 1 row cannot be used." in wrong.text
    assert before == [(2500, False)] * 3
    assert "1 code withdrawn. 3 rows changed nothing." in done.text
    for words in (
        "The code brought a card, or is about to.",
        "The code stands in the file before.",
        "The campaign does not have the code.",
    ):
        assert words in done.text
    assert "No code was withdrawn. 4 rows changed nothing." in again.text
    assert ['class="notice good"' in page.text for page in (done, again)] == [True, False]
    assert 'class="notice warn"' in again.text
    assert "The code was withdrawn before." in again.text
    assert standing(house) == [(2500, False), (2500, False), (2500, True)]
    assert typed(browser, seeded, OTHER).status_code == 404
    assert typed(browser, seeded, NEW).status_code == 303
    entries = rows(house, "SELECT detail FROM audit_entries WHERE action = 'codes.withdrawn'")
    assert [entry.detail["withdrawn"] for entry in entries] == [1, 0]
    assert OTHER not in done.text + again.text + str(entries)


def test_a_viewer_counts_codes_and_changes_none_and_nobody_sees_another_tenants(
    app: Flask, house: House, seeded: Seeded, mia: Visitor, path: str
) -> None:
    load(mia, seeded, CODE)
    foreign = seed(house, vendor=False)
    viewer = visitor_of(app, house, Role.CLIENT_VIEWER, seeded)
    theirs = f"/console/campaigns/{foreign.campaign_id}/codes"

    seen = viewer.get(path).text
    refused = viewer.send(path, "/console/campaigns", reason="x")

    assert ", $25.00</th>" in seen
    assert "Load codes" not in seen
    assert f"{path}/withdraw" not in seen
    assert viewer.get(f"{path}/withdraw").status_code == 403
    assert refused.status_code == 403
    assert path in mia.get(path.removesuffix("/codes")).text
    for answer in (
        mia.get(theirs),
        mia.get(f"{theirs}/withdraw"),
        mia.send(theirs, path, brand_id=str(seeded.brand_id), amount="25"),
        mia.send(f"{theirs}/withdraw", path, reason="Leaked"),
    ):
        assert answer.status_code == 404
    assert standing(house) == [(2500, False)]


def test_an_agency_loads_codes_for_its_client_and_a_closed_campaign_takes_none(
    app: Flask, house: House, seeded: Seeded, path: str
) -> None:
    agency = visitor_of(app, house, Role.AGENCY_ADMIN, seeded)
    form = hidden(agency.get(path).text)
    loaded = load(agency, seeded, CODE)
    rows(house, "UPDATE campaigns SET state = 'closed' RETURNING 1")

    shut = agency.get(path).text
    file = (io.BytesIO(f"redemption_code\n{OTHER}\n".encode()), "codes.csv")
    late = agency.client.post(
        path,
        data=form | {"brand_id": str(seeded.brand_id), "amount": "25", "file": file},
        headers=SAME_ORIGIN,
    )

    assert "1 code loaded." in loaded.text
    assert "it hands out no codes any more" in shut
    assert "Load codes" not in shut
    assert late.status_code in {409, 422}
    assert "The campaign is closed" in late.text
    assert standing(house) == [(2500, False)]
