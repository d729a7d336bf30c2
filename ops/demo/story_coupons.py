"""The demo's coupons, told over real HTTP: ten go to a pool of people, and one is redeemed."""

from rich.console import Console

from ops.client import Api
from ops.demo import ids
from ops.demo.stock_coupons import PATIENCE, stock_coupons

COUPONS = 10


def tell_of_coupons(alice: Api, console: Console) -> list[str]:
    """A sentence for each thing that did not come out as it must."""
    stock_coupons(alice)
    body = {"book_id": str(ids.SUMMER_SALE), "mode": "random", "count": COUPONS}
    path = f"/pools/{ids.BETA_TESTERS}/distribute"
    job = alice.send("POST", path, json=body, headers=PATIENCE)
    told = (job["result"] or {}).get("distribution", {})
    state = _redeem_one(alice)
    line = (
        f"Coupons: {told.get('assigned')} of Summer Sale 2026 went to {told.get('people_served')} "
        f"Beta Testers; Alice's first is {state}."
    )
    console.print(line, soft_wrap=True, highlight=False, markup=False)
    wrong = []
    if told.get("assigned") != COUPONS:
        wrong.append(f"coupons assigned: expected {COUPONS}, got {told.get('assigned')}")
    if state != "redeemed":
        wrong.append(f"the redeemed coupon: expected redeemed, got {state}")
    return wrong


def _redeem_one(alice: Api) -> str:
    """The state of Alice's first coupon after it."""
    coupons = alice.get("/users/me/coupons", limit="100")["data"]
    code = next(each["code"] for each in coupons if each["book_id"] == str(ids.SUMMER_SALE))
    job = alice.send("POST", f"/coupons/redeem/{code}", json={}, headers=PATIENCE)
    return str(job["result"]["coupon"]["state"] if job["result"] else job["state"])
