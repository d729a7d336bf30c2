"""The audit log in words: what was done, to what, and what it was before."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from web.audit_seen import EntriesSeen
from web.console.formats import moment, number, plural

UNKNOWN_ACTOR = "somebody not known any more"
NOBODY = "system"
#: What an action is called; one that is not here is shown by its own name.
ACTIONS: Mapping[str, str] = {
    "agency.created": "Agency made",
    "agency.changed": "Agency changed",
    "alert.acknowledged": "Alert acknowledged",
    "alert.raised": "Alert raised by hand",
    "alert.resolved": "Alert resolved",
    "alert.snoozed": "Alert snoozed",
    "api_key.made": "API key made",
    "api_key.ended": "API key ended",
    "api_key.rotated": "API key replaced",
    "keys.rotation_ordered": "Master key rotation begun",
    "keys.retired": "Master key retired",
    "keys.trusted": "Master key trusted",
    "approval.approved": "Request approved",
    "approval.rejected": "Request rejected",
    "approval.requested": "Approval asked for",
    "audit.exported": "Audit log exported",
    "balance_sheet.exported": "Rows of a balance sheet taken as a file",
    "book.created": "Book made",
    "book.changed": "Book changed",
    "book.closed": "Book closed",
    "book.reopened": "Book reopened",
    "brand.created": "Brand made",
    "brand.changed": "Brand changed",
    "vendor_statement.taken": "Vendor's statement taken",
    "price.set": "Price set",
    "price.ended": "Price ended",
    "campaign.created": "Campaign made",
    "campaign.changed": "Campaign changed",
    "campaign.paused": "Campaign paused",
    "campaign.resumed": "Campaign resumed",
    "campaign.isolated": "Campaign given a budget of its own",
    "campaign.shared": "Campaign put on its client's budget",
    "card.quarantined": "Card set aside",
    "card.released": "Card given back to stock",
    "card.voided": "Card ended",
    "card_batch.quarantined": "Card batch set aside",
    "card_batch.released": "Card batch given back to stock",
    "card_batch.voided": "Card batch ended",
    "card.reported_defective": "Card reported not to work, and replaced",
    "card.revealed": "Card opened",
    "discount_batch.archived": "Batch of discount codes put away",
    "discount_batch.exported": "Discount codes taken as a file",
    "discount_batch.generated": "Discount codes generated",
    "discount_batch.imported": "Discount codes imported",
    "discount_batch.paused": "Batch of discount codes paused",
    "discount_batch.resumed": "Batch of discount codes resumed",
    "discount.created": "Discount code made",
    "discount.changed": "Discount code changed",
    "discount.paused": "Discount code paused",
    "discount.resumed": "Discount code resumed",
    "discount.count_corrected": "Uses of a discount code counted anew",
    "discount.archived": "Discount code put away",
    "discount.slot_released": "Slot of a discount code released at the console",
    "discounts.exported": "Discount codes taken as a file",
    "referral_program.created": "Referral program made",
    "referral_program.changed": "Referral program changed",
    "referral_program.paused": "Referral program paused",
    "referral_program.resumed": "Referral program resumed",
    "referral_program.archived": "Referral program put away",
    "referral_program.code_given": "Referral code given to a customer",
    "referral_reward.pending": "Reward of a referrer earned",
    "referral_reward.issued": "Reward of a referrer issued",
    "referral_reward.void": "Reward of a referrer taken away",
    "referral_reward.over_limit": "Reward of a referrer beyond the limit",
    "reservation.made": "Slot of a discount code reserved",
    "reservation.code_added": "Another discount code added to a cart",
    "reservation.code_removed": "Discount code taken off a cart",
    "reservation.released": "Slot of a discount code given back",
    "reservation.confirmed": "Slot of a discount code used",
    "reservation.flagged": "Use of a discount code flagged",
    "reservation.approved": "Flagged use of a code approved",
    "reservation.rejected": "Flagged use of a code rejected",
    "purchase.held": "Paid purchase kept until somebody decides",
    "reservation.refunded": "Use of a discount code refunded",
    "purchase.open": "Purchase can be paid",
    "purchase.processing": "Purchase being paid",
    "purchase.succeeded": "Purchase paid",
    "purchase.mismatched": "Purchase paid with another amount",
    "purchase.refunded": "Purchase paid back",
    "purchase.failed": "Payment of a purchase failed",
    "purchase.expired": "Purchase not paid",
    "purchase.refused": "Payment of a purchase refused",
    "purchase.accepted": "Odd payment of a purchase taken",
    "purchase.refund_asked": "Refund of a purchase asked for",
    "top_up.begun": "Top-up begun",
    "stripe_event.replayed": "Event of Stripe’s handled once more",
    "coupon.claimed": "Coupon claimed at a partner's site",
    "coupon.revealed": "Coupon’s code opened",
    "coupon.released": "Coupon taken back from its holder",
    "coupon.tried_by_stranger": "Coupon tried by somebody who does not hold it",
    "coupon.voided": "Coupon made worthless",
    "card.resent": "Card's link sent again",
    "card.reveal_refused": "Card not opened: wrong answer",
    "cards.import_submitted": "Cards imported",
    "code.redeemed": "Code redeemed",
    "code.not_given": "Code's card could not be asked for",
    "codes.exported": "Codes of a book taken as a file",
    "codes.generated": "Codes of a book generated",
    "codes.imported": "Codes of a book uploaded",
    "codes.loaded": "Redemption codes loaded",
    "codes.withdrawn": "Redemption codes withdrawn",
    "client.created": "Client made",
    "client.changed": "Client changed",
    "client.brands_restricted": "Client's brands chosen",
    "credit.adjusted": "Account adjusted",
    "credit.clawed_back": "Disputed top-up taken back",
    "credit.opened": "Accounts opened from a balance sheet",
    "credit.frozen": "Account frozen",
    "credit.reversed": "Movement of credit reversed",
    "credit.unfrozen": "Account unfrozen",
    "credit.unrestricted": "Account owes nothing any more",
    "credit.written_off": "Debt of an account written off",
    "credit.allocated": "Credit allocated",
    "credit.recalled": "Credit recalled",
    "credit.topped_up": "Credit topped up",
    "impersonation.began": "Support began to look through a person's eyes",
    "impersonation.ended": "Support ended looking through a person's eyes",
    "invitation.accepted": "Invitation accepted",
    "invitation.made": "Person invited",
    "invitation.withdrawn": "Invitation withdrawn",
    "provider_order.resolved": "Vendor's order resolved by a person",
    "vendor_account.changed": "Vendor account changed",
    "vendor_account.breaker_closed": "Vendor account's breaker closed",
    "job.cancel_asked": "Job asked to cancel",
    "job.cloned": "Job run again",
    "job.finished": "Job ended",
    "job.planned": "Job's file read",
    "job.paused": "Job paused",
    "job.priority_changed": "Job's priority changed",
    "job.rescheduled": "Job's start moved",
    "job.results_downloaded": "Results downloaded",
    "job.resumed": "Job resumed",
    "job.funded": "Waiting job given credit",
    "job.waiting_given_up": "Recipients without a card at a fair cost given up",
    "job.retried": "Job tried again",
    "job.submitted": "Job submitted",
    "job.undo_asked": "Job asked to undo",
    "order.link_made_anew": "Lost link of a bought card made anew at the vendor",
    "partner.created": "Partner made",
    "partner.changed": "Partner changed",
    "partner.claims_exported": "Claims at a partner taken as a file",
    "partner.disabled": "Partner disabled",
    "partner.enabled": "Partner enabled",
    "partner.secret_drawn": "Partner given its secret",
    "partner.secret_rotated": "Partner given another secret",
    "person.erased": "Person erased",
    "person.erasure_asked": "Erasure asked for",
    "pool.cards_adopted": "Cards in no pool put into a buffer",
    "pool.changed": "Card pool changed",
    "pool.refill_asked": "Buffer filled on request",
    "pool.refill_changed": "Filling of a buffer changed",
    "pool.refill_plan_withdrawn": "Plan for a launch withdrawn",
    "pool.refill_planned": "Cards planned for a launch",
    "pool.created": "Card pool made",
    "user_pool.created": "Pool of people made",
    "user_pool.changed": "Pool of people changed",
    "user_pool.exported": "People of a pool taken as a file",
    "user_pool.import_submitted": "File of people sent to a pool",
    "user_pool.members_added": "People added to a pool",
    "user_pool.members_removed": "People removed from a pool",
    "queue.paused": "Queue paused",
    "queue.resumed": "Queue resumed",
    "second_factor.recovery_code_used": "Recovery code used",
    "second_factor.recovery_codes_made": "Recovery codes made",
    "second_factor.removed": "Second factor removed",
    "second_factor.set_up": "Second factor set up",
    "session.closed": "Signed out of the console",
    "session.opened": "Signed in to the console",
    "sign_in.ended": "Signed out",
    "sign_in.failed": "Wrong password",
    "sign_in.locked": "Account rests after wrong passwords",
    "sign_in.opened": "Signed in",
    "sign_in.others_ended": "Other sign-ins ended",
    "sign_in.token_reused": "Refresh token used twice: sign-in ended",
    "task.buried": "Dead letter buried",
    "task.replayed": "Dead letter replayed",
    "task.replayed_many": "Dead letters replayed",
    "webhook_delivery.sent_again": "Event sent again",
    "webhook_endpoint.made": "Webhook made",
    "webhook_endpoint.changed": "Webhook changed",
    "webhook_endpoint.enabled": "Webhook enabled",
    "webhook_endpoint.disabled": "Webhook disabled",
    "webhook_endpoint.deleted": "Webhook deleted",
    "webhook_endpoint.secret_rotated": "Webhook given another secret",
    "webhook_endpoint.tested": "Webhook tested",
    "user.changed": "Person changed",
    "user.created": "Person made",
    "user.password_changed": "Password changed",
    "user.password_reset": "Password chosen anew by a mailed link",
    "user.second_factor_reset": "Person's second factor taken away",
    "user.signed_out": "Person signed out everywhere",
    "user.link_handed": "Link to choose a password handed over",
    "user.tries_allowed": "Password tries allowed again",
}


@dataclass(frozen=True, slots=True)
class EntryLine:
    """One entry as the page says it."""

    at: datetime
    sequence: int | None
    words: str
    by: str
    role: str
    object_kind: str
    object_id: UUID | None
    facts: list[str]
    request_id: str | None
    job_id: UUID | None
    address: str | None


def entry_line(seen: EntriesSeen, row: Row[Any], *, with_address: bool) -> EntryLine:
    actor = seen.actor(row)
    return EntryLine(
        at=row.at,
        sequence=row.sequence,
        words=action_words(row.action),
        by=NOBODY if actor is None else actor["name"] or UNKNOWN_ACTOR,
        role=_spaced((actor or {}).get("role") or ""),
        object_kind=_spaced(row.object_kind),
        object_id=row.object_id,
        facts=[fact_words(name, value) for name, value in sorted(row.detail.items())],
        request_id=row.request_id,
        job_id=row.job_id,
        address=row.address if with_address else None,
    )


def action_words(action: str) -> str:
    return ACTIONS.get(action) or _spaced(action.replace(".", " ")).capitalize()


def fact_words(name: str, value: Any) -> str:
    """`name: before → after`, or the plain fact."""
    called = _spaced(name)
    if isinstance(value, list) and len(value) == 2:
        return f"{called}: {_value(value[0])} → {_value(value[1])}"
    return f"{called}: {_value(value)}"


def standing_words(standing: Row[Any]) -> str:
    """How far the reader's own chain is sealed, and when its head was last witnessed outside."""
    if not standing.sealed_to:
        return f"Nothing is sealed yet; {plural(standing.unsealed, 'entry', 'entries')} wait."
    words = f"Sealed to {number(standing.sealed_to)}"
    if standing.unsealed:
        words += f", {plural(standing.unsealed, 'newer entry', 'newer entries')} within seconds"
    if standing.witnessed_at is None:
        return f"{words}; not witnessed yet."
    return (
        f"{words}; witnessed to {number(standing.witnessed_to)} on {moment(standing.witnessed_at)}."
    )


def _value(value: Any) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, int) else str(value)


def _spaced(name: str) -> str:
    return name.replace("_", " ")
