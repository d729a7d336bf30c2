"""What every test's own front makes anew and in vain is made once per test process.

Each test has a front of its own; its routes and templates are the same each time. Nothing here
changes what is done, only how often.
"""

import functools
import gc
from typing import Any

import pytest
from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from werkzeug.routing import Rule, rules


class _Bytecode(BytecodeCache):
    """Compiled templates, in memory; a template's bucket is named by its text."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if found := self._kept.get((bucket.key, bucket.checksum)):
            bucket.bytecode_from_string(found)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key, bucket.checksum] = bucket.bytecode_to_string()


def make_once(patch: pytest.MonkeyPatch) -> None:
    """For as long as `patch` stands."""
    patch.setattr(Flask, "jinja_options", {**Flask.jinja_options, "bytecode_cache": _Bytecode()})
    patch.setattr(Rule, "_compile_builder", _remembered(Rule._compile_builder))
    patch.setattr(Rule, "_parse_rule", _parsed_once(Rule._parse_rule))
    read = functools.cache(rules.parse_converter_args)
    patch.setattr(rules, "parse_converter_args", read)


def look_for_no_garbage() -> None:
    """While tests are collected nothing is let go of."""
    gc.disable()


def keep_what_was_collected() -> None:
    """Tests and modules live as long as the process: looking for garbage in them is in vain."""
    gc.enable()
    gc.collect()
    gc.freeze()


def _parsed_once(parse_rule: Any) -> Any:
    """What a route's text says is the same in each front; its converters know nothing of theirs."""
    made: dict[str, Any] = {}

    def parse_once(rule: Rule, text: str) -> Any:
        if text not in made:
            begins, known = len(rule._trace), dict(rule._converters)
            parts = list(parse_rule(rule, text))
            new = {name: one for name, one in rule._converters.items() if name not in known}
            made[text] = (parts, rule._trace[begins:], new)
            return parts
        parts, trace, converters = made[text]
        rule._trace.extend(trace)
        rule._converters.update(converters)
        rule.arguments.update(converters)
        return parts

    return parse_once


def _remembered(compile_builder: Any) -> Any:
    """A route's builder of addresses is made from its parts alone, and given its rule at each call."""
    made: dict[Any, Any] = {}

    def compile_once(rule: Rule, append_unknown: bool = True) -> Any:
        defaults = repr(sorted((rule.defaults or {}).items()))
        key = (rule.rule, tuple(rule._trace), defaults, append_unknown)
        if key not in made:
            made[key] = compile_builder(rule, append_unknown)
        return made[key]

    return compile_once
