"""What is told with an alert is read by people: amounts are money (S4-041)."""

import pytest

from pipelines.alerts.facts import facts_of


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        (
            {"currency": "USD", "full_minor": 2_512_500, "percent": 20},
            ["full $25,125.00", "percent 20"],
        ),
        ({"balance_minor": 5000, "currency": "JPY"}, ["balance ¥5,000"]),
        ({"spent_minor": 1200}, ["spent minor 1,200"]),
        ({"spent_minor": 1200, "currency": "ZZZ"}, ["spent minor 1,200", "currency ZZZ"]),
        ({"currency": "USD", "items": 2}, ["currency USD", "items 2"]),
        ({"balance_minor": 0, "currency": None}, ["balance minor 0"]),
        ({"job_id": "x"}, ["job id x"]),
    ],
)
def test_s4_041_amounts_of_alerts_are_said_as_money(
    detail: dict[str, str | int | None], said: list[str]
) -> None:
    assert list(facts_of(detail)) == said
