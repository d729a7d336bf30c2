"""The shape of jobs and their items in the API's documentation."""

from marshmallow import Schema, fields


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


class Links(Schema):
    self = fields.String()
    items = fields.String()
    results = fields.String()
    failures = fields.String()


class Job(Schema):
    id = fields.UUID()
    kind = fields.String()
    state = fields.String()
    created_at = fields.DateTime()
    started_at = fields.DateTime(allow_none=True)
    finished_at = fields.DateTime(allow_none=True)
    scheduled_for = fields.DateTime(allow_none=True)
    waits_for = fields.String(
        allow_none=True,
        metadata={
            "description": "What holds a job up that nobody has paused: start_time, campaign_paused "
            "once that has come, or queue_paused while its work stands on a queue that the platform "
            "has paused."
        },
    )
    priority = fields.String(
        metadata={"description": "high, normal or low, among the jobs of one client."}
    )
    campaign_id = fields.UUID(allow_none=True)
    client_id = fields.UUID(allow_none=True)
    counts = fields.Nested(Counts)
    progress = fields.Nested(Progress)
    sources = fields.Nested(Sources)
    money = fields.Nested(Money, allow_none=True)
    result = fields.Dict(allow_none=True)
    error = fields.Dict(allow_none=True)
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
    state = fields.String()
    recipient = fields.String(allow_none=True)
    source = fields.String(allow_none=True)
    code = fields.String(allow_none=True)
    field = fields.String(allow_none=True)
    error = fields.Nested(Verdict, allow_none=True)
    attempts = fields.Integer()
    delivery_state = fields.String(allow_none=True)


class JobItemPage(Schema):
    data = fields.List(fields.Nested(JobItem))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class FailureGroup(Schema):
    code = fields.String(allow_none=True)
    state = fields.String()
    count = fields.Integer()
    retryable = fields.Boolean()
    example = fields.String(allow_none=True)
    first_position = fields.Integer()
