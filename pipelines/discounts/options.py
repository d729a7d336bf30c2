"""What is kept beside the rules of a code: refunds, late payments, and leaks; it changes at once."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from models.discounts import OnLate, Restores


@dataclass(frozen=True, slots=True)
class CodeOptions:
    """What becomes of refunds and of late payments, and whether a leak pauses the code."""

    restore_on_refund: str = Restores.NOTHING.value
    on_late: str = OnLate.CONFIRM.value
    watch_leaks: bool = True


#: As nobody says otherwise.
USUAL = CodeOptions()
OPTION_NAMES = tuple(field.name for field in fields(CodeOptions))
#: `restore_on_refund, on_late, ...`, for whoever writes them.
OPTION_LIST = ", ".join(OPTION_NAMES)
#: The values of `option_values` in a statement, and the types of columns that hold them for a while.
OPTIONS_GIVEN = ", ".join(f":{name}" for name in OPTION_NAMES)
OPTION_TYPES = {"restore_on_refund": "text", "on_late": "text", "watch_leaks": "boolean"}


def option_values(options: CodeOptions) -> dict[str, Any]:
    """The options by the names of their columns."""
    return asdict(options)


def options_in(values: Mapping[str, Any]) -> CodeOptions:
    """The options among these values; what is not there is as nobody says otherwise."""
    return CodeOptions(**{name: values[name] for name in OPTION_NAMES if name in values})
