"""The rules of a discount as the database has them: their columns are named here and nowhere else."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from sqlalchemy import Row

from pipelines.discounts.rules import DiscountKind, DiscountRules

_TYPES: Mapping[str, str] = {
    "kind": "text",
    "percent_bp": "integer",
    "amount_minor": "bigint",
    "currency": "text",
    "max_discount_minor": "bigint",
    "min_subtotal_minor": "bigint",
    "products": "text[]",
    "first_order_only": "boolean",
    "starts_at": "timestamptz",
    "expires_at": "timestamptz",
}
RULE_NAMES = tuple(field.name for field in fields(DiscountRules))
#: `kind, percent_bp, ...`, for whoever writes them, and the same of a table `r`, for whoever reads them.
RULE_LIST = ", ".join(RULE_NAMES)
RULES_READ = ", ".join(f"r.{name}" for name in RULE_NAMES)
#: The values of `rule_values` in a statement, and the types of columns that hold rules for a while.
RULES_GIVEN = ", ".join(f"CAST(:{name} AS {_TYPES[name]})" for name in RULE_NAMES)
RULE_TYPES = {name: _TYPES[name] for name in RULE_NAMES}


def rule_values(rules: DiscountRules) -> dict[str, Any]:
    """The rules by the names of their columns."""
    values = {name: getattr(rules, name) for name in RULE_NAMES}
    return values | {"kind": rules.kind.value, "products": rules.products and list(rules.products)}


def rules_of(row: Row[Any]) -> DiscountRules:
    """The rules in a row."""
    return rules_from(row._mapping)


def rules_from(values: Mapping[Any, Any]) -> DiscountRules:
    """The rules among these values, under the names of their columns."""
    told = {name: values[name] for name in RULE_NAMES}
    products = told["products"]
    told["products"] = None if products is None else tuple(products)
    return DiscountRules(**told | {"kind": DiscountKind(told["kind"])})
