"""How coupons were used over the last days, as a drawing with its table."""

from pipelines.books.usage import UsageByDay, in_all
from web.console.charts import Chart, Series, line_chart
from web.console.formats import number


def usage_chart(usage: UsageByDay) -> Chart:
    """What was given and what was redeemed on each day, as lines: neither is a part of the other."""
    return line_chart(
        "coupons-used",
        "Coupons assigned, redeemed and taken back per day",
        axis="Day",
        steps=[f"{day:%d %b}" for day in usage],
        series=[
            Series("Assigned", [one.assigned for one in usage.values()]),
            Series("Redeemed", [one.redeemed for one in usage.values()]),
            Series("Taken back", [one.released for one in usage.values()]),
        ],
        say=number,
        description="Coupons that were assigned, how often coupons were redeemed, and coupons that "
        f"were taken back, on each of the last {len(usage)} days (UTC).",
    )


def usage_words(usage: UsageByDay) -> str:
    """All that was done in the days that are drawn, also what the drawing leaves out."""
    whole = in_all(usage)
    return (
        f"In the last {len(usage)} days (UTC) {number(whole.assigned)} assigned, "
        f"{number(whole.redeemed)} redeemed, {number(whole.released)} released, "
        f"{number(whole.voided)} voided."
    )
