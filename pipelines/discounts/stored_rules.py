"""The rules of a discount as the database has them: their columns are named here and nowhere else."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from sqlalchemy import Row

from pipelines.discounts.rules import DiscountKind, DiscountRules
from pipelines.discounts.tiers import tiers_from, tiers_json

_TYPES: Mapping[str, str] = {
    "kind": "text",
    "percent_bp": "integer",
    "amount_minor": "bigint",
    "currency": "text",
    "max_discount_minor": "bigint",
    "min_subtotal_minor": "bigint",
    "products": "text[]",
    "first_order_only": "boolean",
    "stacking_group": "text",
    "starts_at": "timestamptz",
    "expires_at": "timestamptz",
    "tiers": "jsonb",
}
RULE_NAMES = tuple(field.name for field in fields(DiscountRules))
#: `kind, percent_bp, ...`, for whoever writes them, and the same of a table `r`, for whoever reads them.
RULE_LIST = ", ".join(RULE_NAMES)
RULES_READ = ", ".join(f"r.{name}" for name in RULE_NAMES)
#: The values of `rule_values` in a statement, and the types of columns that hold rules for a while.
RULES_GIVEN = ", ".join(f"CAST(:{name} AS {_TYPES[name]})" for name in RULE_NAMES)
RULE_TYPES = {name: _TYPES[name] for name in RULE_NAMES}


def rule_values(rules: DiscountRules) -> dict[str, Any]:
    """The rules by the names of their columns, as a statement takes them."""
    told = told_rules(rules)
    return told | {"tiers": told["tiers"] and json.dumps(told["tiers"])}


def told_rules(rules: DiscountRules) -> dict[str, Any]:
    """The rules in plain values under the names of their columns; times as they are."""
    values = {name: getattr(rules, name) for name in RULE_NAMES}
    return values | {
        "kind": rules.kind.value,
        "products": rules.products and list(rules.products),
        "tiers": tiers_json(rules.tiers),
    }


def rules_of(row: Row[Any]) -> DiscountRules:
    """The rules in a row."""
    return rules_from(row._mapping)


def rules_from(values: Mapping[Any, Any]) -> DiscountRules:
    """The rules among these values, under the names of their columns."""
    return DiscountRules(**{name: rule_from(name, values[name]) for name in RULE_NAMES})


def rule_from(name: str, value: Any) -> Any:
    """One of the rules from its plain value, as it is stored or came in a body."""
    if name == "kind":
        return DiscountKind(value)
    if name == "tiers":
        return tiers_from(value)
    return value if name != "products" or value is None else tuple(value)
