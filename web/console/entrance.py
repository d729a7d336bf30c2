"""Open the console's doors in an app: its pages, its cookie, its error page, its files."""

from pathlib import Path

from flask import Blueprint, Flask, Response, send_from_directory, url_for

from web.console import (
    account,
    api_key_new,
    api_keys,
    approvals,
    audit,
    credit,
    engine,
    formats,
    invitation_new,
    invitations,
    job_actions,
    job_changes,
    job_followups,
    jobs,
    links,
    look,
    overview,
    people,
    person,
    person_access,
    person_new,
    pools,
    second_factor,
    sign_in,
    step_up,
    wizard,
)
from web.console.csrf import refuse_foreign_forms
from web.console.errors import error_page
from web.console.frame import go
from web.console.intake_size import allow_upload
from web.console.reveal import reveal_page
from web.console.visit import authenticate
from web.errors import ERROR_PAGES
from web.guards import PAGE_AUTHENTICATOR, public

STATIC = Path(__file__).parent.parent / "static"
#: Files carry no version in their names, so browsers ask again after an hour.
STATIC_SECONDS = 3600


def register(app: Flask) -> None:
    """Give the app the console's pages; everything outside the API then answers in HTML."""
    app.extensions[PAGE_AUTHENTICATOR] = authenticate
    app.extensions[ERROR_PAGES] = error_page
    app.jinja_env.filters |= {
        "money": formats.money,
        "number": formats.number,
        "moment": formats.moment,
        "instant": formats.instant,
        "size": formats.size,
        "masked_email": formats.masked_email,
    }
    console = Blueprint("console", __name__, url_prefix="/console")
    console.before_request(allow_upload)
    console.before_request(refuse_foreign_forms)
    for part in (
        sign_in,
        step_up,
        account,
        second_factor,
        look,
        links,
        overview,
        jobs,
        job_actions,
        job_changes,
        job_followups,
        wizard,
        pools,
        credit,
        approvals,
        people,
        person_new,
        person,
        person_access,
        invitations,
        invitation_new,
        api_keys,
        api_key_new,
        engine,
        audit,
    ):
        part.add_pages(console)
    app.register_blueprint(console)
    app.register_blueprint(reveal_page)
    app.add_url_rule("/static/<path:name>", "static", static_file)
    app.add_url_rule("/", "root", to_console)


@public
def static_file(name: str) -> Response:
    return send_from_directory(STATIC, name, max_age=STATIC_SECONDS)


@public
def to_console() -> Response:
    return go(url_for("console.overview"))
