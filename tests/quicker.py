"""What every test's own front makes anew and in vain is made once per test process.

Each test has a front of its own; its routes and templates are the same each time. Nothing here
changes what is done, only how often.
"""

import gc
from typing import Any

import pytest
from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from werkzeug.routing import Map, Rule, RuleFactory


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
    patch.setattr(Map, "add", _bound_once())


def look_for_no_garbage() -> None:
    """While tests are collected nothing is let go of."""
    gc.disable()


def keep_what_was_collected() -> None:
    """Tests and modules live as long as the process: looking for garbage in them is in vain."""
    gc.enable()
    gc.collect()
    gc.freeze()


def _bound_once() -> Any:
    """A route that some front had is in the next one as it was compiled for the first.

    Of the map that it is bound to it asks only what all fronts' maps have in common.
    """
    made: dict[Any, Rule] = {}

    def add(self: Map, rulefactory: RuleFactory) -> None:
        for rule in rulefactory.get_rules(self):
            key = _spelling(rule)
            if key not in made:
                rule.bind(self)
                made[key] = rule
            bound = made[key]
            if not bound.build_only:
                self._matcher.add(bound)
            self._rules_by_endpoint.setdefault(bound.endpoint, []).append(bound)
        self._remap = True

    return add


def _spelling(rule: Rule) -> tuple[Any, ...]:
    """All that tells a route from another; a redirect's function is itself."""
    methods = None if rule.methods is None else tuple(sorted(rule.methods))
    flags = (rule.build_only, rule.strict_slashes, rule.merge_slashes, rule.alias, rule.websocket)
    automatic = getattr(rule, "provide_automatic_options", None)
    defaults = repr(sorted((rule.defaults or {}).items()))
    places = (rule.host, rule.subdomain, rule.redirect_to, defaults)
    return (rule.rule, rule.endpoint, methods, flags, automatic, places)
