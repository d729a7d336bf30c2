"""What a kind of job must bring: `jobs` knows no kind, wiring registers them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.orm import Session

from models.database import Sessions
from models.jobs import JobState
from models.scope import Scope
from pipelines.errors import Kind, Refusal
from pipelines.jobs.states import Move, allowed_in, instead_of
from pipelines.limits import Limits
from pipelines.queue.work import TaskInHand
from pipelines.sealing import Keyring

PROVISIONING = "provisioning"
PROVISIONING_UNDO = "provisioning_undo"
CARD_IMPORT = "card_import"
CODE_GENERATION = "code_generation"
CODE_IMPORT = "code_import"
COUPON_ASSIGNMENT = "coupon_assignment"
COUPON_REDEMPTION = "coupon_redemption"
DISTRIBUTION = "distribution"
DISTRIBUTION_UNDO = "distribution_undo"
POOL_IMPORT = "pool_import"
DISCOUNT_GENERATION = "discount_generation"
DISCOUNT_IMPORT = "discount_import"
KINDS = (
    PROVISIONING,
    PROVISIONING_UNDO,
    CARD_IMPORT,
    CODE_GENERATION,
    CODE_IMPORT,
    COUPON_ASSIGNMENT,
    COUPON_REDEMPTION,
    DISTRIBUTION,
    DISTRIBUTION_UNDO,
    POOL_IMPORT,
    DISCOUNT_GENERATION,
    DISCOUNT_IMPORT,
)
#: Nothing is charged for them: another round takes up whatever failed.
UNCHARGED = (COUPON_ASSIGNMENT, DISTRIBUTION, DISTRIBUTION_UNDO)
#: They end in their own transaction, have one chunk, and items only for what was left out.
IMPORTS = frozenset({CARD_IMPORT, CODE_IMPORT, POOL_IMPORT, DISCOUNT_IMPORT})


class OnError(StrEnum):
    """What a row that cannot be worked in means for the rest of its file."""

    ABORT = "abort"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class ChunkInHand:
    """A locked chunk; a task works on its positions from `first` to `last`."""

    job_id: UUID
    number: int
    tenant_id: UUID | None
    first: int
    last: int
    #: A request of one item: its job is locked too, and settled in the same transaction.
    is_whole_job: bool = False


@dataclass(frozen=True, slots=True)
class PlanTools:
    """What planning may need: keys for stored input and for people, and the limits."""

    keyring: Keyring
    person_secret: bytes
    limits: Limits


#: Writes the items of an accepted job and starts it, or ends it with the refusal.
Plan = Callable[[Session, TaskInHand, datetime, PlanTools], None]
#: Ends the job whose plan cannot be made for a reason of ours.
GiveUpPlan = Callable[[Session, TaskInHand, datetime], None]
#: Works on the pending items in hand and rests the chunk, in the caller's transaction.
WorkChunk = Callable[[Session, ChunkInHand, datetime, Limits], None]
#: Called when a round ends, with the job row (locked); returns nothing.
Settle = Callable[[Session, Row[Any], datetime], None]


@dataclass(frozen=True, slots=True)
class Reopened:
    """The items that another round tries again, and their charge in minor units."""

    items: int
    charge_minor: int
    #: What holds of earlier rounds still set aside for some of them, by round.
    still_held: Mapping[int, int] = field(default_factory=dict)


#: Makes the failed items of the job (locked, as are their chunks) pending in the new round.
Reopen = Callable[[Session, Row[Any], int, datetime], Reopened]
#: Sets the charge of a new round aside: the last lock that is taken. `InsufficientCredit`.
Hold = Callable[[Session, Row[Any], int, Reopened, datetime], None]
#: Covers more items of the job (locked) that waits for credit, and starts them; False if it cannot.
Fund = Callable[[Session, Row[Any], datetime, Limits], bool]


#: Whether the job (locked) may begin at that moment; raises the refusal if not.
MayBegin = Callable[[Session, Row[Any], datetime], None]


#: What came of an ended job: its result, or its error with the status that the same refusal has at
#: submit; both None while there is neither.
Ended = tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at what came of a job, and what they may see of it."""

    keyring: Keyring
    public_url: str
    sees_costs: bool
    sees_link: bool


#: Looks up what came of a job (its row as `jobs.read` has it).
Outcome = Callable[[Session, Row[Any], Viewer], Ended]


@dataclass(frozen=True, slots=True)
class UndoTally:
    """What can be taken back of a job and what cannot: (code, detail, count) of what stays."""

    undoable: int
    left: tuple[tuple[str, str, int], ...]
    #: In minor units; a job without money gives none back.
    refund_minor: int = 0
    currency: str = ""

    def as_json(self) -> dict[str, Any]:
        """The preview of the API."""
        return {
            "undoable": self.undoable,
            "refund_minor": self.refund_minor,
            "currency": self.currency,
            "not_undoable": [
                {"code": code, "count": count, "detail": detail}
                for code, detail, count in self.left
            ],
        }


@dataclass(frozen=True, slots=True)
class Undo:
    """How a kind is taken back: the kind of job that does it, its counts, and its spec."""

    kind: str
    #: Counts what the job (its row) gave; raises `NotUndoable`.
    tally: Callable[[Session, Row[Any]], UndoTally]
    #: Of the undo, from that of the original.
    spec: Callable[[Mapping[str, Any]], dict[str, Any]]


#: The results file of a job (its row), with only the items of one state where that is named.
Results = Callable[[Sessions, Scope, Row[Any], str | None], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class JobKind:
    """The parts of a kind that the generic job machinery calls; an import has no chunks of work."""

    name: str
    settle: Settle
    plan: Plan | None = None
    give_up_plan: GiveUpPlan | None = None
    run_chunk: WorkChunk | None = None
    #: Ends the item in hand, which cannot be worked on.
    give_up: WorkChunk | None = None
    reopen: Reopen | None = None
    hold: Hold | None = None
    fund: Fund | None = None
    may_begin: MayBegin | None = None
    outcome: Outcome | None = None
    #: None: recipients of cards, as they were given.
    results: Results | None = None
    #: How it is taken back, or in a sentence why it is not.
    undo: Undo | str = "Nothing of this job can be taken back."


class InvalidJobState(Refusal):
    """The job's state does not allow this move; `state` names it, `allowed` what it does allow."""

    code = "invalid_job_state"
    kind = Kind.CONFLICT

    def __init__(self, *, state: str, move: Move) -> None:
        said = (f"A job that is {state} cannot be {move}.", instead_of(move, JobState(state)))
        allowed = [name for name in allowed_in(JobState(state)) if name != move.name.lower()]
        super().__init__(" ".join(filter(None, said)), extra={"state": state, "allowed": allowed})


class NothingToRetry(Refusal):
    """No failed item can be tried again as it is."""

    code = "nothing_to_retry"
    kind = Kind.CONFLICT
    detail = "No failed item can be tried again. Correct the rows and submit them as a new job."


class UndoInProgress(Refusal):
    """Another undo of the same job has not ended; `job_id` names it where it is known."""

    code = "undo_in_progress"
    kind = Kind.CONFLICT
    detail = "Another undo of this job is under way. Wait for its end, or cancel it."
