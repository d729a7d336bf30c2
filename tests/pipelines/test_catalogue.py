"""What vendors sell is read from their catalogues, and tells routes their cost (S4-081, EC-081)."""

from typing import Any

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM
from pipelines.alerts.fold import fold_signals
from pipelines.pricing.judge_routes import judge_routes
from pipelines.pricing.sync_catalogue import sync_catalogues
from pipelines.queue.ring import ring_due
from pipelines.queue.work import TaskInHand
from pipelines.tenants.brands import Route, change_brand
from pipelines.wiring import House, build_handlers
from tests.driving import drain, hasten, recipients_csv, rows, submit, view
from tests.intake import preview_file
from tests.pipelines.test_margin import CODE, set_cost, set_floor, verdicts
from tests.proof import assert_proven
from tests.seeding import ACTOR, seed
from tests.vendor import Sandbox
from workers.wrapper import Wrapper


def begin(house: House) -> None:
    """As the duty does."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        task = TaskInHand(new_id(), "sync_catalogues", {}, None, None, 1, 0, 0, None, 2)
        sync_catalogues(session, task, clock.now(session), vendors=house.vendors)


def read(house: House) -> None:
    """From the first page to the last."""
    begin(house)
    drain(house)


def drain_one(house: House) -> None:
    """The first task that is due, and no other."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        bell = ring_due(session, now=clock.now(session), limits=house.limits)[0]
    Wrapper(house.sessions, build_handlers(house), draw=lambda: 0.0).run(bell.task_id, 1)
    hasten(house)


def standing(house: House) -> dict[str, dict[str, Any]]:
    """The open alerts of routes, by their kind."""
    drain(house)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        fold_signals(session)
    found = rows(house, "SELECT kind, detail FROM alerts WHERE state <> 'resolved'")
    return {row.kind: row.detail for row in found if row.kind.startswith("route_")}


def product(house: House, name: str) -> Any:
    (found,) = rows(house, "SELECT * FROM vendor_products WHERE product = :name", name=name)
    return found


def test_a_catalogue_is_kept_and_a_changed_price_is_noted(
    vendor_house: House, sandbox: Sandbox
) -> None:
    seed(vendor_house)
    read(vendor_house)
    first = product(vendor_house, "120")
    rows(vendor_house, "UPDATE vendor_products SET cost_bp = 9000 RETURNING 1")
    read(vendor_house)
    again = product(vendor_house, "120")

    assert (first.currency, first.countries, first.cost_currency) == ("USD", ["US"], "USD")
    assert (first.least_minor, first.most_minor, first.cost_bp) == (100, 50_000, 9_450)
    assert (first.cost_changed_at, again.id) == (None, first.id)
    assert (again.was_cost_bp, again.cost_bp, again.cost_changed_at) == (
        9_000,
        9_450,
        again.seen_at,
    )
    assert product(vendor_house, "121").fixed_minor == [1_000, 2_500, 5_000, 10_000]
    assert product(vendor_house, "130").cost_bp is None  # paid for in another currency


def test_a_reading_in_the_middle_leaves_only_ids_in_its_task(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """The page at which it goes on is kept with the account, and so is when it began."""
    seed(vendor_house, route=("giftbit", "nilefoodus"))
    begin(vendor_house)
    assert_proven(vendor_house)
    drain_one(vendor_house)

    (account,) = rows(vendor_house, "SELECT * FROM vendor_accounts WHERE vendor = 'giftbit'")
    (task,) = rows(vendor_house, "SELECT args FROM tasks WHERE kind = 'sync_catalogue'")
    assert task.args == {"account_id": str(account.id)}
    assert account.catalogue_page is not None
    assert account.catalogue_begun_at is not None
    assert_proven(vendor_house)

    drain(vendor_house)
    (account,) = rows(vendor_house, "SELECT * FROM vendor_accounts WHERE vendor = 'giftbit'")
    assert (account.catalogue_page, account.catalogue_begun_at) == (None, None)
    assert account.catalogue_read_at is not None


def test_a_product_that_is_gone_is_told_to_whoever_has_a_route_to_it(
    vendor_house: House, sandbox: Sandbox
) -> None:
    seeded = seed(vendor_house, route=("reloadly", "998"))
    rows(
        vendor_house,
        "INSERT INTO vendor_products (id, vendor, product, name, currency, countries, fixed_minor,"
        " seen_at) VALUES (:id, 'reloadly', '998', 'Gone', 'USD', '{}', '{}', now()) RETURNING 1",
        id=new_id(),
    )
    read(vendor_house)
    gone = standing(vendor_house)
    rows(vendor_house, "UPDATE brand_routes SET product = '120' RETURNING 1")
    read(vendor_house)

    assert product(vendor_house, "998").vanished_at is not None
    assert gone == {"route_product_gone": {"vendor": "reloadly", "product": "998", "routes": 1}}
    (alert,) = rows(vendor_house, "SELECT subject_id FROM alerts")
    assert alert.subject_id == seeded.brand_id
    assert standing(vendor_house) == {}


def test_ec081_a_route_costs_what_the_catalogue_says_unless_a_person_says_otherwise(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-081: 2500 cost 2363 there; a floor of 200 forbids it until a person knows better."""
    seeded = seed(vendor_house)
    read(vendor_house)
    set_floor(vendor_house, 200)
    read(vendor_house)
    told = standing(vendor_house)

    dear = submit(vendor_house, seeded, recipients_csv(1))
    drain(vendor_house)
    set_cost(vendor_house, 9_100)
    cheap = submit(vendor_house, seeded, recipients_csv(1, start=5))
    drain(vendor_house)

    assert set(told) == {"route_below_floor"}
    assert verdicts(vendor_house, dear) == {("needs_review", CODE): 1}
    assert view(vendor_house, cheap)["counts"]["succeeded"] == 1
    (order,) = rows(vendor_house, "SELECT expected_cost_minor FROM provider_orders")
    assert order.expected_cost_minor == 2_275


def test_a_route_whose_cards_are_in_another_currency_is_passed_over(
    vendor_house: House, sandbox: Sandbox
) -> None:
    seeded = seed(vendor_house, route=("reloadly", "130"))
    read(vendor_house)

    job_id = submit(vendor_house, seeded, recipients_csv(1))
    drain(vendor_house)

    assert verdicts(vendor_house, job_id) == {("failed", "no_inventory"): 1}
    assert rows(vendor_house, "SELECT id FROM provider_orders") == []
    told = {"vendor": "reloadly", "product": "130", "routes": 1}
    assert standing(vendor_house) == {"route_does_not_fit": told}


def test_a_product_that_was_never_listed_is_told_of_once_the_catalogue_was_read(
    vendor_house: House, sandbox: Sandbox
) -> None:
    seed(vendor_house, route=("reloadly", "997"))
    with scoped_transaction(vendor_house.sessions, SYSTEM) as session:
        judge_routes(session, now=clock.now(session))
    before = standing(vendor_house)
    read(vendor_house)

    assert before == {}
    told = {"vendor": "reloadly", "product": "997", "routes": 1}
    assert standing(vendor_house) == {"route_product_gone": told}


def test_a_routes_own_country_goes_before_its_products_where_it_is_bought_too(
    vendor_house: House, sandbox: Sandbox
) -> None:
    seeded = seed(vendor_house)
    read(vendor_house)
    rows(vendor_house, "UPDATE brands SET country = 'MX' RETURNING 1")
    read(vendor_house)
    foreign = standing(vendor_house)
    with scoped_transaction(vendor_house.sessions, PLATFORM) as session:
        routes = [Route("reloadly", "120", country="MX")]
        change_brand(
            session, seeded.brand_id, values={}, routes=routes, version=None, actor_id=ACTOR
        )
    read(vendor_house)

    job_id = submit(vendor_house, seeded, recipients_csv(1))
    drain(vendor_house)

    assert set(foreign) == {"route_does_not_fit"}
    assert standing(vendor_house) == {}
    assert verdicts(vendor_house, job_id) == {("succeeded", None): 1}


def test_s4_081_what_the_catalogue_does_not_sell_is_refused_before_any_order(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """S4-081: a preview promises no such card, and the vendor is not asked for it."""
    seeded = seed(vendor_house)
    read(vendor_house)
    spec = {"denomination_minor": product(vendor_house, "120").most_minor + 100}

    foreseen = preview_file(vendor_house, seeded, recipients_csv(1), **spec)
    job_id = submit(vendor_house, seeded, recipients_csv(1), **spec)
    drain(vendor_house)

    assert (foreseen["sources"]["api"], foreseen["sources"]["none"]) == (0, 1)
    assert verdicts(vendor_house, job_id) == {("failed", "denomination_unavailable"): 1}
    assert rows(vendor_house, "SELECT 1 FROM provider_orders") == []
    assert_proven(vendor_house)
