"""Charts say with shapes what their table says with words, and nothing that a page forbids."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment, FileSystemLoader

from web.console.charts import (
    BOTTOM,
    HEIGHT,
    METER_WIDTH,
    STEPS_MAX,
    TOP,
    Chart,
    Series,
    bar_chart,
    line_chart,
    meter,
    scale_of,
)

TEMPLATES = Path(__file__).parents[2] / "web" / "templates"
AMOUNTS = st.one_of(st.none(), st.integers(0, 10**12))


def drawn(chart: Chart) -> str:
    page = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    source = '{% from "console/charts.html" import chart %}{{ chart(drawn) }}'
    return page.from_string(source).render(drawn=chart)


def test_a_chart_has_its_numbers_as_a_table_and_no_style_of_its_own() -> None:
    chart = line_chart(
        "spend",
        "Spend & more",
        axis="Day",
        steps=["1 Nov", "2 Nov", "3 Nov"],
        series=[Series("<Spent>", [5, None, 20]), Series("Left", [95, 95, 75])],
        say=lambda value: f"${value:g}",
    )

    html = drawn(chart)

    assert chart.rows == (("1 Nov", "$5", "$95"), ("2 Nov", "–", "$95"), ("3 Nov", "$20", "$75"))
    root = ET.fromstring(html)
    cells = [cell.text for cell in root.iter("td")]
    assert cells == ["$5", "$95", "–", "$95", "$20", "$75"]
    assert {head.get("scope") for head in root.iter("th")} == {"col", "row"}
    assert next(root.iter("svg")).get("role") == "img"
    assert "style=" not in html
    assert "<Spent>" not in html and "&lt;Spent&gt;" in html


def test_a_line_breaks_where_there_is_no_value() -> None:
    chart = line_chart(
        "a", "A", axis="Day", steps=list("abcd"), series=[Series("s", [1, 2, None, 4])]
    )

    assert re.sub(r"[\d. ]", "", chart.shapes[0].path) == "MLM"


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS, AMOUNTS), min_size=1, max_size=40))
def test_bars_stand_on_each_other_inside_the_plane(values: list[tuple[int | None, ...]]) -> None:
    series = [Series(f"s{n}", [row[n] for row in values]) for n in range(3)]

    chart = bar_chart(
        "b", "B", axis="Day", steps=[str(n) for n in range(len(values))], series=series
    )

    foot = HEIGHT - BOTTOM
    for bar in chart.shapes:
        assert bar.y >= TOP - 0.1
        assert bar.y + bar.height <= foot + 0.2
    assert len(chart.shapes) == sum(1 for row in values for value in row if value)
    assert len(chart.rows) == len(values)


@given(st.floats(min_value=1e-6, max_value=1e15))
def test_a_scale_is_round_reaches_the_highest_and_has_few_steps(highest: float) -> None:
    ticks = scale_of(highest)

    assert ticks[0] == 0
    assert ticks[-1] >= highest
    assert len(ticks) <= STEPS_MAX + 1
    assert list(ticks) == sorted(ticks)


def test_a_meter_shares_its_width_out_and_an_empty_one_is_empty() -> None:
    full = meter("m", "Credit", parts=[("Spent", 30), ("Held", 10), ("Free", 60)])
    empty = meter("n", "Credit", parts=[("Spent", 0), ("Free", 0)])

    assert [shape.width for shape in full.shapes] == [
        METER_WIDTH * share for share in (0.3, 0.1, 0.6)
    ]
    assert [row[2] for row in full.rows] == ["30.0 %", "10.0 %", "60.0 %"]
    assert empty.shapes == ()
    assert "<table>" in drawn(empty)


def test_a_series_with_a_value_missing_is_refused() -> None:
    with pytest.raises(ValueError, match="one value"):
        bar_chart("b", "B", axis="Day", steps=["a", "b"], series=[Series("s", [1])])
