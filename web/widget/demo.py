"""Lead a demo's visitor to the pretend shop that embeds the widget; elsewhere there is none."""

from flask import Response

from pipelines.errors import NotFound
from pipelines.settings import Environment
from web.front import front
from web.guards import public


@public
def to_partner() -> Response:
    """The shop stands on an origin of its own, as a partner's does."""
    settings = front().house.settings
    address = settings.edge.demo_partner_url
    if settings.environment is not Environment.DEMO or not address:
        raise NotFound
    return Response(status=303, headers={"Location": address})
