"""Answer only under our own names (J26): links and origins are made of the Host header."""

from flask import Flask, request

from pipelines.errors import Kind, Refusal
from pipelines.telemetry import get_logger

log = get_logger(__name__)

#: Asked by machines that know an address and no name; their answers carry no link.
MACHINES = frozenset({"/health", "/healthz", "/readyz", "/metrics"})
#: Refused names that the log is told of, each once: a proxy's mistake is one, strangers try many.
NAMES_TOLD_MAX = 20
_NAME_CHARACTERS_MAX = 100


class HostNotAllowed(Refusal):
    """The Host header has none of this installation's names."""

    code = "host_not_allowed"
    kind = Kind.MALFORMED
    detail = "This service is not reached under this name; TRUSTED_HOSTS lists those it has."


def register_trusted_hosts(app: Flask, hosts: frozenset[str] | None) -> None:
    """Refuse every other name before anything else is looked at; None takes any."""
    if hosts is None:
        return

    told: set[str] = set()

    @app.before_request
    def refuse_strangers() -> None:
        name = name_of(request.host)
        if request.path in MACHINES or name in hosts:
            return
        _tell(name[:_NAME_CHARACTERS_MAX], told)
        raise HostNotAllowed


def _tell(name: str, told: set[str]) -> None:
    if name not in told and len(told) < NAMES_TOLD_MAX:
        told.add(name)
        log.warning("host.refused", host=name)


def name_of(host: str) -> str:
    """The name in a Host header, without its port, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].rstrip(".").lower()
