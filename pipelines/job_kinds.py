"""Every kind of job there is: what the generic job machinery is given to work with."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from pipelines.assignment import job_kind as assignment
from pipelines.books.generation_kind import generation_kind
from pipelines.discounts import import_results
from pipelines.discounts.generation_kind import BATCH_IS_PUT_AWAY, discount_generation_kind
from pipelines.distribution import job_kind as distribution
from pipelines.distribution import undo_kind as distribution_undo
from pipelines.jobs.kinds import CARD_IMPORT, CODE_IMPORT, DISCOUNT_IMPORT, POOL_IMPORT, JobKind
from pipelines.provisioning import job_kind, undo_kind
from pipelines.redemption.job_kind import redemption_kind
from pipelines.sealing import Keyring


def _nothing_to_settle(_session: Session, _job: object, _now: datetime) -> None:
    """An import ends in its own transaction."""


#: Why an import is not taken back.
_NOTHING_GIVEN: Mapping[str, str] = {
    CARD_IMPORT: "An import gave no card to anybody; there is nothing to take back.",
    CODE_IMPORT: "Uploaded codes are nobody's yet; there is nothing to take back.",
    POOL_IMPORT: "Nobody was given anything. Take people out of the pool on its own page.",
}


def job_kinds_of(keyring: Keyring) -> Mapping[str, JobKind]:
    """Every kind of job; those whose chunks need keys are made with them."""
    kinds_of_jobs = (
        job_kind.KIND,
        undo_kind.KIND,
        assignment.KIND,
        redemption_kind(keyring),
        distribution.KIND,
        distribution_undo.KIND,
        generation_kind(keyring),
        discount_generation_kind(),
        JobKind(
            DISCOUNT_IMPORT,
            settle=_nothing_to_settle,
            results=import_results.results_csv,
            undo=BATCH_IS_PUT_AWAY,
        ),
        *(
            JobKind(name, settle=_nothing_to_settle, undo=why_not)
            for name, why_not in _NOTHING_GIVEN.items()
        ),
    )
    return {kind.name: kind for kind in kinds_of_jobs}
