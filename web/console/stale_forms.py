"""Forms whose subject somebody else changed meanwhile: what is different now, and what was typed.

A form carries in `was_…` what each field held when it was shown. A field that was left alone follows what
is there now, so that who agrees to write over a change writes over nothing else.
"""

from collections.abc import Iterable, Mapping, Sequence

from flask import request


def shown_before(fields: Iterable[str]) -> dict[str, str]:
    """What the fields of the form that was sent held when it was shown."""
    return {name: request.form.get(f"was_{name}", "") for name in fields}


def touched_fields(
    fields: Iterable[str], typed: Mapping[str, str], was: Mapping[str, str]
) -> set[str]:
    """The fields that somebody typed into; lines of the same words are the same, however they end."""
    return {name for name in fields if _said(typed[name]) != _said(was[name])}


def filled_again(
    fields: Iterable[str], typed: Mapping[str, str], was: Mapping[str, str], now: Mapping[str, str]
) -> dict[str, str]:
    """What was typed where somebody typed, and what is there now in all other fields."""
    fields = list(fields)
    touched = touched_fields(fields, typed, was)
    return dict(typed) | {name: now[name] for name in fields if name not in touched}


def differences(
    fields: Mapping[str, str], was: Mapping[str, str], now: Mapping[str, str], otherwise: str
) -> Sequence[str]:
    """What is not as it was when a form was shown, a sentence each; else the words of `otherwise`."""
    told = [
        f"{words} was {_quoted(was[name])} and is {_quoted(now[name])} now."
        for name, words in fields.items()
        if _said(was[name]) != _said(now[name])
    ]
    return told or [otherwise]


def _said(text: str) -> str:
    return "\n".join(text.splitlines()).strip()


def _quoted(text: str) -> str:
    return f"“{text}”" if text else "not set"
