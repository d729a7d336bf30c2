"""Every limit on one page, the unit in each name, checked against its neighbours.

Times marked *scaled* shrink with `LARGESSE_TIME_SCALE` (tests only) through `scaled()`.
"""

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Limits:
    """The product's limits; one frozen value made at boot and handed down."""

    #: Items one chunk transaction works on: large enough for set-wise SQL, short enough to cancel.
    chunk_items_max: int = 500
    #: Chunks of one job that may be released to workers at once.
    chunks_released_max: int = 4
    #: A JSON body; larger input goes through a CSV upload.
    json_body_bytes_max: int = 1024 * 1024
    #: Recipients inside a JSON body.
    inline_recipients_max: int = 1_000
    #: A job is cloned and previewed inside the request up to this size; a worker does larger ones.
    clone_inline_items_max: int = 50_000
    #: A CSV taken and judged inside the request.
    intake_inline_bytes_max: int = 16 * 1024 * 1024
    #: The largest CSV accepted at all.
    upload_bytes_max: int = 64 * 1024 * 1024
    #: Stored input is cut into parts of this size, so that nobody holds a whole file.
    input_part_bytes: int = 1024 * 1024
    csv_rows_max: int = 1_000_000
    csv_columns_max: int = 64
    csv_cell_characters_max: int = 4_096
    #: Row errors listed in an answer; the rest are in the results file.
    row_errors_shown_max: int = 100
    json_depth_max: int = 16
    json_number_digits_max: int = 20

    #: Coupons that one distribution gives; larger ones are several.
    distribution_items_max: int = 1_000_000
    #: A distribution is laid out inside the request up to this size; a worker does larger ones.
    distribution_inline_items_max: int = 100_000
    #: Its coupons are drawn there, too, up to this size: whoever takes from the book waits meanwhile.
    distribution_inline_draw_max: int = 2_000
    #: All or nothing is one transaction, which must not last.
    atomic_items_max: int = 10_000
    #: The same distribution within this time is taken for a mistake (EC-098).
    duplicate_job_seconds: float = 600.0
    #: How long a holder may set a coupon aside; the notes say five minutes.
    coupon_lock_seconds: float = 300.0
    #: Discount codes of one request, generated or in a file: they are moved by one request, too.
    discount_codes_at_once_max: int = 100_000
    #: How long a slot of a discount code is kept for a cart, and for whom lets it run out each time.
    reservation_seconds: float = 900.0
    reservation_short_seconds: float = 300.0
    reservation_timeouts_max: int = 5
    reservations_per_customer_max: int = 3
    #: Codes that stack on one cart (EC-018).
    codes_per_cart_max: int = 3
    #: So many customers of one code within this time, where it had a tenth of them before: it has leaked.
    leak_customers_max: int = 30
    leak_window_seconds: float = 300.0
    #: So many others who try one assigned code within this time are told of, and are kept of one code.
    code_tries_alert_at: int = 3
    code_tries_window_seconds: float = 3600.0
    code_tries_kept_max: int = 1_000

    #: The relay looks for due tasks this often.
    relay_poll_seconds: float = 0.1
    #: A one-transaction task rung and not done is rung again after this (scaled).
    redelivery_seconds: float = 10.0
    #: The first redelivery of a task that its accepter rang itself (scaled).
    interactive_redelivery_seconds: float = 1.0
    #: The accepter's budget for ringing the doorbell itself.
    ring_budget_seconds: float = 0.05
    #: Rung tasks of a queue per living thread; the backlog stays in PostgreSQL. Bulk has fewer:
    #: what stands on the broker is served in its order, whoever comes after.
    window_tasks_per_thread: int = 4
    window_tasks_per_bulk_thread: int = 2
    window_tasks_min: int = 8
    #: A queue with more messages on the broker than this gets no more: nobody empties it.
    broker_depth_max: int = 1_000
    #: When somebody waited longer on the interactive queue, bulk work is cut down.
    interactive_wait_seconds_max: float = 2.0
    #: A process whose last beat is older than this (scaled) is gone.
    process_gone_seconds: float = 30.0
    #: What a lease adds to the total deadline of the call it covers (scaled).
    lease_margin_seconds: float = 30.0
    #: Starts without an outcome after which a task is held to kill its worker.
    kills_max: int = 3
    #: What may have killed its worker waits this long (scaled) until nothing runs beside it; then
    #: its redelivery brings it back.
    alone_patience_seconds: float = 5.0
    #: First and longest wait between attempts (scaled), full jitter.
    backoff_first_seconds: float = 1.0
    backoff_max_seconds: float = 300.0
    attempts_max: int = 8

    #: Total deadline of a Reloadly order: a failing supplier holds the call about 52 s.
    reloadly_order_deadline_seconds: float = 95.0
    vendor_order_deadline_seconds: float = 30.0
    vendor_lookup_deadline_seconds: float = 10.0
    #: Total deadline of handing one mail to the mail server.
    mail_deadline_seconds: float = 30.0
    #: Total deadline of handing one SMS to the company that sends it.
    sms_deadline_seconds: float = 20.0
    #: Total deadline of telling an endpoint of an event; 3 s of it for the connection (EC-133).
    webhook_call_seconds: float = 10.0
    #: After a passing refusal a delivery waits so long, then five times as long each time (scaled).
    delivery_first_wait_seconds: float = 60.0
    #: Tries of one sending; more is not persistence but noise (EC-039).
    delivery_attempts_max: int = 5
    #: While the next station itself cannot be used, it is looked for so often (scaled).
    delivery_look_again_seconds: float = 60.0
    #: From the commit that marks an order sent until its first byte must have left.
    order_send_seconds: float = 10.0
    #: How long a vendor may work on an order after it got it, whatever became of our connection.
    vendor_holds_seconds: float = 60.0
    #: Recovery of an unknown order gives up after this (scaled) and asks a person.
    recovery_gives_up_seconds: float = 24 * 3600.0
    #: Waits between look-ups of an unknown or accepted order (scaled).
    recovery_first_seconds: float = 2.0
    recovery_max_seconds: float = 600.0
    #: An order still absent this long (scaled) after it was sent was never placed.
    order_absent_after_seconds: float = 100.0
    #: Of a vendor's rate, what filling buffers may take at most.
    refill_rate_share: float = 0.5
    #: A route that refused to fill a buffer is not tried for it again before this.
    refill_route_rests_seconds: float = 900.0
    #: Cards for a launch are there this long before it.
    refill_lead_seconds: float = 3600.0
    #: Orders in created or sent above which a job's chunks keep their slot.
    open_orders_per_job_max: int = 200

    #: A job may be told to start this far ahead.
    schedule_days_max: int = 366
    #: A job whose time has come while its campaign is paused looks again after this (scaled).
    campaign_paused_look_seconds: float = 30.0
    #: A campaign of which more rewards count than this gets no limit for each recipient any more:
    #: who has how many is counted while its requests wait.
    counted_later_max: int = 20_000
    #: One client's items that are pending, running or retrying, over all its jobs.
    open_items_per_client_max: int = 2_000_000
    #: One client's jobs that have not ended; requests of one item are not counted.
    open_jobs_per_client_max: int = 500
    #: Open items of the whole installation above which no further bulk job is accepted.
    open_items_max: int = 20_000_000
    #: Nor while work on the bulk queue has been due for this long and nobody has done it.
    bulk_wait_seconds_max: float = 900.0
    #: When a refused submit is worth another try.
    quota_retry_seconds: int = 60
    saturated_retry_seconds: int = 30

    #: SIGTERM: running work may take this long (LARGESSE_DRAIN_SECONDS), then it is given back.
    drain_seconds: float = 20.0
    #: A drained process has ended this long after that at the latest.
    drain_margin_seconds: float = 2.0
    #: A process writes its row this often (scaled).
    heartbeat_seconds: float = 5.0
    #: A process whose consumer has not asked its broker for this long ends itself.
    consumer_silence_seconds: float = 30.0
    #: A worker, relay or scheduler that reached no database for this long ends itself.
    database_silence_seconds: float = 60.0
    #: Rows of processes that ended without a farewell are kept this long.
    processes_kept_hours: int = 24
    #: `Prefer: wait` is cut to this.
    prefer_wait_seconds_max: int = 30
    #: Who types a code waits so long for a card from stock; one that is bought has a page that waits.
    redeem_wait_seconds: float = 3.0
    #: The watcher of waited-for jobs polls this often while anybody waits.
    waiter_poll_seconds: float = 0.01
    #: A job without progress for this long (scaled) is shown as stalled.
    stalled_seconds: float = 90.0
    #: Idempotency keys are purged after this.
    idempotency_key_days: int = 7
    idempotency_key_characters_max: int = 255
    #: Finished jobs and what belongs to them are kept this long.
    retention_days: int = 730
    #: A buried task is kept this long for those who ask what became of it.
    buried_days: int = 30
    #: Dead letters replayed by one request.
    replays_max: int = 1_000
    #: `prove`: the longest statement, all of them together, and together inside a web request.
    prove_statement_seconds: float = 60.0
    prove_budget_seconds: float = 300.0
    prove_request_seconds: float = 20.0
    access_token_seconds: int = 15 * 60
    #: A refresh token that nobody uses, and a chain of them however often it is used.
    refresh_token_seconds: int = 14 * 24 * 3600
    refresh_absolute_seconds: int = 90 * 24 * 3600
    session_idle_seconds: int = 30 * 60
    session_absolute_seconds: int = 12 * 3600
    admin_session_idle_seconds: int = 15 * 60
    admin_session_absolute_seconds: int = 8 * 3600
    #: Between the password and the code.
    halfway_seconds: int = 10 * 60
    #: What opens codes or moves much money wants a password or code no older than this (SEC-04).
    step_up_seconds: int = 5 * 60
    #: Movements of credit that reach this sum within a day, in minor units, want it too.
    step_up_allocation_minor: int = 1_000_000
    #: How long somebody of the platform may look through a person's eyes (SEC-30).
    impersonation_seconds: int = 30 * 60
    enrolment_seconds: int = 15 * 60
    #: Movements of one person that reach this sum within a day, in minor units, need a second
    #: person (SEC-31).
    second_person_allocation_minor: int = 100_000_000
    #: How long an act waits for its second person.
    approval_hours: int = 24
    page_size_default: int = 50
    page_size_max: int = 100

    def scaled(self, time_scale: float) -> "Limits":
        """The same limits with the waits in `SCALED` multiplied by `time_scale` (tests only)."""
        return replace(self, **{name: getattr(self, name) * time_scale for name in SCALED})

    def check(self) -> None:
        """Assert the relations between limits that the design rests on."""
        assert self.redelivery_seconds > 5 * self.relay_poll_seconds, "redelivery must be rare"
        assert self.alone_patience_seconds < self.redelivery_seconds, "others must get their turn"
        assert self.intake_inline_bytes_max <= self.upload_bytes_max
        assert self.recovery_gives_up_seconds > 10 * self.order_absent_after_seconds, (
            "an absent order must be found absent long before recovery gives up"
        )
        assert self.order_absent_after_seconds > (
            self.order_send_seconds + self.vendor_holds_seconds
        ), "an order must be over at the vendor before its absence proves anything"
        assert self.drain_seconds < self.vendor_order_deadline_seconds + self.lease_margin_seconds
        assert self.vendor_lookup_deadline_seconds < self.drain_seconds
        assert self.process_gone_seconds > 3 * self.heartbeat_seconds, "a lost beat is no death"
        assert self.database_silence_seconds > 3 * self.heartbeat_seconds
        assert self.row_errors_shown_max <= self.inline_recipients_max
        assert self.csv_rows_max <= self.open_items_per_client_max <= self.open_items_max, (
            "the largest file must fit into a client's share"
        )


#: The waits that `LARGESSE_TIME_SCALE` shrinks.
SCALED = (
    "redelivery_seconds",
    "interactive_redelivery_seconds",
    "process_gone_seconds",
    "lease_margin_seconds",
    "alone_patience_seconds",
    "backoff_first_seconds",
    "backoff_max_seconds",
    "delivery_first_wait_seconds",
    "delivery_look_again_seconds",
    "recovery_gives_up_seconds",
    "recovery_first_seconds",
    "recovery_max_seconds",
    "order_absent_after_seconds",
    "stalled_seconds",
    "campaign_paused_look_seconds",
    "heartbeat_seconds",
)

assert set(SCALED) <= {field.name for field in fields(Limits)}, "SCALED names a limit that is gone"
DEFAULTS = Limits()
DEFAULTS.check()
