"""Open the console's doors in an app: its pages, its cookie, its error page, its files."""

from pathlib import Path

from flask import Blueprint, Flask, Response, send_from_directory, url_for

from web.console import (
    account,
    alerts,
    api_key_new,
    api_keys,
    approvals,
    audit,
    book_codes,
    book_coupons,
    book_edit,
    book_new,
    books,
    brand_price,
    brand_route,
    brands,
    campaign_budget,
    campaign_codes,
    campaign_codes_withdraw,
    campaign_form,
    campaign_profit,
    campaign_settings,
    campaigns,
    card_batch,
    cards_without_pool,
    claw_back,
    coupon_assign,
    coupon_page,
    credit,
    credit_account,
    credit_move,
    discount_analytics,
    discount_edit,
    discount_generate,
    discount_import,
    discount_new,
    discount_page,
    discount_release,
    discounts,
    distribute,
    engine,
    flagged,
    flagged_decide,
    flagged_item,
    formats,
    inventory,
    invitation_new,
    invitations,
    job_actions,
    job_changes,
    job_draw,
    job_followups,
    job_give_up,
    jobs,
    links,
    look,
    my_coupons,
    overview,
    partner_claims,
    partner_edit,
    partner_embed,
    partner_page,
    partner_secret,
    partner_token,
    partners,
    people,
    person,
    person_access,
    person_new,
    purchase_page,
    purchase_returned,
    purchase_settle,
    purchases,
    receivables,
    referral_page,
    referrals,
    second_factor,
    sheets,
    sign_in,
    step_up,
    stock_pool,
    stock_refill,
    stripe_events,
    top_ups,
    user_pool,
    user_pool_add,
    user_pools,
    vendor_statements,
    vendors,
    webhook_new,
    webhooks,
    wizard,
)
from web.console.csrf import refuse_foreign_forms
from web.console.errors import error_page
from web.console.frame import go
from web.console.intake_size import allow_upload
from web.console.redeem import redeem_page
from web.console.reveal import reveal_page
from web.console.visit import authenticate
from web.errors import ERROR_PAGES
from web.guards import PAGE_AUTHENTICATOR, public

STATIC = Path(__file__).parent.parent / "static"
#: Files carry no version in their names, so browsers ask again after an hour.
STATIC_SECONDS = 3600

#: Each adds its own pages.
PARTS = (
    sign_in,
    step_up,
    account,
    alerts,
    api_key_new,
    api_keys,
    approvals,
    audit,
    book_codes,
    book_coupons,
    book_edit,
    book_new,
    books,
    brand_price,
    brand_route,
    brands,
    campaign_budget,
    campaign_codes,
    campaign_codes_withdraw,
    campaign_form,
    campaign_profit,
    campaign_settings,
    campaigns,
    card_batch,
    cards_without_pool,
    claw_back,
    coupon_assign,
    coupon_page,
    credit,
    credit_account,
    credit_move,
    discount_analytics,
    discount_edit,
    discount_generate,
    discount_import,
    discount_new,
    discount_page,
    discount_release,
    discounts,
    flagged,
    flagged_decide,
    flagged_item,
    distribute,
    engine,
    inventory,
    invitation_new,
    invitations,
    job_actions,
    job_changes,
    job_draw,
    job_followups,
    job_give_up,
    jobs,
    links,
    look,
    my_coupons,
    overview,
    partner_claims,
    partner_edit,
    partner_embed,
    partner_page,
    partner_secret,
    partner_token,
    partners,
    people,
    person,
    person_access,
    person_new,
    purchase_page,
    purchase_returned,
    purchase_settle,
    purchases,
    receivables,
    referral_page,
    referrals,
    second_factor,
    sheets,
    stock_pool,
    stock_refill,
    stripe_events,
    top_ups,
    user_pool,
    user_pool_add,
    user_pools,
    vendor_statements,
    vendors,
    webhook_new,
    webhooks,
    wizard,
)


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
    for part in PARTS:
        part.add_pages(console)
    app.register_blueprint(console)
    app.register_blueprint(reveal_page)
    app.register_blueprint(redeem_page)
    app.add_url_rule("/static/<path:name>", "static", static_file)
    app.add_url_rule("/", "root", to_console)
    app.add_url_rule("/admin/inventory", "admin_inventory", to_inventory)
    app.add_url_rule("/agency/dashboard", "agency_dashboard", to_console)
    app.add_url_rule("/client/credit", "client_credit", to_credit)


@public
def static_file(name: str) -> Response:
    return send_from_directory(STATIC, name, max_age=STATIC_SECONDS)


@public
def to_console() -> Response:
    return go(url_for("console.overview"))


@public
def to_inventory() -> Response:
    """The address by which the inventory was known before there was a console (S4-076)."""
    return go(url_for("console.inventory"))


@public
def to_credit() -> Response:
    """The address that the notes gave to a client's credit (S4-078)."""
    return go(url_for("console.credit"))
