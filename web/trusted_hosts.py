"""Answer only under our own names (J26): links and origins are made of the Host header."""

from flask import Flask, request

from pipelines.errors import Kind, Refusal

#: Asked by machines that know an address and no name; their answers carry no link.
MACHINES = frozenset({"/health", "/healthz", "/readyz", "/metrics"})


class HostNotAllowed(Refusal):
    """The Host header has none of this installation's names."""

    code = "host_not_allowed"
    kind = Kind.MALFORMED
    detail = "This service is not reached under this name; TRUSTED_HOSTS lists those it has."


def register_trusted_hosts(app: Flask, hosts: frozenset[str] | None) -> None:
    """Refuse every other name before anything else is looked at; None takes any."""
    if hosts is None:
        return

    @app.before_request
    def refuse_strangers() -> None:
        if request.path not in MACHINES and name_of(request.host) not in hosts:
            raise HostNotAllowed


def name_of(host: str) -> str:
    """The name in a Host header, without its port, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].rstrip(".").lower()
