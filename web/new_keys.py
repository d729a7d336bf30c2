"""Draw an API key that says of which kind of installation it is."""

from pipelines.access.api_keys import DrawnKey, draw_key
from pipelines.settings import Environment
from web.front import front


def draw() -> DrawnKey:
    """A key of this installation's kind."""
    return draw_key(is_live=front().house.settings.environment is Environment.PRODUCTION)
