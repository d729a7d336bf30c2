"""The outcome of a single request: the redemption, the masked card, what is left, the link."""

from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.credit.hold import payer_of
from pipelines.jobs.kinds import Ended, Viewer
from pipelines.provisioning.refusals import ProvisionReplaced, ProvisionUndone
from pipelines.provisioning.reveal import reveal_token

_SINGLE = text("""
SELECT i.state, i.code, i.detail, p.id, p.charge_minor, p.cost_minor, p.cost_currency, p.last4,
    p.face_value_minor, p.currency, p.source, p.campaign_id, p.reveal_version,
    p.undone_at IS NOT NULL AS is_undone, p.replacement_job_id, b.name AS brand
FROM items i
LEFT JOIN provisions p ON p.job_id = i.job_id AND p.position = i.position
LEFT JOIN brands b ON b.id = p.brand_id
WHERE i.job_id = :job AND i.position = 1
""")
#: HTTP-like statuses of single outcomes, as the same refusal has at submit: `error.status`.
_STATUS = {
    "no_inventory": 409,
    "out_of_stock": 409,
    "denomination_unavailable": 422,
    "job_cancelled": 409,
    "account_suspended": 403,
    "campaign_closed": 409,
    "campaign_not_started": 409,
    "campaign_ended": 409,
    "internal_error": 500,
}
_FAILED_STATES = {"failed", "cancelled", "skipped"}
#: As an answer to who waits: it is accepted, and neither served nor refused.
UNDECIDED = 202
_A_PERSON_LOOKS = (
    "A person looks at this request. It is not refused: its credit stays held, and it is served or "
    "given up without being asked again."
)


def single_outcome(session: Session, job: Row[Any], viewer: Viewer) -> Ended:
    """Result and error of a job of one item; both None while it is open, and of a bulk job.

    The link opens the card, so it is bearer money: `reveal_url` is null for who may not have it.
    """
    if not job.is_single:
        return None, None
    row = session.execute(_SINGLE, {"job": job.id}).one_or_none()
    if row is None:
        return None, None
    if row.id is None:
        return None, _unserved(row)
    if row.is_undone:
        undone = ProvisionUndone()
        return None, {"status": 410, "code": undone.code, "detail": undone.detail}
    if row.replacement_job_id is not None:
        gone = ProvisionReplaced()
        told = {"status": 410, "code": gone.code, "detail": gone.detail}
        return None, told | {"replacement_job_id": str(row.replacement_job_id)}
    redemption: dict[str, Any] = {"id": row.id, "charge_minor": row.charge_minor}
    if viewer.sees_costs:
        same = row.cost_currency == row.currency and row.cost_minor is not None
        redemption["cost_minor"] = row.cost_minor
        redemption["margin_minor"] = row.charge_minor - row.cost_minor if same else None
    token = reveal_token(row.id, row.reveal_version, viewer.keyring)
    payer = payer_of(session, row.campaign_id, row.currency)
    result = {
        "redemption": redemption,
        "card": {
            "last4": row.last4,
            "brand": row.brand,
            "value_minor": row.face_value_minor,
            "currency": row.currency,
        },
        "source": row.source,
        "credit_remaining_minor": payer.available,
        "reveal_url": f"{viewer.public_url}/r/{token}" if viewer.sees_link else None,
    }
    return result, None


def _unserved(row: Row[Any]) -> dict[str, Any] | None:
    """Why there is no card; None while it may still come by itself."""
    if row.state == "needs_review":
        return {"status": UNDECIDED, "code": row.code, "detail": _A_PERSON_LOOKS}
    if row.state in _FAILED_STATES:
        return {"status": _STATUS.get(row.code, 502), "code": row.code, "detail": row.detail}
    return None
