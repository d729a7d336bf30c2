"""What a kind of alert says: its name, whom it is about, how urgent it is, and what to do."""

from dataclasses import dataclass

from models.alerts import Severity


@dataclass(frozen=True, slots=True)
class AlertKind:
    """A named kind of trouble; `subject` is what its subject's id belongs to."""

    name: str
    subject: str
    severity: Severity
    sentence: str
    remedy: str
