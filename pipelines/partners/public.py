"""What a vendor tells anybody: the origins that may show its widget."""

from uuid import UUID

from models.database import Sessions


def allowed_origins(sessions: Sessions, vendor_id: UUID) -> tuple[str, ...]:
    """The origins of a vendor in use; none for one that is unknown, disabled or has none."""
    return ()
