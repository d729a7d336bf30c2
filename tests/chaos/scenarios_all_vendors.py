"""One job buys at all four vendors while each of them fails in every way it can."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import insert

from models.base import new_id
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM
from models.tenants import Brand, BrandRoute
from models.vendors import VendorAccount
from tests.chaos.exact import PRICE_MINOR, Scenario, Size, assert_quiet, hurry
from tests.chaos.stand import PROCESSES, Stand
from tests.driving import rows, submit
from tests.seeding import Seeded, seed

#: Vendor -> a product that it sells at 25.00 USD.
SOLD = {
    "reloadly": "120",
    "tango": "U120000",
    "tremendous": "NILEBOOKSUS1",
    "giftbit": "nilefoodus",
}
#: In all 12 % of the calls, each after which the order still comes to a good end.
FAULTS: Mapping[str, Mapping[str, float]] = {
    "drop_after_create": {"rate": 0.04},
    "error_500_after": {"rate": 0.03},
    "garbage": {"rate": 0.03},
    "throttled_429": {"rate": 0.02, "retry_after": 0},
}
_BOUGHT = """
SELECT o.vendor, count(*) AS cards, count(DISTINCT o.id) AS orders
FROM provider_orders o JOIN cards c ON c.provider_order_id = o.id
JOIN provisions p ON p.card_id = c.id WHERE o.job_id = :job AND o.state = 'succeeded'
GROUP BY o.vendor
"""


def every_vendor_fails(stand: Stand, size: Size) -> None:
    """Cards bought = cards issued, to the unit, by what each vendor itself says."""
    for number, vendor in enumerate(SOLD):
        stand.sandbox.arm(vendor=vendor, **FAULTS, seed=number)
    seeded = seed(stand.house, credit_minor=100_000_000)
    brands = _brands(stand, seeded)
    stand.start(*PROCESSES)

    job_id = submit(stand.house, seeded, _recipients(brands, size.items))
    job = stand.until_ended(job_id, meanwhile=lambda: hurry(stand))

    assert (job["state"], job["counts"]["succeeded"]) == ("succeeded", size.items), job["counts"]
    assert job["sources"] == {"csv": 0, "buffer": 0, "api": size.items}
    assert job["money"]["captured_minor"] == size.items * PRICE_MINOR
    _assert_bought_is_issued(stand, job_id, size)
    assert_quiet(stand)


def _brands(stand: Stand, seeded: Seeded) -> dict[str, UUID]:
    """A brand for each vendor, and an account there that is not slowed down."""
    brands = {vendor: new_id() for vendor in SOLD}
    with scoped_transaction(stand.house.sessions, PLATFORM) as session:
        for vendor, brand_id in brands.items():
            session.execute(insert(Brand).values(id=brand_id, name=f"At {vendor}", currency="USD"))
            session.execute(
                insert(BrandRoute).values(
                    id=new_id(), brand_id=brand_id, vendor=vendor, product=SOLD[vendor]
                )
            )
    with scoped_transaction(stand.house.sessions, SYSTEM) as session:
        for vendor in set(SOLD) - {"reloadly"}:
            session.execute(
                insert(VendorAccount).values(
                    vendor=vendor, rate_per_minute=60_000, burst=1_000, micro_tokens=10**9
                )
            )
    return brands


def _recipients(brands: Mapping[str, UUID], count: int) -> bytes:
    """As many for each vendor, mixed."""
    names = [f"At {vendor}" for vendor in brands]
    lines = [f"r{n},person{n}@example.com,{names[n % len(names)]}" for n in range(count)]
    return ("reference,email,brand\n" + "\n".join(lines) + "\n").encode()


def _assert_bought_is_issued(stand: Stand, job_id: UUID, size: Size) -> None:
    ours = {row.vendor: row.cards for row in rows(stand.house, _BOUGHT, job=job_id)}
    for number, vendor in enumerate(SOLD):
        wanted = len(range(number, size.items, len(SOLD)))
        theirs = stand.sandbox.control("GET", f"/{vendor}/summary")
        assert (ours[vendor], theirs["orders_successful"]) == (wanted, wanted), (vendor, theirs)
        assert theirs["duplicates"] == [], (vendor, theirs)
        assert size.items < 100 or theirs["faults_fired"], (vendor, theirs)


SCENARIOS = (
    Scenario(
        "all vendors fail",
        "12 % faults at each of four vendors, one job (EC-059)",
        every_vendor_fails,
    ),
)
