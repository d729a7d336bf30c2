"""Read recipients into a temporary table, row by row from the stream, and judge them set-wise."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.errors import FieldError
from pipelines.jobs.addresses import person_key
from pipelines.jobs.copying import copy_rows
from pipelines.jobs.csv_reader import CsvRow, CsvRowError
from pipelines.pricing.read import price_rules
from pipelines.pricing.rules import charge_of
from pipelines.provisioning.campaigns import BrandInUse
from pipelines.provisioning.clone_rows import CopiedRow
from pipelines.provisioning.recipients import (
    WARNINGS,
    Recipient,
    RecipientRules,
    Warn,
    check_recipient,
    what_was_asked,
)


@dataclass(frozen=True, slots=True)
class StagedRow:
    """One input row after its own check: a recipient, or the first thing wrong with it."""

    position: int
    cells: Mapping[str, str | int | None]
    recipient: Recipient | None
    brand_id: UUID | None
    error: FieldError | None
    #: Of a row without a recipient, in minor units: what it or the job said, zero if neither did.
    denomination_minor: int = 0


_CREATE = text("""
CREATE TEMPORARY TABLE IF NOT EXISTS intake (
    position integer NOT NULL, reference text, email text, name text, phone text,
    person_key bytea, brand_id uuid, denomination_minor bigint NOT NULL,
    charge_minor bigint NOT NULL, code text, detail text, field text, warnings text[]) ON COMMIT DROP
""")
_EMPTY = text("TRUNCATE intake")
_ANALYZE = text("ANALYZE intake")
_COPY = (
    "COPY intake (position, reference, email, name, phone, person_key, brand_id, "
    "denomination_minor, charge_minor, code, detail, field, warnings) FROM STDIN"
)
_MARK_DUPLICATES = text("""
UPDATE intake SET code = 'duplicate_recipient', field = 'email',
    detail = 'The same recipient stands in row ' || first.position || '.'
FROM (SELECT position AS later, min(position) OVER (PARTITION BY person_key) AS position
      FROM intake WHERE code IS NULL) first
WHERE intake.position = first.later AND first.position < first.later
""")
#: The sentence of `already_served`, in SQL; `served.job_id` is the job that served the person.
SERVED_BEFORE = "'This recipient got a card of this campaign before (job ' || served.job_id || ').'"
# A look-up per row by index, whatever the planner believes of the tables' sizes: a join that
# begins at provisions whose statistics are old would compare every pair.
_MARK_SERVED = text(f"""
UPDATE intake SET code = 'already_served', field = 'email',
    detail = {SERVED_BEFORE}
FROM (SELECT i.position, (SELECT p.job_id FROM provisions p
                          WHERE p.campaign_id = :campaign AND p.person_key = i.person_key
                            AND coalesce(p.undone_at, p.replaced_at) IS NULL
                          LIMIT 1) AS job_id
      FROM intake i WHERE i.code IS NULL AND i.person_key IS NOT NULL) served
WHERE served.job_id IS NOT NULL AND intake.position = served.position
""")
_ERRORS = text("""
SELECT position, code, detail, field FROM intake WHERE code IS NOT NULL
ORDER BY position LIMIT :limit
""")
# A duplicate is warned about like any other: somebody looks at the address, not at the verdict.
_WARNINGS = text("""
SELECT position, w.code FROM intake, unnest(warnings) WITH ORDINALITY AS w (code, place)
ORDER BY position, place LIMIT :limit
""")
_WARNING_COUNTS = text("""
SELECT w.code, count(*) AS rows FROM intake, unnest(warnings) AS w (code)
GROUP BY w.code ORDER BY w.code
""")
_GROUPS = text("""
SELECT brand_id, denomination_minor, charge_minor, count(*) AS items FROM intake
WHERE code IS NULL GROUP BY brand_id, denomination_minor, charge_minor
""")
_CHARGE = text("""
UPDATE intake i SET charge_minor = p.charge
FROM unnest(CAST(:brands AS uuid[]), CAST(:denominations AS bigint[]), CAST(:charges AS bigint[]))
  AS p (brand, denomination, charge)
WHERE i.code IS NULL AND i.brand_id = p.brand AND i.denomination_minor = p.denomination
""")
_TALLY = text("""
SELECT count(*) AS rows, count(*) FILTER (WHERE code IS NULL) AS valid,
    count(*) FILTER (WHERE code IN ('duplicate_recipient', 'already_served')) AS skippable,
    count(*) FILTER (WHERE code = 'duplicate_recipient') AS duplicates,
    coalesce(sum(charge_minor) FILTER (WHERE code IS NULL), 0) AS charge,
    coalesce(max(position), 0) AS last_position,
    min(charge_minor) FILTER (WHERE code IS NULL) AS cheapest
FROM intake
""")


@dataclass(frozen=True, slots=True)
class Tally:
    """What the staged rows amount to; `charge` and the `cheapest` row's in minor units."""

    rows: int
    valid: int
    skippable: int
    duplicates: int
    charge: int
    last_position: int
    cheapest: int | None = None

    @property
    def invalid(self) -> int:
        return self.rows - self.valid - self.skippable


def rows_from_csv(
    table: Iterable[CsvRow | CsvRowError],
    *,
    rules: RecipientRules,
    brands: Mapping[str, BrandInUse],
    currency: str,
) -> Iterator[StagedRow]:
    """Check each row of a CSV; an unreadable row is an error of its own."""
    for row in table:
        if isinstance(row, CsvRowError):
            yield StagedRow(row.number, {}, None, None, row.as_field_error())
        else:
            yield _staged(
                row.number, row.cells, rules=rules, brands=brands, currency=currency, in_csv=True
            )


def rows_from_list(
    recipients: Iterable[Mapping[str, str | int | None]],
    *,
    rules: RecipientRules,
    brands: Mapping[str, BrandInUse],
    currency: str,
) -> Iterator[StagedRow]:
    """Check recipients given inside a JSON body; positions count from 1."""
    for position, cells in enumerate(recipients, start=1):
        yield _staged(position, cells, rules=rules, brands=brands, currency=currency, in_csv=False)


def rows_from_job(
    copied: Iterable[CopiedRow],
    *,
    rules: RecipientRules,
    brands: Mapping[str, BrandInUse],
    currency: str,
) -> Iterator[StagedRow]:
    """Check another job's rows anew; they keep their positions, and name brands by id."""
    for row in copied:
        if row.refusal is not None:
            code, detail, field = row.refusal
            error = FieldError(code, detail, row=row.position, field=field)
            yield _refused(row.position, row.cells, error, rules=rules, brands=brands)
        else:
            yield _staged(
                row.position, row.cells, rules=rules, brands=brands, currency=currency, in_csv=True
            )


def _staged(
    position: int,
    cells: Mapping[str, str | int | None],
    *,
    rules: RecipientRules,
    brands: Mapping[str, BrandInUse],
    currency: str,
    in_csv: bool,
) -> StagedRow:
    place: dict[str, Any] = (
        {"row": position} if in_csv else {"pointer": f"/recipients/{position - 1}"}
    )
    checked = check_recipient(cells, rules=rules, **place)
    if isinstance(checked, tuple):
        return _refused(position, cells, checked[0], rules=rules, brands=brands)
    brand = brands.get(checked.brand.casefold())
    error = None
    if brand is None:
        error = FieldError(
            "brand_unavailable", "This brand is not available to the client.", field="brand"
        )
    elif brand.currency != currency:
        error = FieldError(
            "currency_mismatch", f"The job is in {currency}; this brand is not.", field="brand"
        )
    return StagedRow(position, cells, checked, brand.id if brand else None, error)


def _refused(
    position: int,
    cells: Mapping[str, str | int | None],
    error: FieldError,
    *,
    rules: RecipientRules,
    brands: Mapping[str, BrandInUse],
) -> StagedRow:
    """It keeps what was asked for, so that the results file says it to whoever mends the row."""
    denomination_minor, name = what_was_asked(cells, rules)
    brand = brands.get(name.casefold())
    return StagedRow(position, cells, None, brand.id if brand else None, error, denomination_minor)


def stage(session: Session, rows: Iterable[StagedRow], *, person_secret: bytes) -> None:
    """COPY the rows into the temporary table `intake`, which the commit drops."""
    session.execute(_CREATE)
    session.execute(_EMPTY)
    copy_rows(session, _COPY, (_as_columns(row, person_secret) for row in rows))
    session.execute(_ANALYZE)


def _as_columns(row: StagedRow, secret: bytes) -> tuple[Any, ...]:
    error = row.error
    code, detail, field = (error.code, error.detail, error.field) if error else (None, None, None)
    person = row.recipient
    if person is None:
        shown = [_shown(row.cells.get(name)) for name in ("reference", "email", "name", "phone")]
        asked = (row.brand_id, row.denomination_minor)
        return (row.position, *shown, None, *asked, 0, code, detail, field, None)
    key = person_key(person.email, secret, phone=person.phone, reference=person.reference)
    return (
        row.position,
        person.reference,
        person.email,
        person.name,
        person.phone,
        key,
        row.brand_id,
        person.denomination_minor,
        person.denomination_minor,
        code,
        detail,
        field,
        list(person.warnings) or None,
    )


def _shown(value: str | int | None) -> str | None:
    """A refused row's own text, so that its owner can find and mend it; NUL cannot be stored."""
    return None if value is None or value == "" else str(value).replace("\0", "�")[:1024]


def mark_duplicates(session: Session) -> None:
    """The first of equal recipients stays; the later ones are named after it (B49)."""
    session.execute(_MARK_DUPLICATES)


def mark_served(session: Session, campaign_id: UUID) -> None:
    """Recipients whom the campaign has served before (B50)."""
    session.execute(_MARK_SERVED, {"campaign": campaign_id})


def tally(session: Session) -> Tally:
    row = session.execute(_TALLY).one()
    return Tally(
        row.rows,
        row.valid,
        row.skippable,
        row.duplicates,
        int(row.charge),
        row.last_position,
        row.cheapest,
    )


@dataclass(frozen=True, slots=True)
class StagedGroup:
    """Valid rows of one brand and denomination; money in minor units."""

    items: int
    charge_minor: int


def groups(session: Session) -> dict[tuple[UUID, int], StagedGroup]:
    """The valid rows by brand and denomination."""
    found = session.execute(_GROUPS)
    return {
        (row.brand_id, row.denomination_minor): StagedGroup(row.items, row.charge_minor)
        for row in found
    }


def set_charges(session: Session, client_id: UUID) -> None:
    """Charge what the prices of today say where that is not the face value (EC-078)."""
    staged = groups(session)
    rules = price_rules(session, (brand_id for brand_id, _denomination in staged))
    charges = {
        (brand_id, denomination): charge_of(rules.get(brand_id, ()), denomination, client_id)
        for brand_id, denomination in staged
    }
    changed = {group: charge for group, charge in charges.items() if charge != group[1]}
    if changed:
        values = {
            "brands": [brand_id for brand_id, _denomination in changed],
            "denominations": [denomination for _brand_id, denomination in changed],
            "charges": list(changed.values()),
        }
        session.execute(_CHARGE, values)


def first_errors(session: Session, limit: int) -> tuple[FieldError, ...]:
    return tuple(
        FieldError(row.code, row.detail, row=row.position, field=row.field)
        for row in session.execute(_ERRORS, {"limit": limit})
    )


def first_warnings(session: Session, limit: int) -> tuple[FieldError, ...]:
    """What a person should look at before submitting; the rows themselves are accepted."""
    return tuple(
        FieldError(row.code, WARNINGS[Warn(row.code)], row=row.position, field="email")
        for row in session.execute(_WARNINGS, {"limit": limit})
    )


def warning_counts(session: Session) -> dict[str, int]:
    """How many rows have each warning, by its code."""
    return {row.code: row.rows for row in session.execute(_WARNING_COUNTS)}
