"""Make the Flask application of a house: bodies, guards, errors, headers, then the routes."""

from flask import Flask

from pipelines.queue.broker import make_broker
from pipelines.wiring import House
from web import console, widget
from web.addresses import register_addresses
from web.api.registry import register_api
from web.bodies import register_bodies
from web.client_address import trust_proxies
from web.cross_origin import register_cross_origin
from web.errors import register_errors
from web.front import EXTENSION, Front
from web.health import register_health
from web.humans import register_humans
from web.metrics import register_metrics
from web.misses import register_misses
from web.rate_limits import register_rate_limits
from web.refusals import register_refusals
from web.requests import register_request_ids
from web.security_headers import register_security_headers
from web.spent_tokens import EXTENSION as SPENT_TOKENS
from web.spent_tokens import RedisSpent
from web.trusted_hosts import register_trusted_hosts
from web.waiting import Waiter

#: Threads that may wait for jobs: the others stay free for everybody else.
WAITING_SHARE = 4
#: How long a page or a health check waits for the broker's answer.
LOOK_SECONDS = 0.25


def create_app(house: House) -> Flask:
    """The web front of a house; opens no connection by itself."""
    app = Flask("web", static_folder=None)
    settings, limits = house.settings, house.limits
    app.extensions[EXTENSION] = Front(
        house=house,
        broker=make_broker(settings.queue_url, patience_seconds=limits.ring_budget_seconds),
        lookout=make_broker(settings.queue_url, patience_seconds=LOOK_SECONDS),
        waiter=Waiter(house.sessions, seats=settings.pool_size // WAITING_SHARE, limits=limits),
    )
    app.extensions[SPENT_TOKENS] = RedisSpent(settings.edge.rates_url)
    trust_proxies(app, settings.edge.proxies)
    register_request_ids(app)
    register_trusted_hosts(app, settings.edge.hosts)
    register_addresses(app)
    register_bodies(app)
    register_errors(app)
    register_cross_origin(app)
    register_security_headers(app, secure=settings.secure_cookies)
    register_rate_limits(app, house)
    register_misses(app)
    register_refusals(app)
    register_humans(app, settings.edge.captcha)
    register_metrics(app)
    register_health(app)
    register_api(app)
    console.register(app)
    widget.register(app)
    return app
