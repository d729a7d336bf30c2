"""The front for any WSGI server: `gunicorn web.wsgi:app`, settings from the environment."""

from pipelines.boot import check_database
from pipelines.settings import load
from pipelines.telemetry import configure
from pipelines.wiring import build_house
from web.app import create_app

configure("web")
_house = build_house(load("web"))
check_database(_house)
# Connections made for the check would be shared by forked workers.
_house.sessions.kw["bind"].dispose()
app = create_app(_house)
