"""The preview writes nothing, and what it quotes is what happens."""

from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.credit.refusals import InsufficientCredit
from pipelines.jobs.kinds import OnError
from pipelines.provisioning.plan import Dedupe
from pipelines.provisioning.refusals import RowsRefused
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, submit, view
from tests.intake import money_of, preview_file, submit_file, table_sizes
from tests.proof import assert_proven
from tests.seeding import Seeded, seed

EMAILS = st.sampled_from([f"person{n}@example.com" for n in range(12)] + ["bad", ""])
VALUES = st.sampled_from(["", "2500", "1000", "0", "2.5"])
#: No call may start before an hour is over, so that no time passes while a test looks.
EMPTY_BUCKET = """
UPDATE vendor_accounts SET burst = 1, micro_tokens = 0, filled_at = now() + interval '1 hour' RETURNING 1
"""
ROWS = st.lists(st.tuples(EMAILS, VALUES), min_size=1, max_size=9)
CHOICES = st.fixed_dictionaries(
    {
        "on_error": st.sampled_from(list(OnError)),
        "dedupe": st.sampled_from(list(Dedupe)),
        "allow_repeat": st.booleans(),
    }
)


def test_a_preview_writes_nothing_and_says_everything(house: House) -> None:
    seeded = seed(house, vendor=False, credit_minor=20_000)
    import_cards_now(house, seeded.csv_pool, cards_csv(3))
    import_cards_now(house, seeded.buffer_pool, cards_csv(2))
    before = table_sizes(house)
    content = recipients_csv(6) + b"r0,person0@example.com,,\nr7,bad,,\n"

    quoted = preview_file(house, seeded, content)

    assert table_sizes(house) == before
    plan_hash = quoted.pop("plan_hash")
    assert len(plan_hash) == 32
    detail = quoted["invalid"][1].pop("detail")
    assert detail != ""
    assert quoted == {
        "rows": 8,
        "valid": 6,
        "invalid": [
            {
                "row": 7,
                "field": "email",
                "code": "duplicate_recipient",
                "detail": "The same recipient stands in row 1.",
            },
            {"row": 8, "field": "email", "code": "invalid_email"},
        ],
        "invalid_count": 1,
        "warnings": [],
        "warning_counts": {},
        "duplicates": 1,
        "skipped_count": 1,
        "cost": {"charge_minor": 15_000, "currency": "USD"},
        "sources": {"csv": 3, "buffer": 2, "api": 0, "none": 1},
        "credit": {"available_minor": 20_000, "after_minor": 5_000, "currency": "USD"},
        "eta_seconds": 1,
        "blockers": [
            {
                "code": "rows_refused",
                "detail": "Some rows have errors; correct them or choose on_error=skip.",
                "rows": 2,
            }
        ],
    }


def test_a_preview_beyond_the_credit_names_the_blocker(house: House) -> None:
    seeded = seed(house, vendor=False, credit_minor=4_000)

    quoted = preview_file(house, seeded, recipients_csv(2))

    assert quoted["credit"]["after_minor"] == -1_000
    assert [(b["code"], b["required_minor"], b["available_minor"]) for b in quoted["blockers"]] == [
        ("insufficient_credit", 5_000, 4_000)
    ]


def test_vendor_cards_are_quoted_with_the_time_they_take(house: House) -> None:
    seeded = seed(house, rate_per_minute=60)
    rows(house, EMPTY_BUCKET)

    quoted = preview_file(house, seeded, recipients_csv(30))

    assert quoted["sources"] == {"csv": 0, "buffer": 0, "api": 30, "none": 0}
    assert quoted["eta_seconds"] == 31


def test_calls_that_may_start_at_once_take_no_time(house: House) -> None:
    """A vendor left alone for a while takes a burst before its rate tells."""
    seeded = seed(house, rate_per_minute=60)

    assert preview_file(house, seeded, recipients_csv(30))["eta_seconds"] == 1


def test_orders_that_already_wait_are_waited_for(vendor_house: House) -> None:
    """Two jobs share a vendor: while the first has orders left, it takes every second call."""
    seeded = seed(vendor_house, rate_per_minute=60)
    rows(vendor_house, EMPTY_BUCKET)
    submit(vendor_house, seeded, recipients_csv(10))
    drain(vendor_house)

    quoted = preview_file(vendor_house, seeded, recipients_csv(30, start=100))

    assert quoted["eta_seconds"] == 30 + 10 + 1


class Ground:
    """The one house of the property below: examples follow each other in it."""

    house: ClassVar[House]
    seeded: ClassVar[Seeded]


def test_the_quote_is_the_outcome(house: House) -> None:
    Ground.house, Ground.seeded = house, seed(house, vendor=False, credit_minor=150_000)
    import_cards_now(house, Ground.seeded.csv_pool, cards_csv(15))
    import_cards_now(house, Ground.seeded.buffer_pool, cards_csv(8))

    quote_and_submit()

    assert_proven(house)


@given(listed=ROWS, chosen=CHOICES)
@settings(max_examples=35)
def quote_and_submit(listed: list[tuple[str, str]], chosen: dict[str, Any]) -> None:
    house, seeded = Ground.house, Ground.seeded
    lines = [f"{email},{value}" for email, value in listed]
    content = "\n".join(["email,denomination_minor", *lines, ""]).encode()
    chosen = chosen | {"force": True}
    before = table_sizes(house)
    quoted = preview_file(house, seeded, content, **chosen)
    assert table_sizes(house) == before
    blockers = {blocker["code"]: blocker for blocker in quoted["blockers"]}

    if "rows_refused" in blockers:
        with pytest.raises(RowsRefused) as refused:
            submit_file(house, seeded, content, **chosen)
        assert refused.value.extra["refused_rows"] == blockers["rows_refused"]["rows"]
        assert [e.as_json() for e in refused.value.errors] == quoted["invalid"]
        assert table_sizes(house) == before
        return
    if "insufficient_credit" in blockers:
        with pytest.raises(InsufficientCredit) as poor:
            submit_file(house, seeded, content, **chosen)
        assert poor.value.extra["required_minor"] == quoted["cost"]["charge_minor"]
        assert table_sizes(house) == before
        return
    accepted = submit_file(house, seeded, content, plan_hash=quoted["plan_hash"], **chosen)
    counts = view(house, accepted.job_id)["counts"]
    assert (counts["total"], counts["pending"]) == (quoted["rows"], quoted["valid"])
    assert (counts["failed"], counts["skipped"]) == (
        quoted["invalid_count"],
        quoted["skipped_count"],
    )
    balance, held = money_of(house, seeded.client_account)
    assert held == quoted["cost"]["charge_minor"]
    assert balance - held == quoted["credit"]["after_minor"]
    drain(house)
    job = view(house, accepted.job_id)
    sources = quoted["sources"]
    assert job["sources"] == {"csv": sources["csv"], "buffer": sources["buffer"], "api": 0}
    assert job["counts"]["succeeded"] == sources["csv"] + sources["buffer"]
    assert job["counts"]["failed"] == quoted["invalid_count"] + sources["none"]
