"""Read Stripe's forms: `line_items[0][quantity]=2`, held against the parameters that are known."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ops.sandbox.stripe_door import Refused
from ops.sandbox.stripe_objects import Facts

#: What a parameter is; a mapping is a group of parameters, a list of one shape is a list of such.
TEXT, NUMBER, FLAG, WORDS = "text", "number", "flag", "words"
Shape = str | Mapping[str, Any] | list[Any]

WORDS_MAX, KEY_CHARACTERS_MAX, WORD_CHARACTERS_MAX = 50, 40, 500
_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART = re.compile(r"\[([^\[\]]*)\]")


def read_form(pairs: Iterable[tuple[str, str]], shape: Mapping[str, Any]) -> Facts:
    """The parameters as values; refused are unknown ones and those of another type."""
    tree: Facts = {}
    for name, value in pairs:
        _plant(tree, name, value)
    return dict(_fit(tree, shape, ""))


def needed(facts: Mapping[str, Any], name: str, at: str = "") -> Any:
    """A parameter that the call cannot do without; `at` is the group it stands in."""
    if facts.get(name) is None:
        param = f"{at}[{name}]" if at else name
        message = f"Missing required param: {param}."
        raise Refused(400, message, code="parameter_missing", param=param)
    return facts[name]


def one_of(value: str, known: Iterable[str], param: str) -> str:
    if value not in known:
        raise Refused(400, f"Invalid {param}: must be one of {', '.join(known)}", param=param)
    return value


def _plant(tree: Facts, name: str, value: str) -> None:
    matched = _NAME.fullmatch(name)
    if matched is None:
        raise _unknown(name)
    parts = [matched[1], *_PART.findall(matched[2])]
    place = tree
    for part in parts[:-1]:
        place = place.setdefault(part or str(len(place)), {})
        if not isinstance(place, dict):
            raise Refused(400, f"Invalid object: {name}", param=name)
    place[parts[-1] or str(len(place))] = value


def _fit(value: Any, shape: Shape, at: str) -> Any:
    if isinstance(shape, Mapping):
        return _fit_group(value, shape, at)
    if isinstance(shape, list):
        if not isinstance(value, dict) or not all(key.isdecimal() for key in value):
            raise Refused(400, "Invalid array", param=at)
        rows = sorted(value.items(), key=lambda item: int(item[0]))
        return [_fit(one, shape[0], f"{at}[{number}]") for number, one in rows]
    if shape == WORDS:
        return _fit_words(value, at)
    return _fit_scalar(value, shape, at)


def _fit_group(value: Any, shape: Mapping[str, Any], at: str) -> Facts:
    if not isinstance(value, dict):
        raise Refused(400, "Invalid object", param=at)
    fitted = {}
    for name, part in value.items():
        param = f"{at}[{name}]" if at else name
        if name not in shape:
            raise _unknown(param)
        fitted[name] = _fit(part, shape[name], param)
    return fitted


def _fit_words(value: Any, at: str) -> dict[str, str]:
    """Metadata: few short words."""
    if value == "":
        return {}
    if not isinstance(value, dict) or not all(isinstance(word, str) for word in value.values()):
        raise Refused(400, "Invalid object", param=at)
    if len(value) > WORDS_MAX:
        raise Refused(400, f"Metadata can have up to {WORDS_MAX} keys", param=at)
    for key, word in value.items():
        if len(key) > KEY_CHARACTERS_MAX:
            raise Refused(
                400, f"Metadata keys can have up to {KEY_CHARACTERS_MAX} characters", param=at
            )
        if len(word) > WORD_CHARACTERS_MAX:
            message = f"Metadata values can have up to {WORD_CHARACTERS_MAX} characters"
            raise Refused(400, message, param=f"{at}[{key}]")
    return {key: word for key, word in value.items() if word}


def _fit_scalar(value: Any, shape: str, at: str) -> str | int | bool:
    if not isinstance(value, str):
        raise Refused(400, f"Invalid {'string' if shape == TEXT else 'value'}", param=at)
    if not value:
        message = f"You passed an empty string for '{at}', which cannot be unset."
        raise Refused(400, message, code="parameter_invalid_empty", param=at)
    if shape == NUMBER:
        if re.fullmatch(r"-?[0-9]{1,15}", value) is None:
            message = f"Invalid integer: {value}"
            raise Refused(400, message, code="parameter_invalid_integer", param=at)
        return int(value)
    if shape == FLAG:
        return one_of(value, ("true", "false"), at) == "true"
    return value


def _unknown(param: str) -> Refused:
    message = f"Received unknown parameter: {param}"
    return Refused(400, message, code="parameter_unknown", param=param)
