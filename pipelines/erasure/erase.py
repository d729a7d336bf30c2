"""Erase one person, a bounded piece of the jobs at a time; counts, verdicts and money stay."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.oversight import ErasureState
from pipelines.audit.record import record
from pipelines.erasure.account import erase_account
from pipelines.erasure.ask import COLUMN, NO_JOB, TABLE
from pipelines.erasure.traces import Traces, pseudonym
from pipelines.erasure.writers import wait_for_writers
from pipelines.queue.defer import defer
from pipelines.queue.kinds import ERASE_PERSON
from pipelines.queue.work import Postpone, TaskInHand
from pipelines.sealing import DecryptionFailed, Keyring, Purpose

#: Items and jobs looked through in one transaction.
ITEMS_AT_ONCE = 50_000
JOBS_AT_ONCE = 1_000
#: Bytes of an upload looked through at a time, and how far two looks overlap: no address is longer.
WINDOW = 4 * 1024 * 1024
OVERLAP = 2 * 1024
#: A job whose items are still to be written cannot be looked into; it is waited for.
WAIT_FOR_INPUT = timedelta(seconds=10)
#: So are values, of a day's life, that are sealed under a key which this process does not have.
WAIT_FOR_KEYS = timedelta(minutes=1)

_HOLD = text("SELECT * FROM erasures WHERE id = :id FOR NO KEY UPDATE")
# Undos and clones copy recipients: those of a job asked about belong to it, whenever they were
# made, and so do copies of these: one of the jobs behind it was asked about. A worker may be at
# copying them while the job they are taken from is erased.
_IS_COPY = "(j.undoes_id IS NOT NULL OR j.cloned_from_id IS NOT NULL)"
_LOOK = f"""
SELECT j.id, j.state, (SELECT coalesce(max(last_position), 0) FROM chunks c WHERE c.job_id = j.id)
        AS last_position,
    EXISTS (SELECT FROM job_inputs i WHERE i.job_id = j.id)
        OR ({_IS_COPY} AND j.finished_at IS NULL
            AND NOT EXISTS (SELECT FROM chunks c WHERE c.job_id = j.id)) AS is_unread
FROM jobs j
WHERE j.id > :after AND (j.id <= :until OR ({_IS_COPY} AND EXISTS (
    WITH RECURSIVE behind (id) AS (
        SELECT unnest(ARRAY[j.undoes_id, j.cloned_from_id])
        UNION
        SELECT unnest(ARRAY[b.undoes_id, b.cloned_from_id])
        FROM behind JOIN jobs b ON b.id = behind.id WHERE b.id > :until)
    SELECT FROM behind WHERE id <= :until)))
  AND j.kind NOT IN ('card_import', 'code_import', 'code_generation', 'discount_generation')
  AND (CAST(:client AS uuid) IS NULL OR j.client_id = CAST(:client AS uuid))
"""
_JOBS = text(f"{_LOOK} ORDER BY j.id LIMIT :limit")
_COPIES = text(f"{_LOOK} AND {_IS_COPY} ORDER BY j.id LIMIT :limit")
# Whose line it is: the person's own is emptied, another's loses the field that names the person.
_OWN = """coalesce(person_key = :person OR lower(email) ~ :pattern
    OR (person_key IS NULL AND email IS NULL), false)"""
_ITEMS = text(f"""
UPDATE items SET email = CASE WHEN NOT {_OWN} THEN email END,
    reference = CASE WHEN NOT ({_OWN} OR lower(reference) ~ :pattern) THEN reference END,
    name = CASE WHEN NOT ({_OWN} OR lower(name) ~ :pattern) THEN name END,
    phone = CASE WHEN NOT ({_OWN} OR lower(phone) ~ :pattern) THEN phone END,
    person_key = CASE WHEN NOT {_OWN} THEN person_key
        WHEN person_key IS NOT NULL THEN CAST(:pseudonym AS bytea) END
WHERE job_id = ANY (:jobs) AND position > :after AND position <= :until
  AND (person_key = :person OR (
    position(:address IN lower(concat_ws(' ', email, reference, name, phone))) > 0
    AND concat_ws(' ', lower(email), lower(reference), lower(name), lower(phone)) ~ :pattern))
""")
# A row of a file of people that was left out and names the person by the client's own id of them.
# Elsewhere a reference is whatever the client meant by it.
_ROWS_OF_PEOPLE = text("""
UPDATE items i SET email = NULL, reference = NULL, name = NULL, phone = NULL
FROM jobs j, client_users c, users u
WHERE i.job_id = ANY (:jobs) AND i.position > :after AND i.position <= :until
  AND j.id = i.job_id AND j.kind = 'pool_import'
  AND c.client_id = i.client_id AND c.external_id = i.reference AND u.id = c.user_id
  AND (u.id = CAST(:user AS uuid) OR u.email_normalised = ANY (:addresses))
""")
# Afterwards nobody can prove to be the recipient: the link ends with the address.
_PROVISIONS = text("""
UPDATE provisions SET person_key = :pseudonym, reveal_version = reveal_version + 1
WHERE job_id = ANY (:jobs) AND position > :after AND position <= :until AND person_key = :person
""")
# So does one that was sent to a corrected address; nothing that waits is sent any more.
_CORRECTED = text("""
WITH erased AS (
    UPDATE deliveries SET sealed_address = NULL,
        address_key = CASE WHEN address_key IS NOT NULL THEN CAST(:pseudonym AS bytea) END,
        state = CASE WHEN state = 'waiting' THEN 'cancelled' ELSE state END,
        code = CASE WHEN state = 'waiting' THEN 'recipient_erased' ELSE code END,
        ended_at = coalesce(ended_at, :now)
    WHERE job_id = ANY (:jobs) AND position > :after AND position <= :until
      AND (address_key = :person OR (job_id, position) IN (
        SELECT p.job_id, p.position FROM provisions p WHERE p.job_id = ANY (:jobs)
          AND p.position > :after AND p.position <= :until AND p.person_key = :person))
    RETURNING job_id, position)
UPDATE provisions p SET reveal_version = p.reveal_version + 1 FROM erased e
WHERE p.job_id = e.job_id AND p.position = e.position AND p.person_key IS DISTINCT FROM :person
""")
_CODES = text("""
UPDATE redemption_codes SET person_key = :pseudonym
WHERE job_id = ANY (:jobs) AND person_key = :person
""")
# Bytes as text that every byte has: no encoding of the file makes this fail. A window at a time,
# because such text has up to four times the bytes; each is written down once for all spellings.
_DRAFTS = text("""
UPDATE upload_drafts SET content = NULL, file_name = NULL
WHERE content IS NOT NULL
  AND (CAST(:client AS uuid) IS NULL OR client_id = CAST(:client AS uuid))
  AND EXISTS (
    SELECT FROM (SELECT content || ''::bytea AS whole OFFSET 0) d,
      generate_series(1, length(d.whole), CAST(:window AS integer)) AS w (start),
      LATERAL (SELECT lower(encode(substr(d.whole, w.start, :window + :overlap), 'escape')
                            COLLATE "C") AS said OFFSET 0) t
    WHERE (SELECT bool_or(strpos(t.said, encode(s.bytes, 'escape')) > 0)
           FROM unnest(CAST(:spellings AS bytea[])) AS s (bytes)))
""")
_GO_ON = text("""
UPDATE erasures SET after_job_id = :job, after_position = :position, items = items + :items,
    provisions = provisions + :provisions, redemption_codes = redemption_codes + :codes,
    has_found = has_found OR :items + :provisions + :codes > 0
WHERE id = :id
""")
# Who began to copy before it was erased has a lower number than this transaction.
_GO_ROUND = text("""
UPDATE erasures SET after_job_id = :none, after_position = 0, is_round_of_copies = true,
    has_found = false, waits_for = CAST(CAST(pg_current_xact_id() AS text) AS bigint),
    waits_since = :now
WHERE id = :id
""")
_FINISH = text("""
UPDATE erasures SET state = 'finished', sealed_email = NULL, user_id = NULL, drafts = :drafts, users = :users,
    finished_at = :now
WHERE id = :id RETURNING items, provisions, redemption_codes, drafts, users
""")


@dataclass(frozen=True, slots=True)
class _Piece:
    """Whole jobs, or a run of positions of a large one; where the work stands after it."""

    job_ids: list[UUID]
    after: int
    until: int
    next_job: UUID
    next_position: int


def erase_person(
    session: Session,
    task: TaskInHand,
    now: datetime,
    *,
    keyring: Keyring,
    person_secret: bytes,
) -> None:
    """One piece of an erasure; a further task does the next, until a round finds nothing.

    What is erased may have been read before by somebody who copies it and has yet to commit. So
    each round begins when whoever wrote at the end of the one before has ended, and goes through
    the copies; once it meets nothing of the person, nobody can have read any since.
    """
    row = session.execute(_HOLD, {"id": UUID(str(task.args["erasure_id"]))}).one()
    if row.state == ErasureState.FINISHED:
        return
    traces = _traces(row, keyring, person_secret)
    if row.after_job_id == NO_JOB:
        wait_for_writers(session, row, now)
    piece = _next_piece(session, row, now)
    if piece is not None:
        _erase_piece(session, row, piece, traces, now)
    elif row.has_found:
        session.execute(_GO_ROUND, {"id": row.id, "none": NO_JOB, "now": now})
    else:
        _finish(session, row, traces, keyring, now)
        return
    defer(session, ERASE_PERSON, args={"erasure_id": str(row.id)}, now=now)


def _traces(row: Row[Any], keyring: Keyring, person_secret: bytes) -> Traces | None:
    """How the person's address is recognised; None for who has none."""
    if row.sealed_email is None:
        return None
    email = keyring.open_sealed(
        Purpose.PII, bytes(row.sealed_email), table=TABLE, row_id=row.id, column=COLUMN
    )
    return Traces.of(email.reveal(), person_secret)


def _next_piece(session: Session, row: Row[Any], now: datetime) -> _Piece | None:
    """What comes next; None at the end of a round. Raises `Postpone` before a job without its items yet."""
    if row.after_position:
        asked = _scope(row) | {"after": _before(row.after_job_id), "limit": 1}
    else:
        asked = _scope(row) | {"after": row.after_job_id, "limit": JOBS_AT_ONCE}
    jobs = session.execute(_COPIES if row.is_round_of_copies else _JOBS, asked).all()
    if not jobs:
        return None
    whole: list[UUID] = []
    items = 0
    for job in jobs:
        size = job.last_position - row.after_position
        if job.is_unread or items + size > ITEMS_AT_ONCE:
            break
        whole.append(job.id)
        items += size
    if whole:
        return _Piece(whole, row.after_position, 2**31 - 1, whole[-1], 0)
    first = jobs[0]
    if first.is_unread:
        raise Postpone(now + WAIT_FOR_INPUT, "items_unwritten")
    until = row.after_position + ITEMS_AT_ONCE
    return _Piece([first.id], row.after_position, until, first.id, until)


def _before(job_id: UUID) -> UUID:
    return UUID(int=job_id.int - 1)


def _scope(row: Row[Any]) -> dict[str, Any]:
    return {"client": row.client_id, "until": row.until_job_id}


def _erase_piece(
    session: Session, row: Row[Any], piece: _Piece, traces: Traces | None, now: datetime
) -> None:
    values = {
        "jobs": piece.job_ids,
        "after": piece.after,
        "until": piece.until,
        "pseudonym": pseudonym(row.id),
        "now": now,
    }
    whom = {"user": row.user_id, "addresses": traces.compared if traces else []}
    items, provisions, codes = _count(session, _ROWS_OF_PEOPLE, values | whom), 0, 0
    if traces is not None:
        values |= {"person": traces.person_key}
        told = {"address": traces.address, "pattern": traces.pattern}
        items += _count(session, _ITEMS, values | told)
        # Before the provisions forget whose they are.
        corrected = _count(session, _CORRECTED, values)
        provisions = corrected + _count(session, _PROVISIONS, values)
        codes = _count(session, _CODES, values)
    session.execute(
        _GO_ON,
        {
            "id": row.id,
            "job": piece.next_job,
            "position": piece.next_position,
            "items": items,
            "provisions": provisions,
            "codes": codes,
        },
    )


def _finish(
    session: Session, row: Row[Any], traces: Traces | None, keyring: Keyring, now: datetime
) -> None:
    """What is not a job's: uploads in the making, and the person's own account."""
    drafts = 0
    if traces is not None:
        sought = {"client": row.client_id, "spellings": list(traces.spellings)}
        drafts = _count(session, _DRAFTS, sought | {"window": WINDOW, "overlap": OVERLAP})
    try:
        users = erase_account(
            session,
            traces,
            user_id=row.user_id,
            client_id=row.client_id,
            pseudonym=pseudonym(row.id),
            keyring=keyring,
            now=now,
        )
    except DecryptionFailed:
        raise Postpone(now + WAIT_FOR_KEYS, "keys_missing") from None
    values = {"id": row.id, "drafts": drafts, "users": users, "now": now}
    done = session.execute(_FINISH, values).one()
    record(
        session,
        "person.erased",
        object_kind="erasure",
        object_id=row.id,
        actor_id=row.asked_by,
        agency_id=row.agency_id,
        client_id=row.client_id,
        detail=dict(done._mapping),
    )


def _count(session: Session, statement: Any, values: dict[str, Any]) -> int:
    result: Any = session.execute(statement, values)
    return int(result.rowcount)
