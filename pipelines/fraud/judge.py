"""Judge a reservation in the transaction that makes it, and again when the card is known (S2-109).

A score only grows, and what a person has decided stays. The reservation is locked by who calls. Of
several codes of a cart each is judged, and the reservation has the highest score: it alone is flagged
and decided on (EC-018).
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.audit.record import record
from pipelines.discounts.count_customers import IS_FIRST_PURCHASE
from pipelines.fraud.score import Score, Signals, score, with_card
from pipelines.fraud.traces import Traces

#: Of a network or device; more are not more suspicious.
LOOKED_AT_MAX = 50

# The reservation comes last: it is told of the highest of all.
_USAGES = text("""
SELECT id, agency_id, client_id, code_id, customer_keys, stacked_on, subtotal_minor,
    CAST(quote->>'discount_minor' AS bigint) AS discount_minor
FROM discount_usages WHERE id = :usage OR stacked_on = :usage ORDER BY stacked_on IS NULL, id
""")
_OTHERS = """
(SELECT count(DISTINCT u.customer_keys) FROM (
    SELECT usage_id FROM usage_risks WHERE client_id = :client AND {which}
      AND created_at > CAST(:now AS timestamptz) - interval '{age}' AND usage_id <> :usage
    ORDER BY created_at DESC LIMIT :most) r
  JOIN discount_usages u ON u.id = r.usage_id
  WHERE NOT u.customer_keys && CAST(:keys AS bytea[]))
"""
_NETWORK = _OTHERS.format(which="network_key = ANY (CAST(:networks AS bytea[]))", age="1 hour")
_DEVICE = _OTHERS.format(which="device_key = CAST(:device AS bytea)", age="30 days")
_SIGNALS = text(f"""
SELECT {_NETWORK} AS network_customers, {_DEVICE} AS device_customers,
  (SELECT count(*) FROM usage_risks r JOIN discount_usages u ON u.id = r.usage_id
   WHERE r.code_id = :code AND r.mailbox_key = CAST(:mailbox AS bytea) AND r.usage_id <> :usage
     AND u.state <> 'released' AND NOT u.customer_keys && CAST(:keys AS bytea[])) AS alias_uses,
  {IS_FIRST_PURCHASE} AS is_first_purchase, mine.codes, mine.carts, mine.reservations
FROM (SELECT count(DISTINCT code_id) AS codes, count(DISTINCT cart_reference) AS carts,
        count(*) FILTER (WHERE created_at > CAST(:now AS timestamptz) - interval '10 minutes'
          AND stacked_on IS NULL AND release_reason IS DISTINCT FROM 'code_removed') AS reservations
      FROM discount_usages
      WHERE client_id = :client AND customer_keys && CAST(:keys AS bytea[])
        AND created_at > CAST(:now AS timestamptz) - interval '1 day') mine
""")
# What was not told at first, where the shopper is or at what, is what others are compared with.
_GROWS = "(usage_risks.decision IS NULL AND usage_risks.score < excluded.score)"
_WRITE = text(f"""
INSERT INTO usage_risks (usage_id, agency_id, client_id, code_id, score, reasons, network_key,
    device_key, mailbox_key, created_at, flagged_at)
VALUES (:usage, :agency, :client, :code, :score, CAST(:reasons AS jsonb), :network, :device,
    :mailbox, :now, CASE WHEN :is_high THEN CAST(:now AS timestamptz) END)
ON CONFLICT (usage_id) DO UPDATE SET
    network_key = coalesce(usage_risks.network_key, excluded.network_key),
    device_key = coalesce(usage_risks.device_key, excluded.device_key),
    mailbox_key = coalesce(usage_risks.mailbox_key, excluded.mailbox_key),
    score = CASE WHEN {_GROWS} THEN excluded.score ELSE usage_risks.score END,
    reasons = CASE WHEN {_GROWS} THEN excluded.reasons ELSE usage_risks.reasons END,
    flagged_at = CASE WHEN {_GROWS} THEN coalesce(usage_risks.flagged_at, excluded.flagged_at)
      ELSE usage_risks.flagged_at END
  WHERE {_GROWS}
    OR usage_risks.network_key IS NULL AND excluded.network_key IS NOT NULL
    OR usage_risks.device_key IS NULL AND excluded.device_key IS NOT NULL
    OR usage_risks.mailbox_key IS NULL AND excluded.mailbox_key IS NOT NULL
RETURNING flagged_at = CAST(:now AS timestamptz) AS is_news
""")
_WITH_CARD = text("""
UPDATE usage_risks SET card_key = :card, score = greatest(score, :score),
    reasons = CAST(:reasons AS jsonb),
    flagged_at = CASE WHEN decision IS NULL AND :is_high
      THEN coalesce(flagged_at, CAST(:now AS timestamptz)) ELSE flagged_at END
WHERE usage_id = :usage
RETURNING flagged_at = CAST(:now AS timestamptz) AS is_news
""")
# Who has nothing of this customer is another one; a code without a limit for each is used at will.
_CARD_USES = text("""
SELECT count(*) FROM discount_usages u JOIN discount_codes c ON c.id = u.code_id
WHERE u.client_id = :client AND u.code_id = ANY (CAST(:codes AS uuid[]))
  AND u.id <> ALL (CAST(:usages AS uuid[])) AND c.max_uses_per_customer IS NOT NULL AND u.state IN ('reserved', 'confirmed', 'refunded')
  AND u.restored IS DISTINCT FROM 'customer'
  AND u.customer_keys && CAST(:card AS bytea[]) AND NOT u.customer_keys && CAST(:keys AS bytea[])
""")
# Whoever gives a code to friends may have bought without any code.
_REFERRER_PURCHASES = text("""
SELECT count(*) FROM referral_codes f
JOIN payments m ON m.client_id = f.client_id AND m.card = :paid_with
JOIN purchases p ON p.id = m.id AND p.customer_keys && f.referrer_keys
WHERE f.code_id = ANY (CAST(:codes AS uuid[]))
""")
_SWAPPED = text("""
UPDATE usage_risks r SET code_id = u.code_id FROM discount_usages u
WHERE u.id = r.usage_id AND r.usage_id = ANY (CAST(:usages AS uuid[])) AND r.code_id <> u.code_id
""")
_KNOWN = text("SELECT reasons, card_key FROM usage_risks WHERE usage_id = :usage FOR NO KEY UPDATE")


def judge(session: Session, usage_id: UUID, traces: Traces, *, now: datetime) -> Score:
    """Score a reservation that was made in this transaction, or is as it was; flag it if need be."""
    highest = Score()
    for usage in session.execute(_USAGES, {"usage": usage_id}).all():
        found = score(_signals(session, usage, traces, now))
        highest = max(highest, found, key=lambda one: one.points)
        if usage.stacked_on is None:
            _write(session, usage, highest, traces, now)
        else:
            _write(session, usage, found, traces, now, may_flag=False)
    return highest


def judged_as_swapped(session: Session, usages: Sequence[UUID]) -> None:
    """These usages of one cart may have each other's codes now; what was found and decided stays."""
    session.execute(_SWAPPED, {"usages": list(usages)})


def judge_card(
    session: Session,
    usage: Row[Any],
    usages: Sequence[Row[Any]],
    card: bytes,
    paid_with: str,
    *,
    now: datetime,
) -> bool:
    """The card that paid is known, by its key and as its payment names it.

    Whoever else paid with it for one of the codes is told of, once, and whether it is a referrer's.
    `usages` are those of all codes of the reservation.
    """
    known = session.execute(_KNOWN, {"usage": usage.id}).one_or_none()
    if known is None:
        # Reserved before anybody was judged.
        _write(session, usage, Score(), Traces(), now)
        known = session.execute(_KNOWN, {"usage": usage.id}).one()
    if known.card_key is not None:
        return False
    own = [key for key in usage.customer_keys if key != card]
    codes = [one.code_id for one in usages]
    others = {
        "client": usage.client_id,
        "codes": codes,
        "usages": [one.id for one in usages],
        "card": [card],
        "keys": own,
    }
    uses = int(session.execute(_CARD_USES, others).scalar_one())
    by_referrer = {"codes": codes, "paid_with": paid_with}
    purchases = int(session.execute(_REFERRER_PURCHASES, by_referrer).scalar_one())
    found = with_card(known.reasons, uses, purchases)
    told = {"usage": usage.id, "card": card, "now": now} | _told(found)
    if session.execute(_WITH_CARD, told).scalar_one():
        _audit(session, usage, found)
    return True


def _signals(session: Session, usage: Row[Any], traces: Traces, now: datetime) -> Signals:
    keys: Sequence[bytes] = list(usage.customer_keys)
    values = _who(usage) | {
        "keys": keys,
        "networks": list(traces.networks),
        "device": traces.device,
        "mailbox": traces.mailbox,
        "now": now,
        "most": LOOKED_AT_MAX,
    }
    noticed = session.execute(_SIGNALS, values).one()
    return Signals(
        **noticed._mapping,
        discount_minor=usage.discount_minor,
        subtotal_minor=usage.subtotal_minor,
    )


def _write(
    session: Session,
    usage: Row[Any],
    found: Score,
    traces: Traces,
    now: datetime,
    *,
    may_flag: bool = True,
) -> None:
    values = _who(usage) | {
        "agency": usage.agency_id,
        "network": traces.networks[0] if traces.networks else None,
        "device": traces.device,
        "mailbox": traces.mailbox,
        "now": now,
    }
    told = _told(found)
    told["is_high"] = told["is_high"] and may_flag
    if session.execute(_WRITE, values | told).scalar_one_or_none():
        _audit(session, usage, found)


def _who(usage: Row[Any]) -> dict[str, Any]:
    return {"usage": usage.id, "client": usage.client_id, "code": usage.code_id}


def _told(found: Score) -> dict[str, Any]:
    return {
        "score": found.points,
        "reasons": json.dumps(found.as_json()),
        "is_high": found.is_high,
    }


def _audit(session: Session, usage: Row[Any], found: Score) -> None:
    record(
        session,
        "reservation.flagged",
        object_kind="reservation",
        object_id=usage.id,
        actor_id=None,
        agency_id=usage.agency_id,
        client_id=usage.client_id,
        detail={
            "score": found.points,
            "reasons": [str(reason.code) for reason in found.reasons],
        },
    )
