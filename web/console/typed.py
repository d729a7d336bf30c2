"""Read what was typed: the fields of a form, and ids; what is no id names nothing."""

from uuid import UUID

from flask import request

#: More than any field takes, so that what is too long is refused and not cut.
FIELD_CHARACTERS_MAX = 400


def typed_fields(*names: str) -> dict[str, str]:
    """What stands in the fields of the form that was sent."""
    return {name: request.form.get(name, "").strip()[:FIELD_CHARACTERS_MAX] for name in names}


def id_in(text: str | None) -> UUID | None:
    """The id that stands there; None for what is no id, as for nothing at all."""
    try:
        return UUID((text or "").strip())
    except ValueError:
        return None
