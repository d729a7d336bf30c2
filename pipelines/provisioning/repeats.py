"""People whom another job of the campaign has served since this one was accepted get no card."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.jobs.chunks import among
from pipelines.provisioning.effects import JobInHand, OpenItem
from pipelines.provisioning.staging import SERVED_BEFORE

# A look-up per item by index, as at intake; the bounds keep every plan inside the chunk. Written as
# one expression, what is live is no reason to scan the index of live cards.
_SKIP = text(f"""
WITH served AS MATERIALIZED (
    SELECT o.position, (SELECT p.job_id FROM provisions p
                        WHERE p.campaign_id = :campaign AND p.person_key = o.person_key
                          AND p.job_id <> :job AND coalesce(p.undone_at, p.replaced_at) IS NULL
                        LIMIT 1) AS job_id
    FROM unnest(CAST(:positions AS integer[]), CAST(:persons AS bytea[]))
      AS o (position, person_key))
UPDATE items SET state = 'skipped', code = 'already_served', field = 'email',
    detail = {SERVED_BEFORE}, attempts = attempts + 1
FROM served
WHERE served.job_id IS NOT NULL AND items.job_id = :job AND items.position = served.position
  AND items.position BETWEEN :first AND :last AND items.state = 'pending'
RETURNING items.position
""")


def skip_served(
    session: Session, job: JobInHand, items: Sequence[OpenItem]
) -> tuple[list[OpenItem], list[OpenItem]]:
    """End items of people served before, unless the job allows repeats: (skipped, the others)."""
    persons = [item for item in items if item.person_key is not None]
    if not (job.once_per_person and persons):
        return [], list(items)
    values = among([item.position for item in persons]) | {
        "persons": [item.person_key for item in persons],
        "campaign": job.campaign_id,
        "job": job.id,
    }
    repeated = set(session.execute(_SKIP, values).scalars())
    skipped = [item for item in items if item.position in repeated]
    return skipped, [item for item in items if item.position not in repeated]
