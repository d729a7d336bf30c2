"""Requests that are refused as a whole: each with its code, and nothing written."""

from typing import Any

import pytest
from sqlalchemy import insert, text

from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM
from models.tenants import ClientBrand
from pipelines.credit.refusals import InsufficientCredit, NoCreditAccount
from pipelines.errors import NotFound, Refusal
from pipelines.jobs.create import DuplicateUpload
from pipelines.jobs.kinds import OnError
from pipelines.jobs.refusals import PreviewStale
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows
from tests.intake import (
    money_of,
    new_brand,
    preview_file,
    submit_file,
    table_sizes,
    with_limits,
)
from tests.seeding import Seeded, seed


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False, credit_minor=10_000)


def refused_with(house: House, seeded: Seeded, content: Any, **chosen: Any) -> Refusal:
    """The refusal of a request, after which every table is as it was."""
    before = table_sizes(house)
    with pytest.raises(Refusal) as refused:
        submit_file(house, seeded, content, **chosen)
    assert table_sizes(house) == before
    return refused.value


def change(house: House, statement: str, **values: Any) -> None:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        session.execute(text(statement), values)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"\xef\xbb\xbf", "empty_file"),
        (b"\n\n\n", "empty_file"),
        (b"reference,email\n", "no_rows"),
        ("reference,email\nr,a@example.com\n".encode("utf-16"), "encoding_not_utf8"),
        (b"reference,name\nr1,Jos\xe9\n", "encoding_not_utf8"),
        (b"PK\x03\x04 and so on", "unsupported_media_type"),
        (b"\x1f\x8b\x08 and so on", "unsupported_media_type"),
        (b"email,name,Email\na@example.com,A,a@example.com\n", "duplicate_header"),
        (b"email,favourite_colour\na@example.com,blue\n", "unknown_columns"),
        (b'reference\n"never closed\n', "malformed_csv"),
        (b'reference\n"x"y\n', "malformed_csv"),
        (b"reference\nr\x00\n", "illegal_character"),
        (b"reference," * 70 + b"\n", "too_many_columns"),
        ([], "empty_recipients"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_both_modes(
    house: House, seeded: Seeded, content: Any, code: str
) -> None:
    for on_error in OnError:
        assert refused_with(house, seeded, content, on_error=on_error).code == code


@pytest.mark.parametrize(("method", "column"), [("email", "email"), ("sms", "phone")])
def test_the_delivery_method_says_which_column_must_be_there(
    house: House, seeded: Seeded, method: str, column: str
) -> None:
    refusal = refused_with(house, seeded, b"reference\nr1\n", delivery_method=method)

    assert (refusal.code, refusal.extra) == ("missing_columns", {"names": [column]})


def test_a_file_with_a_row_too_many_is_refused(house: House, seeded: Seeded) -> None:
    small = with_limits(house, csv_rows_max=3)

    refusal = refused_with(small, seeded, recipients_csv(4), on_error=OnError.SKIP)

    assert refusal.code == "too_many_rows"


def test_a_job_beyond_the_credit_is_refused_with_the_numbers(house: House, seeded: Seeded) -> None:
    """EC-054: 5 x 25.00 on 100.00, of which one card's worth is held already."""
    submit_file(house, seeded, recipients_csv(1, start=100))

    refusal = refused_with(house, seeded, recipients_csv(4))

    assert isinstance(refusal, InsufficientCredit)
    assert refusal.extra == {
        "required_minor": 10_000,
        "available_minor": 7_500,
        "held_by_jobs_minor": 2_500,
    }
    assert money_of(house, seeded.client_account) == (10_000, 2_500)


def test_exactly_the_credit_there_is_may_be_spent(house: House, seeded: Seeded) -> None:
    submit_file(house, seeded, recipients_csv(4))

    assert money_of(house, seeded.client_account) == (10_000, 10_000)


def test_a_currency_without_an_account_is_a_want_of_credit(house: House, seeded: Seeded) -> None:
    euros = new_brand(house, "Euro shop", "EUR")

    refusal = refused_with(house, seeded, recipients_csv(1), brand_id=euros)

    assert isinstance(refusal, NoCreditAccount)
    assert refusal.code == "insufficient_credit"


@pytest.mark.parametrize("state", ["paused", "closed"])
def test_a_campaign_that_is_not_active_takes_no_job(
    house: House, seeded: Seeded, state: str
) -> None:
    change(house, "UPDATE campaigns SET state = :state", state=state)

    assert refused_with(house, seeded, recipients_csv(1)).code == "campaign_closed"


def test_a_suspended_client_takes_no_job(house: House, seeded: Seeded) -> None:
    change(house, "UPDATE clients SET suspended_at = now()")

    assert refused_with(house, seeded, recipients_csv(1)).code == "account_suspended"


def test_a_campaign_of_another_client_does_not_exist(house: House, seeded: Seeded) -> None:
    other = seed(house, vendor=False)

    refusal = refused_with(house, seeded, recipients_csv(1), campaign_id=other.campaign_id)

    assert isinstance(refusal, NotFound)


def test_a_brand_the_client_may_not_draw_on_is_refused(house: House, seeded: Seeded) -> None:
    only = new_brand(house, "The only one")
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            insert(ClientBrand).values(
                client_id=seeded.client_id, brand_id=only, agency_id=seeded.agency_id
            )
        )

    assert refused_with(house, seeded, recipients_csv(1)).code == "brand_unavailable"


def test_b53_the_same_file_again_is_refused_and_names_the_first_job(
    house: House, seeded: Seeded
) -> None:
    """B53: a second click on upload is not a second campaign."""
    first = submit_file(house, seeded, recipients_csv(1)).job_id

    refusal = refused_with(house, seeded, recipients_csv(1))

    assert isinstance(refusal, DuplicateUpload)
    assert (refusal.code, refusal.extra) == ("duplicate_upload", {"job_id": str(first)})


def test_b53_force_takes_the_same_file_any_number_of_times(house: House, seeded: Seeded) -> None:
    jobs = {submit_file(house, seeded, recipients_csv(1), force=n > 0).job_id for n in range(3)}

    assert len(jobs) == 3
    assert money_of(house, seeded.client_account) == (10_000, 7_500)


def test_a_refused_file_may_be_sent_again_once_there_is_credit(
    house: House, seeded: Seeded
) -> None:
    refused_with(house, seeded, recipients_csv(5))
    change(house, "UPDATE accounts SET unlimited = true WHERE id = :id", id=seeded.client_account)

    submit_file(house, seeded, recipients_csv(5))

    assert money_of(house, seeded.client_account) == (10_000, 12_500)


def test_the_same_file_is_welcome_in_another_campaign_s_name(house: House, seeded: Seeded) -> None:
    other = seed(house, vendor=False)

    submit_file(house, seeded, recipients_csv(1))
    submit_file(house, other, recipients_csv(1))

    assert rows(house, "SELECT count(*) AS n FROM jobs")[0].n == 2


def test_a_plan_hash_holds_what_was_agreed(house: House, seeded: Seeded) -> None:
    agreed = preview_file(house, seeded, recipients_csv(2))["plan_hash"]

    submit_file(house, seeded, recipients_csv(2), plan_hash=agreed)

    assert money_of(house, seeded.client_account) == (10_000, 5_000)


@pytest.mark.parametrize(
    ("content", "chosen"),
    [
        (recipients_csv(3), {}),
        (recipients_csv(2, start=1), {}),
        (recipients_csv(2), {"denomination_minor": 2600}),
        (recipients_csv(2), {"delivery_method": "email"}),
        (recipients_csv(2), {"on_error": OnError.SKIP}),
    ],
    ids=["more rows", "other people", "other value", "other delivery", "other mode"],
)
def test_anything_else_than_what_was_agreed_is_stale(
    house: House, seeded: Seeded, content: bytes, chosen: dict[str, Any]
) -> None:
    agreed = preview_file(house, seeded, recipients_csv(2))["plan_hash"]

    refusal = refused_with(house, seeded, content, plan_hash=agreed, **chosen)

    assert isinstance(refusal, PreviewStale)
    assert refusal.extra["plan_hash"] == preview_file(house, seeded, content, **chosen)["plan_hash"]


def test_a_recipient_served_since_the_preview_makes_it_stale(house: House, seeded: Seeded) -> None:
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    skip = {"on_error": OnError.SKIP}
    agreed = preview_file(house, seeded, recipients_csv(2), **skip)["plan_hash"]
    submit_file(house, seeded, recipients_csv(1))
    drain(house)

    refusal = refused_with(house, seeded, recipients_csv(2), plan_hash=agreed, **skip)

    assert isinstance(refusal, PreviewStale)
