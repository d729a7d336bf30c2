"""Who plays in the showcase and with what: people who are signed in, and books made for one run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from ops.client import Api, ServerRefused
from ops.demo.seed_people import ADMIN, ALICE
from ops.demo.stock_coupons import PATIENCE

#: Added to the names of the books, which are closed in the end.
SUFFIX = " (showcase)"
#: What a copy of a book takes from it.
_COPIED = (
    "pattern",
    "seals_codes",
    "allow_multi_redemption",
    "max_redemptions_per_coupon",
    "max_redemptions_per_user",
    "max_redemptions",
    "max_assignments_per_user",
    "max_assignments",
)


@dataclass(frozen=True, slots=True)
class Beat:
    """One thing that is done: what must come of it, and what came."""

    did: str
    expected: str
    came: str

    @property
    def holds(self) -> bool:
        return self.came == self.expected


@dataclass(frozen=True, slots=True)
class Cast:
    """People who are signed in, and the books that this run made."""

    admin: Api
    alice: Api
    #: Alice once more, in another window.
    alice_again: Api
    made: list[str]

    @classmethod
    def signed_in(cls, base_url: str) -> "Cast":
        """Raises `ServerRefused` where the demo's people cannot sign in."""
        admin = Api(base_url).login(ADMIN.email, ADMIN.password)
        alice = Api(base_url).login(ALICE.email, ALICE.password)
        return cls(admin, alice, Api(base_url).login(ALICE.email, ALICE.password), [])

    def book_like(self, book_id: UUID, codes: int, **changed: Any) -> str:
        """A book with the rules of the demo's one and so many codes; its id.

        Each run has its own, so that it may run again whatever people have by then.
        """
        demo = self.alice.get(f"/books/{book_id}")
        body = {name: demo[name] for name in _COPIED} | {"name": demo["name"] + SUFFIX} | changed
        made = str(self.alice.send("POST", "/books", json=body)["id"])
        self.made.append(made)
        path = f"/books/{made}/generate"
        self.alice.send("POST", path, json={"count": codes}, headers=PATIENCE)
        return made

    def close_books(self) -> None:
        """Nothing of this run's books is given or redeemed any more."""
        while self.made:
            self.alice.send("POST", f"/books/{self.made.pop()}/close")

    def given(self, book_id: str, person: UUID = ALICE.id) -> str:
        """A coupon of the book for somebody; its code. Raises `ServerRefused`."""
        body = {"book_id": book_id, "user_id": str(person)}
        job = self.alice.send("POST", "/coupons/assign", json=body, headers=PATIENCE)
        return str(job["result"]["coupon"]["code"])

    def state_of(self, code: str) -> str:
        return str(self.alice.get(f"/coupons/{code}")["state"])


def words(call: Callable[[], str]) -> str:
    """What came of it; a refusal as its status and its sentence."""
    try:
        return call()
    except ServerRefused as refusal:
        return f"{refusal.status} {refusal.detail}"


def redeem(window: Api, code: str) -> str:
    """The state after it."""

    def call() -> str:
        job = window.send("POST", f"/coupons/redeem/{code}", json={}, headers=PATIENCE)
        return str(job["result"]["coupon"]["state"])

    return words(call)


def lock(window: Api, code: str) -> str:
    """The state after it."""
    return words(
        lambda: str(window.send("POST", f"/coupons/lock/{code}", json={})["coupon"]["state"])
    )


def move(window: Api, code: str, name: str) -> str:
    """Unlock, release or void; the state after it."""
    path = f"/coupons/unlock/{code}" if name == "unlock" else f"/coupons/{code}/{name}"
    return words(lambda: str(window.send("POST", path, json={})["state"]))


def assign(window: Api, code: str, person: UUID) -> str:
    """Give this very coupon; the state after it."""

    def call() -> str:
        body = {"user_id": str(person)}
        job = window.send("POST", f"/coupons/assign/{code}", json=body, headers=PATIENCE)
        return str(job["result"]["coupon"]["state"])

    return words(call)
