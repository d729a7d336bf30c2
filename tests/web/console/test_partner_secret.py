"""A partner's secret at the console: drawn, shown once, replaced with and without overlap (S0-01..10, EC-106)."""

from datetime import timedelta

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.driving import change, rows
from tests.partnering import Partner, make_partner, present, visit
from tests.seeding import Seeded
from tests.web.console.conftest import Visitor, visitor_of
from tests.web.console.partner_visits import (
    NEW,
    SECRET,
    actions,
    form_of,
    home_of,
    only,
    post,
)

DAY = timedelta(days=1)


def of(partner: Partner, page: str, house: House) -> Partner:
    """The partner's backend with the secret that a page shows."""
    found = SECRET.search(page)
    assert found is not None
    return Partner(partner.id, found[1], house)


def secrets(house: House) -> list[tuple[str, timedelta | None, bool]]:
    """Last characters, how long it goes on after the newest was drawn, and whether its text is kept."""
    found = rows(
        house,
        "SELECT last4, ends_at - (SELECT max(created_at) FROM partner_secrets) AS left, "
        "secret_sealed IS NOT NULL AS is_kept FROM partner_secrets ORDER BY id",
    )
    return [tuple(row) for row in found]


def test_s003_the_first_secret_is_drawn_by_a_button_and_shown_once(
    app: Flask, house: House, bob: Visitor
) -> None:
    """SEC-17"""
    bob.send(NEW, name="Shop", time_zone="UTC")
    made = Partner(only(house).id, "", house)
    path = f"{home_of(made)}/secret"
    question, form = bob.get(path).text, form_of(bob, path)

    first, again = (post(bob, path, form) for _ in range(2))

    backend = of(made, first.text, house)
    assert "Generate secret" in question
    assert "Goes on for" not in question
    assert first.headers["Cache-Control"] == "no-store"
    assert "shown this once" in first.text
    assert 'data-copies="secret"' in first.text
    assert present(app, backend.token()).status_code == 201
    assert (again.status_code, SECRET.search(again.text)) == (200, None)
    assert "a secret was drawn, and shown then" in again.text
    assert len(secrets(house)) == 1
    assert actions(house) == ["partner.created", "partner.secret_drawn"]
    for page in (bob.get(home_of(made)).text, bob.get(path).text, again.text):
        assert backend.secret not in page
        assert backend.secret[-4:] in page


@pytest.mark.parametrize(
    ("overlap", "left"),
    [("day", DAY), ("hour", timedelta(hours=1)), ("week", 7 * DAY)],
)
def test_ec106_the_secret_before_goes_on_as_long_as_was_chosen(
    app: Flask, house: House, seeded: Seeded, bob: Visitor, overlap: str, left: timedelta
) -> None:
    """EC-106"""
    before = make_partner(house, seeded)
    caller = visit(app, before)
    path = f"{home_of(before)}/secret"
    question = bob.get(path).text

    after = of(before, bob.send(path, overlap=overlap).text, house)

    assert 'value="day" checked' in question
    assert "with 1 visit of its users" in question
    assert secrets(house) == [(before.secret[-4:], left, True), (after.secret[-4:], None, True)]
    assert present(app, before.token()).status_code == 201
    assert present(app, after.token()).status_code == 201
    assert caller.get("/claims").status_code == 200
    page = bob.get(home_of(before)).text
    assert "Secrets before, which are still good" in page
    assert before.secret[-4:] in page
    assert "until" in bob.get(path).text


def test_ec106_a_secret_that_a_stranger_knows_ends_with_all_before_and_every_visit(
    app: Flask, house: House, seeded: Seeded, bob: Visitor
) -> None:
    """EC-106"""
    before = make_partner(house, seeded)
    callers = [visit(app, before, f"user-{n}") for n in range(2)]
    path = f"{home_of(before)}/secret"
    bob.send(path, overlap="day")
    refused = bob.send(path, overlap="hour")
    question = bob.get(path).text

    answer = bob.send(path, overlap="none")

    after = of(before, answer.text, house)
    assert (refused.status_code, "Two secrets are good already" in refused.text) == (409, True)
    assert 'value="day"' not in question
    assert "with 2 visits of its users" in question
    assert "<dt>Visits that were ended</dt><dd>2</dd>" in answer.text
    assert [kept for _last4, _left, kept in secrets(house)] == [False, False, True]
    assert present(app, before.token()).status_code == 401
    assert present(app, after.token()).status_code == 201
    assert {caller.get("/claims").status_code for caller in callers} == {401}
    assert actions(house).count("partner.secret_rotated") == 2


def test_s007_a_form_that_says_nothing_of_the_secret_before_draws_none(
    house: House, seeded: Seeded, bob: Visitor
) -> None:
    partner = make_partner(house, seeded)

    answer = bob.send(f"{home_of(partner)}/secret")

    assert (answer.status_code, '<a href="#overlap">' in answer.text) == (422, True)
    assert len(secrets(house)) == 1


def test_a_form_that_was_shown_before_somebody_else_drew_draws_none(
    house: House, seeded: Seeded, bob: Visitor
) -> None:
    partner = make_partner(house, seeded)
    path = f"{home_of(partner)}/secret"
    mine, theirs = (form_of(bob, path) | {"overlap": "none"} for _ in range(2))
    assert SECRET.search(post(bob, path, theirs).text) is not None

    answer = post(bob, path, mine)

    assert (answer.status_code, SECRET.search(answer.text)) == (409, None)
    assert "somebody else drew a secret" in answer.text
    assert len(secrets(house)) == 2


def test_sec004_a_secret_is_drawn_by_who_was_proven_a_moment_ago(
    house: House, seeded: Seeded, bob: Visitor
) -> None:
    """SEC-04"""
    partner = make_partner(house, seeded)
    path = f"{home_of(partner)}/secret"
    form = form_of(bob, path) | {"overlap": "day"}
    change(house, "UPDATE sign_ins SET proven_at = proven_at - interval '6 minutes'")

    asked, sent = bob.get(path), post(bob, path, form)

    assert asked.headers["Location"].startswith("/console/prove?next=")
    assert sent.headers["Location"].startswith("/console/prove")
    assert len(secrets(house)) == 1


def test_sec17_no_role_reads_a_secret_after_it_was_shown(
    app: Flask, house: House, seeded: Seeded
) -> None:
    """SEC-17"""
    partner = make_partner(house, seeded)

    for role in (Role.CAMPAIGN_MANAGER, Role.CLIENT_VIEWER, Role.AGENCY_ADMIN, Role.PLATFORM_ADMIN):
        page = visitor_of(app, house, role, seeded).get(home_of(partner))
        assert page.status_code == 200
        assert partner.secret not in page.text
        assert partner.secret[:8] not in page.text
        assert f"••••••••{partner.secret[-4:]}" in page.text
