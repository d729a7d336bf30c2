"""Give a new demo cards and coupons in stock and a partner, so that its first jobs have something to give."""

from collections.abc import Callable
from functools import partial

from ops.client import Api
from ops.demo import ids
from ops.demo.card_files import card_file
from ops.demo.seed_people import ADMIN, ALICE
from ops.demo.stock_coupons import stock_coupons
from ops.demo.stock_partner import stock_partner
from ops.demo.summary import DENOMINATION_MINOR
from ops.stack_record import StackRecord
from ops.unprivileged import Say
from pipelines.errors import Fault, Refusal

COST_PER_CARD_MINOR = 2_300
#: The pools that a demo begins with, and how many cards each holds.
POOLS = (("csv", 60), ("buffer", 20))
#: Cards are in stock before the stack is called ready, unless its workers are slow to start.
WAIT_SECONDS = 20


def fill_empty_stock(record: StackRecord, *, say: Say) -> None:
    """Fill what is empty: card pools, books and the pretend shop; a stack serves without them, too."""
    fillings: tuple[tuple[str, Callable[[Api], None]], ...] = (
        ("card pools", _fill_pools),
        ("books", _fill_books),
        ("partner", partial(_hand_over, sandbox_url=record.sandbox_url)),
    )
    for what, fill in fillings:
        try:
            fill(Api(record.web_url))
        except (Refusal, Fault) as problem:
            say(f"The demo's {what} could not be made ready: {problem}")


def _fill_pools(nobody: Api) -> None:
    admin = nobody.login(ADMIN.email, ADMIN.password)
    if not admin.get("/gift-card-pools", limit="1")["data"]:
        for kind, count in POOLS:
            pool_id = make_pool(admin, kind, count)
            admin.import_cards(pool_id, card_file(count), on_error="abort", wait=WAIT_SECONDS)


def _fill_books(nobody: Api) -> None:
    stock_coupons(nobody.login(ALICE.email, ALICE.password))


def _hand_over(nobody: Api, *, sandbox_url: str | None) -> None:
    """Without a sandbox there is no shop."""
    if sandbox_url is not None:
        stock_partner(nobody.login(ADMIN.email, ADMIN.password), sandbox_url=sandbox_url)


def make_pool(admin: Api, kind: str, count: int) -> str:
    """A pool of the demo's brand; it is low when a tenth is left."""
    pool = admin.create_pool(
        brand_id=str(ids.NILE_SHOP),
        denomination_minor=DENOMINATION_MINOR,
        currency="USD",
        kind=kind,
        cost_per_card_minor=COST_PER_CARD_MINOR,
        low_watermark=count // 10,
    )
    return str(pool["id"])
