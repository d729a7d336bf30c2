"""Count what a shopper tries, and ask for a person who often missed (S2-048, S2-107, S2-108).

A storefront asks for all its shoppers from one network: each is counted by every name that was said
of them, and by their network where the storefront passes it. A signed-in person is counted alone.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID

from models.people import Role
from pipelines.access.rate_policies import Policy
from pipelines.books.codes import canonical
from pipelines.discounts.customers import Customer, names_of
from pipelines.discounts.refusals import CodeInvalid
from web.client_address import network_of
from web.guards import principal
from web.humans import is_doubtful, note_failure, prove_human
from web.misses import looking_up
from web.rate_limits import spend


def count_try(
    named: Customer | None, address: str | None, *, of_person: Policy, of_shopper: Policy
) -> list[str]:
    """Count a try at a discount code; whom `trying` is to be told of.

    Who has missed often within the hour must show that they are a person, where a company that asks
    is set up. Raises `RateLimited`, `CaptchaRequired` and `CaptchaFailed`.
    """
    caller = principal()
    if caller.role is Role.STOREFRONT_KEY:
        policy = of_shopper
        subjects = [f"{caller.client_id}:{name}" for name in _names(named, address)]
        for subject in subjects:
            spend(policy, account=subject)
    else:
        policy, subjects = of_person, [f"person:{caller.actor_id}"]
        spend(policy)
    for subject in subjects:
        if is_doubtful(subject, Policy.DOUBT_FOR):
            prove_human(policy, account=subject)
            break
    return subjects


@contextmanager
def trying(client_id: UUID, code: str, tried_by: Iterable[str]) -> Iterator[None]:
    """Look for a discount code in the block: `CodeInvalid` is a miss of whom `count_try` named.

    It is a miss of the credential, too, once for each code: names and networks are the storefront's
    word, and whoever has its key has as many as they like (EC-029). Raises `RateLimited` for a
    credential that missed too often, before anything is looked for.
    """
    try:
        with looking_up(f"{client_id}:{canonical(code)}"):
            yield
    except CodeInvalid:
        for subject in tried_by:
            note_failure(subject, Policy.DOUBT_FOR)
        raise


def _names(named: Customer | None, address: str | None) -> Iterator[str]:
    """What a shopper is counted by."""
    if named is not None:
        yield from names_of(named)
    if address:
        yield f"address:{network_of(address)}"
