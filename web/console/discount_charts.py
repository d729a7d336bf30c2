"""How codes were used over days, as drawings with their tables: pure."""

from pipelines.discounts.analytics import Analytics
from pipelines.discounts.outcomes import Amounts
from web.console.charts import Chart, Series, bar_chart, line_chart
from web.console.formats import money, number


def outcomes_chart(found: Analytics) -> Chart:
    """What became of the reservations of each day: parts of one bar."""
    days = found.by_day()
    outcomes = list(days.values())
    return bar_chart(
        "reservations",
        "Reservations per day",
        axis="Day",
        steps=[f"{day:%d %b}" for day in days],
        series=[
            Series("Paid", [one.paid for one in outcomes]),
            Series("Abandoned", [one.abandoned for one in outcomes]),
            Series("Given back otherwise", [one.given_back - one.abandoned for one in outcomes]),
            Series("Not settled yet", [one.live for one in outcomes]),
        ],
        say=number,
        description="What became of the reservations that were made on each of "
        f"{len(days)} days ({found.period.zone}).",
    )


def amount_charts(found: Analytics) -> list[Chart]:
    """The discount and the revenue of each day, a drawing for each currency in which was paid."""
    sums = found.by_currency()
    return [_amounts(found, currency) for currency, one in sums.items() if one != Amounts()]


def _amounts(found: Analytics, currency: str) -> Chart:
    days = found.amounts_by_day(currency)

    def say(minor: float) -> str:
        return money(round(minor), currency)

    return line_chart(
        f"amounts-{currency.lower()}",
        f"Discount and revenue in {currency} per day",
        axis="Day",
        steps=[f"{day:%d %b}" for day in days],
        series=[
            Series("Discount given", [one.discount_minor for one in days.values()]),
            Series("Revenue", [one.revenue_minor for one in days.values()]),
        ],
        say=say,
        description="Of the reservations that were made on each day and are paid and not "
        "refunded: what the code took off, and what was paid, with tax.",
    )
