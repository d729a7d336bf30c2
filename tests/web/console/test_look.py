"""What the look promises: readable in light and dark, and nothing inline in any page."""

import re
from pathlib import Path

import pytest

WEB = Path(__file__).parents[3] / "web"
TEXT_ON_GROUND = (
    ("ink", "ground"),
    ("ink-soft", "ground"),
    ("ink-soft", "surface"),
    ("ink-soft", "sunken"),
    ("accent", "surface"),
    ("accent", "ground"),
    ("accent-strong", "accent-soft"),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
    ("good", "good-soft"),
    ("warn", "warn-soft"),
    ("bad", "bad-soft"),
    ("bad", "surface"),
    ("info", "info-soft"),
    ("ink", "bad-soft"),
)


def palettes() -> list[dict[str, str]]:
    """The tokens in light and in dark."""
    css = (WEB / "static" / "base.css").read_text()
    blocks = re.findall(r":root \{(.*?)\n\s*\}", css, re.DOTALL)
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in blocks]


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", palettes(), ids=["light", "dark"])
def test_text_stands_out_from_its_ground(palette: dict[str, str]):
    faint = [
        (text, ground)
        for text, ground in TEXT_ON_GROUND
        if contrast(palette[text], palette[ground]) < 4.5
    ]

    assert faint == []


def test_no_template_has_inline_code_or_trusts_text():
    """SEC-33: the policy forbids inline code and styles, and nothing is marked as safe."""
    forbidden = re.compile(r'\|\s*safe|<style|\sstyle=|\son[a-z]+="|<script(?![^>]*\ssrc=)|//cdn')
    templates = sorted((WEB / "templates").rglob("*.html"))

    found = [path.name for path in templates if forbidden.search(path.read_text())]

    assert len(templates) > 15
    assert found == []


def test_no_page_loads_anything_from_elsewhere():
    files = [*(WEB / "static").glob("*.css"), *(WEB / "static").glob("*.js")]

    assert [path.name for path in files if re.search(r"https?://|@import", path.read_text())] == []
