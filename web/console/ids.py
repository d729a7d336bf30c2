"""Read ids from addresses and forms: what is none names nothing."""

from uuid import UUID


def id_in(text: str | None) -> UUID | None:
    """The id that stands there; None for what is no id, as for nothing at all."""
    try:
        return UUID((text or "").strip())
    except ValueError:
        return None
