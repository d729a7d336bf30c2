"""From where somebody signed in, as far as they need it to know their own: never a whole address."""

from dataclasses import dataclass

from pipelines.audit.circumstances import network_of

AGENT_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class Device:
    """The network and the program of a sign-in; None for what is not known."""

    network: str | None = None
    user_agent: str | None = None


UNKNOWN = Device()


def device(address: str | None, user_agent: str | None) -> Device:
    """The device behind a request's address and `User-Agent`."""
    agent = "".join(c if c.isprintable() else " " for c in user_agent or "").strip()
    return Device(network_of(address), agent[:AGENT_CHARACTERS_MAX] or None)
