"""The page in the frame: which origins may show it, and every text that its script may need."""

import re
from uuid import UUID

from flask import Response, render_template, request

from pipelines.access.rate_policies import Policy
from pipelines.partners.public import allowed_origins
from web.front import front
from web.guards import public
from web.rate_limits import limited
from web.security_headers import CONTENT_SECURITY_POLICY
from web.widget.words import WORDS, language_of

#: What may stand in a policy: nothing there could end the rule and begin another.
_ORIGIN = re.compile(r"https?://[a-z0-9.-]{1,253}(:[0-9]{1,5})?", re.ASCII)
_NOBODY = "frame-ancestors 'none'"


@public
@limited(Policy.WIDGET_PAGE)
def frame_page(vendor_id: UUID) -> Response:
    """One page for every vendor: who is unknown has no origins, and nothing else differs (EC-115)."""
    house = front().house
    found = allowed_origins(house.sessions, vendor_id)
    origins = tuple(origin for origin in found if _ORIGIN.fullmatch(origin))
    language = language_of(request.args.get("lang", ""), request.accept_languages.values())
    page = render_template(
        "widget/frame.html",
        vendor_id=vendor_id,
        origins=origins,
        language=language,
        words=WORDS[language],
    )
    response = Response(page, mimetype="text/html")
    response.headers["Content-Security-Policy"] = policy_for(origins)
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Content-Language"] = language
    return response


def policy_for(origins: tuple[str, ...]) -> str:
    """The house's policy, but that these origins may show the page (EC-114)."""
    if not origins:
        return CONTENT_SECURITY_POLICY
    return CONTENT_SECURITY_POLICY.replace(_NOBODY, f"frame-ancestors {' '.join(origins)}")


assert CONTENT_SECURITY_POLICY.count(_NOBODY) == 1, "the widget's policy replaces this rule"
