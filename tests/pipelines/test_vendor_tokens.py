"""A vendor's token is shared by all processes and renewed by one of them (S4-121)."""

import threading

import pytest

from models.base import new_id
from models.database import create_database_engine, sessions_of
from models.scope import client, current, tenant_scope
from pipelines.providers.ports import Balance, NotSent
from pipelines.providers.reloadly import ReloadlyProvider
from pipelines.providers.reloadly_token import TokenKeeper
from pipelines.providers.token_store import HeldToken, SharedTokens, account_id
from pipelines.providers.transport import VendorTransport
from pipelines.sealing import Keyring
from pipelines.wiring import House
from tests.driving import rows
from tests.vendor import Sandbox

FUNDS = Balance(100_000_000_000, "USD")
OTHER_KEYRING = "9:" + "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg="


@pytest.fixture
def store(vendor_house: House) -> SharedTokens:
    return SharedTokens(vendor_house.sessions, vendor_house.settings.keyring)


def adapter(sandbox: Sandbox, store: SharedTokens, **options) -> ReloadlyProvider:
    """A worker's own adapter: what it shares with another is the store alone."""
    return sandbox.provider(tokens=store, **options)


def fetched(sandbox: Sandbox) -> int:
    return sandbox.calls("POST /auth/oauth/token")


def keeper(sandbox: Sandbox, store: SharedTokens, client_id: str = "id") -> TokenKeeper:
    return TokenKeeper(
        VendorTransport(),
        auth_url=f"{sandbox.url}/reloadly/auth",
        audience=f"{sandbox.url}/reloadly",
        client_id=client_id,
        client_secret="secret",
        store=store,
    )


def test_a_process_that_starts_takes_the_token_that_is_good(
    vendor_house: House, sandbox: Sandbox, store: SharedTokens
) -> None:
    first = keeper(sandbox, store).token(deadline_seconds=5)

    assert keeper(sandbox, store).token(deadline_seconds=5) == first
    assert fetched(sandbox) == 1
    stored = rows(vendor_house, "SELECT vendor, token_sealed FROM vendor_tokens")
    assert [row.vendor for row in stored] == ["reloadly"]
    assert str(first).encode() not in bytes(stored[0].token_sealed)


def test_keepers_that_start_together_fetch_one_token(sandbox: Sandbox, store: SharedTokens) -> None:
    sandbox.arm(token_slow={"next": 1, "seconds": 0.3})
    found: list[object] = []
    barrier = threading.Barrier(4)

    def ask() -> None:
        own = keeper(sandbox, store)
        barrier.wait()
        found.append(own.token(deadline_seconds=5))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(found), len(set(found))) == (4, 1)
    assert isinstance(found[0], str)
    assert fetched(sandbox) == 1


def test_a_refused_token_is_renewed_by_the_first_who_notices(
    sandbox: Sandbox, store: SharedTokens
) -> None:
    one, other = adapter(sandbox, store), adapter(sandbox, store)
    assert one.balance() == other.balance() == FUNDS
    sandbox.control("DELETE", "/reloadly/tokens")

    assert one.balance() == FUNDS
    assert other.balance() == FUNDS

    assert fetched(sandbox) == 2
    assert adapter(sandbox, store).balance() == FUNDS
    assert fetched(sandbox) == 2


def test_a_token_near_its_end_is_not_taken_up(
    vendor_house: House, sandbox: Sandbox, store: SharedTokens
) -> None:
    keeper(sandbox, store).token(deadline_seconds=5)
    until = rows(
        vendor_house, "SELECT extract(epoch FROM good_until - now()) AS s FROM vendor_tokens"
    )
    rows(vendor_house, "UPDATE vendor_tokens SET good_until = now() RETURNING 1")

    keeper(sandbox, store).token(deadline_seconds=5)

    assert 3480 < until[0].s <= 3540
    assert fetched(sandbox) == 2


def test_while_another_renews_nobody_else_does_and_nothing_is_sent(
    vendor_house: House, sandbox: Sandbox, store: SharedTokens
) -> None:
    own = keeper(sandbox, store)
    assert store.claim(own._account, vendor="reloadly", seconds=60)

    assert own.token(deadline_seconds=0.1) == NotSent("token_awaited")
    assert fetched(sandbox) == 0

    # Whoever held the claim has died: it has ended by itself.
    rows(vendor_house, "UPDATE vendor_tokens SET renewed_until = now() - interval '1s' RETURNING 1")
    assert isinstance(own.token(deadline_seconds=5), str)


def test_who_gets_no_token_lets_the_next_try(sandbox: Sandbox, store: SharedTokens) -> None:
    sandbox.arm(token_500={"next": 1})

    assert keeper(sandbox, store).token(deadline_seconds=5) == NotSent("token_http_500")
    assert isinstance(keeper(sandbox, store).token(deadline_seconds=0.5), str)


def test_another_account_has_a_token_of_its_own(sandbox: Sandbox, store: SharedTokens) -> None:
    first = keeper(sandbox, store).token(deadline_seconds=5)

    assert keeper(sandbox, store, "other").token(deadline_seconds=5) != first
    assert fetched(sandbox) == 2


def test_a_token_under_a_key_that_is_gone_is_replaced(
    vendor_house: House, sandbox: Sandbox, store: SharedTokens
) -> None:
    stranger = SharedTokens(vendor_house.sessions, Keyring.parse(OTHER_KEYRING))
    first = keeper(sandbox, stranger).token(deadline_seconds=5)

    assert keeper(sandbox, store).token(deadline_seconds=5) != first
    assert fetched(sandbox) == 2


def test_a_newer_token_stays_when_an_older_one_was_refused(
    sandbox: Sandbox, store: SharedTokens
) -> None:
    account = account_id("reloadly", "x")
    claim = store.claim(account, vendor="reloadly", seconds=5)
    assert claim is not None
    assert store.keep(account, HeldToken("newer", 60.0), claim=claim)

    store.drop(account, "older")

    held = store.find(account)
    assert held is not None
    assert (held.token, 0 < held.seconds <= 60) == ("newer", True)
    assert "newer" not in repr(held)


def test_s4_121_an_answer_that_came_too_late_leaves_the_newer_token_and_claim_alone(
    vendor_house: House, store: SharedTokens
) -> None:
    """Two writers in turn: the first one's claim has ended, the second has claimed, then has kept."""
    account = account_id("reloadly", "x")
    ended = "UPDATE vendor_tokens SET renewed_until = now() - interval '1 s' RETURNING 1"
    first = store.claim(account, vendor="reloadly", seconds=60)
    rows(vendor_house, ended)
    second = store.claim(account, vendor="reloadly", seconds=60)
    assert first is not None
    assert second is not None

    store.release(account, claim=first)
    assert store.claim(account, vendor="reloadly", seconds=60) is None  # the second still holds it
    assert not store.keep(account, HeldToken("older", 60.0), claim=first)
    assert store.find(account) is None
    assert store.keep(account, HeldToken("newer", 60.0), claim=second)
    assert not store.keep(account, HeldToken("older", 60.0), claim=first)

    held = store.find(account)
    assert held is not None
    assert held.token == "newer"


def test_s4_121_who_came_too_late_takes_the_token_that_is_shared(
    vendor_house: House, sandbox: Sandbox, store: SharedTokens
) -> None:
    """Its own may be one that the vendor ended when it granted the newer one."""

    class Overtaken(SharedTokens):
        def keep(self, account, held, *, claim):
            rows(
                vendor_house,
                "UPDATE vendor_tokens SET renewed_until = now() - interval '1 s' RETURNING 1",
            )
            other = store.claim(account, vendor="reloadly", seconds=60)
            assert other is not None
            assert store.keep(account, HeldToken("newer", 60.0), claim=other)
            return super().keep(account, held, claim=claim)

    slow = Overtaken(vendor_house.sessions, vendor_house.settings.keyring)

    assert keeper(sandbox, slow).token(deadline_seconds=5) == "newer"


def test_a_token_is_found_in_the_middle_of_a_tenants_work(
    sandbox: Sandbox, store: SharedTokens
) -> None:
    """Orders are placed in their client's scope, which is in force again afterwards."""
    scope = client(new_id())
    with tenant_scope(scope):
        token = keeper(sandbox, store).token(deadline_seconds=5)
        assert current() == scope

    assert isinstance(token, str)


def test_without_the_database_no_token_is_fetched_and_nothing_is_sent(
    vendor_house: House, sandbox: Sandbox
) -> None:
    engine = create_database_engine("postgresql://nobody@127.0.0.1:1/nothing", pool_size=1)
    away = SharedTokens(sessions_of(engine), vendor_house.settings.keyring)

    assert keeper(sandbox, away).token(deadline_seconds=5) == NotSent("token_store_away")

    assert fetched(sandbox) == 0
