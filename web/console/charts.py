"""Charts as shapes on a plane, with the table that says the same: pure.

`chart` in `console/charts.html` draws what these functions return. A page gives numbers and the
words for them; nothing here knows what they mean.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import floor, log10

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 76, 12, 12, 30
#: Steps on the scale: enough to read by, few enough not to be lines of their own.
STEPS_MAX = 4
#: So many words fit below the plane.
WORDS_MAX = 8
TONES = ("one", "two", "three", "four")
METER_WIDTH, METER_HEIGHT = 640, 12

Say = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or one part of every bar; None where there is no value."""

    label: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Shape:
    """A path or a box with the tone of its series; `words` is what pointing at it says."""

    tone: str
    path: str = ""
    x: float = 0
    y: float = 0
    width: float = 0
    height: float = 0
    words: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """A word at a place of the plane; `at` runs along the axis it belongs to."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with everything it says as text; `name` is unique on its page."""

    name: str
    title: str
    description: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    shapes: tuple[Shape, ...] = ()
    scale: tuple[Word, ...] = ()
    below: tuple[Word, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Plane:
    """Where a value and a step along the axis lie."""

    top: float
    steps: int
    ticks: tuple[float, ...] = field(default=())

    def y(self, value: float) -> float:
        return round(HEIGHT - BOTTOM - value / self.top * (HEIGHT - BOTTOM - TOP), 1)

    def slot(self) -> float:
        return (WIDTH - LEFT - RIGHT) / max(1, self.steps)

    def middle(self, step: int) -> float:
        return round(LEFT + (step + 0.5) * self.slot(), 1)


def line_chart(
    name: str,
    title: str,
    *,
    axis: str,
    steps: Sequence[str],
    series: Sequence[Series],
    say: Say = str,
    description: str = "",
) -> Chart:
    """A line per series along `steps` (words of the axis); a None breaks its line.

    Values are zero or more. Raises `ValueError` where a series has not one value per step.
    """
    _check(steps, series)
    plane = _plane(steps, _highest(series))
    shapes = tuple(
        Shape(tone, path=_path(one.values, plane), words=one.label)
        for tone, one in _toned(series)
        if any(value is not None for value in one.values)
    )
    return _drawn(name, title, description, axis, steps, series, say, plane, shapes)


def bar_chart(
    name: str,
    title: str,
    *,
    axis: str,
    steps: Sequence[str],
    series: Sequence[Series],
    say: Say = str,
    description: str = "",
) -> Chart:
    """Bars along `steps`; several series stand upon each other. Values are zero or more."""
    _check(steps, series)
    sums = [sum(one.values[step] or 0 for one in series) for step in range(len(steps))]
    plane = _plane(steps, max(sums, default=0))
    shapes = tuple(_stacked(steps, series, say, plane))
    return _drawn(name, title, description, axis, steps, series, say, plane, shapes)


def meter(
    name: str,
    title: str,
    *,
    parts: Sequence[tuple[str, float]],
    say: Say = str,
    description: str = "",
) -> Chart:
    """One whole as parts of one bar, in their order; all zero draws an empty bar."""
    whole = sum(amount for _label, amount in parts)
    at, shapes = 0.0, []
    for (label, amount), tone in zip(parts, _tones(len(parts)), strict=True):
        width = METER_WIDTH * amount / whole if whole else 0.0
        words = f"{label}: {say(amount)}"
        if width:
            shapes.append(_box(tone, (at, 0), (width, METER_HEIGHT), words))
        at += width
    return Chart(
        name,
        title,
        description,
        head=("Part", "Amount", "Share"),
        rows=tuple((label, say(amount), _share(amount, whole)) for label, amount in parts),
        width=METER_WIDTH,
        height=METER_HEIGHT,
        left=0,
        shapes=tuple(shapes),
        legend=tuple(zip(_tones(len(parts)), (label for label, _ in parts), strict=True)),
    )


def scale_of(highest: float) -> tuple[float, ...]:
    """Round numbers from zero to at least `highest`, at most `STEPS_MAX` above zero."""
    if highest <= 0:
        return (0.0, 1.0)
    rough = highest / STEPS_MAX
    magnitude = 10.0 ** floor(log10(rough))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude * STEPS_MAX >= highest)
    ticks = [0.0]
    while ticks[-1] < highest:
        ticks.append(step * len(ticks))
    return tuple(ticks)


def _check(steps: Sequence[str], series: Sequence[Series]) -> None:
    if any(len(one.values) != len(steps) for one in series):
        raise ValueError("a series needs one value for every step")


def _plane(steps: Sequence[str], highest: float) -> _Plane:
    ticks = scale_of(highest)
    return _Plane(ticks[-1], len(steps), ticks)


def _highest(series: Sequence[Series]) -> float:
    return max((value for one in series for value in one.values if value is not None), default=0)


def _drawn(
    name: str,
    title: str,
    description: str,
    axis: str,
    steps: Sequence[str],
    series: Sequence[Series],
    say: Say,
    plane: _Plane,
    shapes: tuple[Shape, ...],
) -> Chart:
    every = max(1, -(-len(steps) // WORDS_MAX))
    rows = (
        (word, *(_said(one.values[step], say) for one in series)) for step, word in enumerate(steps)
    )
    return Chart(
        name,
        title,
        description,
        head=(axis, *(one.label for one in series)),
        rows=tuple(rows),
        shapes=shapes,
        scale=tuple(Word(plane.y(tick), say(tick)) for tick in plane.ticks),
        below=tuple(
            Word(plane.middle(step), word) for step, word in enumerate(steps) if step % every == 0
        ),
        legend=tuple((tone, one.label) for tone, one in _toned(series)),
    )


def _stacked(
    steps: Sequence[str], series: Sequence[Series], say: Say, plane: _Plane
) -> list[Shape]:
    shapes, wide = [], round(plane.slot() * 0.7, 1)
    for step, word in enumerate(steps):
        reached, left = 0.0, plane.middle(step) - wide / 2
        for tone, one in _toned(series):
            value = one.values[step] or 0
            if value:
                top, foot = plane.y(reached + value), plane.y(reached)
                words = f"{word}, {one.label}: {say(value)}"
                shapes.append(_box(tone, (left, top), (wide, foot - top), words))
            reached += value
    return shapes


def _path(values: Sequence[float | None], plane: _Plane) -> str:
    parts, pen_is_down = [], False
    for step, value in enumerate(values):
        if value is not None:
            parts.append(f"{'L' if pen_is_down else 'M'}{plane.middle(step)} {plane.y(value)}")
        pen_is_down = value is not None
    # A lone point is a line of no length; round ends make it a dot.
    return "".join(parts) + ("h0" if len(parts) == 1 else "")


def _box(tone: str, place: tuple[float, float], size: tuple[float, float], words: str) -> Shape:
    (x, y), (width, height) = place, size
    return Shape(
        tone,
        x=round(x, 1),
        y=round(y, 1),
        width=round(width, 1),
        height=round(height, 1),
        words=words,
    )


def _toned(series: Sequence[Series]) -> list[tuple[str, Series]]:
    return list(zip(_tones(len(series)), series, strict=True))


def _tones(count: int) -> tuple[str, ...]:
    return tuple(TONES[index % len(TONES)] for index in range(count))


def _said(value: float | None, say: Say) -> str:
    return "–" if value is None else say(value)


def _share(amount: float, whole: float) -> str:
    return f"{100 * amount / whole:.1f} %" if whole else "–"
