"""The headers every answer carries: no inline code, no framing, no sniffing, no caching of data."""

from flask import Flask, Response

from web.humans import trusted_sources

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
#: What a page that asks whether a person is there trusts a company with.
TRUSTING = ("script-src", "frame-src", "style-src", "connect-src")
YEAR_SECONDS = 365 * 24 * 3600


def register_security_headers(app: Flask, *, secure: bool) -> None:
    """Set the headers after every request; a view that set one itself keeps its own."""

    def add(response: Response) -> Response:
        if sources := trusted_sources():
            response.headers.setdefault("Content-Security-Policy", policy_with(sources))
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if secure:
            response.headers.setdefault(
                "Strict-Transport-Security", f"max-age={YEAR_SECONDS}; includeSubDomains"
            )
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    app.after_request(add)


def policy_with(sources: str) -> str:
    """The policy of a page that shows another company's widget: the rest stays as it is."""
    rules = dict(rule.split(" ", 1) for rule in CONTENT_SECURITY_POLICY.split("; "))
    for name in TRUSTING:
        rules[name] = f"{rules[name]} {sources}" if name in rules else sources
    return "; ".join(f"{name} {allowed}" for name, allowed in rules.items())
