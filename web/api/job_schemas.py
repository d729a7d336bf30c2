"""The shape of jobs and their items in the API's documentation."""

from marshmallow import Schema, fields

from models.cards import Source
from models.deliveries import DeliveryState
from models.jobs import ItemState, JobState
from pipelines.jobs.kinds import KINDS
from web.fields import PRIORITIES, Word


class RowFault(Schema):
    """What is wrong at one place: a `row` and `field` of a file, or a `pointer` into a body."""

    code = fields.String()
    detail = fields.String()
    row = fields.Integer()
    field = fields.String(allow_none=True)
    pointer = fields.String()


class JobError(Schema):
    """Why a job as a whole failed: the refusal that its request would have got."""

    status = fields.Integer()
    code = fields.String()
    detail = fields.String()
    errors = fields.List(fields.Nested(RowFault))


class Counts(Schema):
    total = fields.Integer()
    pending = fields.Integer()
    running = fields.Integer()
    retrying = fields.Integer()
    succeeded = fields.Integer()
    failed = fields.Integer()
    skipped = fields.Integer()
    needs_review = fields.Integer()
    cancelled = fields.Integer()


class Progress(Schema):
    percent = fields.Float()
    rate_per_second = fields.Float(allow_none=True)
    eta_seconds = fields.Integer(allow_none=True)
    last_progress_at = fields.DateTime(allow_none=True)
    stalled = fields.Boolean()


class Sources(Schema):
    csv = fields.Integer()
    buffer = fields.Integer()
    api = fields.Integer()


class Money(Schema):
    currency = fields.String()
    held_minor = fields.Integer()
    captured_minor = fields.Integer()
    released_minor = fields.Integer()
    refunded_minor = fields.Integer(metadata={"description": "What an undo has given back."})


class Undone(Schema):
    count = fields.Integer()
    refunded_minor = fields.Integer()
    job_ids = fields.List(fields.UUID())


class Pause(Schema):
    reason = fields.String()
    since = fields.DateTime()
    by = fields.String(allow_none=True)
    resumes_on = fields.String(
        metadata={"description": "What ends the pause, to be read after 'goes on when'."}
    )


class GivenCard(Schema):
    last4 = fields.String()
    brand = fields.String()
    value_minor = fields.Integer()
    currency = fields.String()


class GivenRedemption(Schema):
    id = fields.UUID()
    charge_minor = fields.Integer()
    cost_minor = fields.Integer(
        allow_none=True, metadata={"description": "For who sees costs; so is `margin_minor`."}
    )
    margin_minor = fields.Integer(allow_none=True)


class JobResult(Schema):
    """What a request of one card gave; a bulk job has none."""

    redemption = fields.Nested(GivenRedemption)
    card = fields.Nested(GivenCard)
    source = Word(Source)
    credit_remaining_minor = fields.Integer(allow_none=True)
    reveal_url = fields.String(
        allow_none=True, metadata={"description": "For who gives cards: it opens this one."}
    )


class Links(Schema):
    self = fields.String()
    items = fields.String()
    results = fields.String()
    failures = fields.String()


class Job(Schema):
    id = fields.UUID()
    kind = Word(KINDS)
    state = Word(JobState)
    created_at = fields.DateTime()
    started_at = fields.DateTime(allow_none=True)
    finished_at = fields.DateTime(allow_none=True)
    scheduled_for = fields.DateTime(allow_none=True)
    waits_for = Word(
        ["start_time", "campaign_paused", "queue_paused"],
        allow_none=True,
        description="What holds a job up that nobody has paused: start_time, campaign_paused once "
        "that has come, or queue_paused while its work stands on a queue that the platform has "
        "paused.",
    )
    priority = Word(PRIORITIES, description="Among the jobs of one client.")
    campaign_id = fields.UUID(allow_none=True)
    client_id = fields.UUID(allow_none=True)
    counts = fields.Nested(Counts)
    progress = fields.Nested(Progress)
    sources = fields.Nested(Sources)
    money = fields.Nested(Money, allow_none=True)
    result = fields.Nested(JobResult, allow_none=True)
    error = fields.Nested(JobError, allow_none=True)
    pause = fields.Nested(Pause, allow_none=True)
    round = fields.Integer()
    undoes_id = fields.UUID(allow_none=True)
    cloned_from_id = fields.UUID(allow_none=True)
    undone = fields.Nested(
        Undone, allow_none=True, metadata={"description": "What later jobs took back of this one."}
    )
    submitted_by = fields.UUID(allow_none=True)
    links = fields.Nested(Links)


class JobPage(Schema):
    data = fields.List(fields.Nested(Job))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class Verdict(Schema):
    code = fields.String()
    detail = fields.String()


class JobItem(Schema):
    position = fields.Integer(
        metadata={"description": "The row of the file, counted without its header."}
    )
    state = Word(ItemState)
    recipient = fields.String(allow_none=True)
    source = Word(Source, allow_none=True)
    code = fields.String(allow_none=True)
    field = fields.String(allow_none=True)
    error = fields.Nested(Verdict, allow_none=True)
    attempts = fields.Integer()
    delivery_state = Word(
        ["none", *DeliveryState],
        allow_none=True,
        description="What became of the card's link; none if nothing is sent, null without a card.",
    )


class JobItemPage(Schema):
    data = fields.List(fields.Nested(JobItem))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class FailureGroup(Schema):
    code = fields.String(allow_none=True)
    state = Word(ItemState)
    count = fields.Integer()
    retryable = fields.Boolean()
    example = fields.String(allow_none=True)
    first_position = fields.Integer()
