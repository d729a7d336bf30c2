"""What the proofs of separation share: the roles, keys of storefronts, and the other tenant's marks."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Flask

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.access.api_keys import NewKey, draw_key, make_key
from pipelines.access.permissions import KeyScope
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import ACTOR, Seeded
from tests.web.conftest import Caller

#: The people of a tenant; end users have no routes yet.
CALLERS = (
    Role.CLIENT_ADMIN,
    Role.CAMPAIGN_MANAGER,
    Role.CLIENT_VIEWER,
    Role.AGENCY_ADMIN,
    Role.AGENCY_VIEWER,
)
#: A further client of the other agency, and of the first.
NEIGHBOUR = {False: new_id(), True: new_id()}
#: Tables whose rows name their tenant, by the column that tells whose they are.
_OWNED = {
    "jobs": "client_id",
    "campaigns": "client_id",
    "accounts": "client_id",
    "provisions": "client_id",
    "holds": "client_id",
    "provider_orders": "client_id",
    "deliveries": "client_id",
    "upload_drafts": "client_id",
    "users": "client_id",
    "user_pools": "client_id",
    "api_keys": "client_id",
    "card_pools": "client_id",
    "card_batches": "client_id",
    "approvals": "client_id",
    "receivables": "client_id",
    "erasures": "client_id",
    "invitations": "client_id",
    "alerts": "client_id",
    "webhook_endpoints": "client_id",
    "webhook_deliveries": "client_id",
    "books": "client_id",
    "coupons": "client_id",
    "discount_batches": "client_id",
    "discount_codes": "client_id",
    "discount_usages": "client_id",
    "referral_programs": "client_id",
    "referral_rewards": "client_id",
    "payments": "client_id",
    "partners": "client_id",
    "partner_secrets": "client_id",
    "partner_offers": "client_id",
    "widget_sessions": "client_id",
    "claims": "client_id",
}


@dataclass(frozen=True, slots=True)
class Known:
    """The other tenant's ids by the name of the argument that takes them, and all its marks."""

    ids: dict[str, Any]
    marks: frozenset[str]


def key_caller(app: Flask, house: House, client_id: UUID) -> Caller:
    """A storefront with a key of every scope."""
    drawn = draw_key(is_live=False)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        wanted = NewKey("Shop", client_id, sorted(KeyScope))
        make_key(session, drawn, wanted, actor_id=ACTOR, now=clock.now(session))
    return Caller(app.test_client(), {"Authorization": f"Bearer {drawn.text}"})


def known_of(house: House, tenant: Seeded) -> Known:
    """One object of each kind, and every id and name in the tenant's rows."""

    def one(table: str, where: str = "client_id = :client") -> Any:
        found = rows(
            house,
            f"SELECT id FROM {table} WHERE {where} ORDER BY id LIMIT 1",
            client=tenant.client_id,
        )
        assert found, table
        return found[0].id

    sign_in = rows(
        house,
        "SELECT s.id FROM sign_ins s JOIN users u ON u.id = s.user_id "
        "WHERE u.client_id = :client ORDER BY s.id LIMIT 1",
        client=tenant.client_id,
    )[0].id
    ids = {
        "agency_id": tenant.agency_id,
        "client_id": tenant.client_id,
        "campaign_id": tenant.campaign_id,
        "account_id": tenant.client_account,
        "pool_id": tenant.csv_pool,
        "user_pool_id": one("user_pools"),
        "batch_id": one("card_batches", f"pool_id = '{tenant.csv_pool}'"),
        "card_id": one("cards", f"pool_id = '{tenant.csv_pool}' AND state = 'available'"),
        "job_id": one("jobs"),
        "order_id": one("provider_orders"),
        "redemption_id": one("provisions"),
        "draft_id": one("upload_drafts"),
        "user_id": one("users"),
        "key_id": one("api_keys"),
        "approval_id": one("approvals"),
        "erasure_id": one("erasures"),
        "book_id": one("books"),
        "coupon_id": one("coupons"),
        "own_id": one("coupons"),
        "discount_batch_id": one("discount_batches"),
        "discount_id": one("discount_codes"),
        "reservation_id": one("discount_usages"),
        "purchase_id": one("purchases"),
        "program_id": one("referral_programs"),
        "top_up_id": one("top_ups"),
        "vendor_id": one("partners"),
        "partner_id": one("partners"),
        # Events are the platform's.
        "event_id": "evt_1",
        "code": rows(
            house,
            "SELECT code FROM coupons WHERE client_id = :client AND code IS NOT NULL LIMIT 1",
            client=tenant.client_id,
        )[0].code,
        "invitation_id": one("invitations"),
        "alert_id": one("alerts"),
        "endpoint_id": one("webhook_endpoints"),
        "delivery_id": one("webhook_deliveries"),
        "session_id": sign_in,
        "sign_in_id": sign_in,
        # Tasks are the platform's; nobody else may even ask.
        "task_id": tenant.client_id,
        # As are reversals of transfers.
        "transfer_id": tenant.client_id,
        # As are plans of buffers.
        "plan_id": tenant.client_id,
        # As are balance sheets, and forgiving what is owed.
        "sheet_id": tenant.client_id,
        "receivable_id": tenant.client_id,
    }
    marks = {str(tenant.agency_id), str(tenant.client_id), f"Agency {tenant.agency_id}"}
    for table, column in _OWNED.items():
        found = rows(house, f"SELECT id FROM {table} WHERE {column} = :id", id=tenant.client_id)
        marks |= {str(row.id) for row in found}
    return Known(ids, frozenset(marks))


def digest_of(house: House, tenant: Seeded, tables: list[str]) -> dict[str, str]:
    """What the tenant's rows are, table by table: nobody else may change a letter of it.

    When a key of the agency was last used is the asker's own doing.
    """
    return {
        table: rows(
            house,
            "SELECT md5(coalesce(string_agg(t.row, ',' ORDER BY t.row), '')) AS digest "
            "FROM (SELECT (to_jsonb(one) - 'last_used_at')::text AS row "
            f"FROM {table} one WHERE agency_id = :agency) t",
            agency=tenant.agency_id,
        )[0].digest
        for table in tables
    }
