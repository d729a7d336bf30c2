"""Start the web process of the Procfile: `python -m web`."""

import sys

from sqlalchemy.exc import DBAPIError

from pipelines.boot import check_database, keep_what_is_made, refusal, unreachable
from pipelines.queue.broker import UnknownScheme
from pipelines.settings import SettingsBroken, load
from pipelines.telemetry import configure, get_logger, tell_ends_by_class
from pipelines.wiring import build_house
from web.app import create_app
from web.heartbeat import ServingHeart, count_requests
from web.refusals import refusals_of
from web.serving import Server, gunicorn_settings

log = get_logger(__name__)


def main() -> int:
    """Serve until SIGTERM; 2 if the settings or the database do not allow it."""
    configure("web")
    tell_ends_by_class()
    try:
        settings = load("web")
        house = build_house(settings)
        check_database(house)
        app = create_app(house)
    except (SettingsBroken, UnknownScheme) as error:
        print(refusal("web", error), file=sys.stderr)
        return 2
    except DBAPIError as error:
        print(f"web: {unreachable(error)}", file=sys.stderr)
        return 1
    # Connections made here would be shared by the forked worker.
    house.sessions.kw["bind"].dispose()
    log.info("process.started", threads=settings.pool_size, port=settings.port)
    keep_what_is_made()
    heart = ServingHeart(house, count_requests(app), refusals_of(app))
    options = gunicorn_settings(settings, drain_seconds=house.limits.drain_seconds)
    Server(app, options | heart.hooks()).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
