"""Which rules are broken, one at a time, and which tests must notice it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """In the file `path`, `rule` stands exactly once and is replaced by `broken`."""

    name: str
    path: str
    rule: str
    broken: str
    tests: tuple[str, ...]


QUEUE = "pipelines/queue/"
PROVISIONING = "pipelines/provisioning/"
ORDERS = ("tests/pipelines/test_vendor_orders.py", "tests/pipelines/test_order_dangers.py")
CREDIT = ("tests/pipelines/test_credit.py", "tests/pipelines/test_ledger_machine.py")

DELIVERY = (
    Mutant(
        "doorbells ring before their commit",
        "workers/relay.py",
        "limits=limits, queues=queues)\n    return broker.send(bells) if bells else 0",
        "limits=limits, queues=queues)\n        broker.send(bells)\n"
        "        raise ZeroDivisionError",
        ("tests/workers/test_relay.py",),
    ),
    Mutant(
        "a broker that lost its memory is believed",
        "workers/relay.py",
        "if not broker.remembers_epoch():",
        "if not broker.remembers_epoch() and False:",
        ("tests/workers/test_brokers.py",),
    ),
    Mutant(
        "what was rung is never rung again",
        QUEUE + "ring.py",
        "AND (held.rung_at IS NULL OR held.rung_at <= :rung_before)",
        "AND (held.rung_at IS NULL OR held.rung_at > now() + interval '1 year' OR :rung_before IS NULL)",
        ("tests/workers/test_relay.py",),
    ),
    Mutant(
        "one tenant may have every place",
        QUEUE + "ring.py",
        "THEN (w.places + 1) / 2 ELSE w.places END",
        "THEN w.places ELSE w.places END",
        ("tests/workers/test_fairness.py",),
    ),
    Mutant(
        "a chain overtakes whoever waits",
        QUEUE + "defer.py",
        "_RUNG if kind.queue is Queue.INTERACTIVE else _RUNG_IF_NEXT",
        "_RUNG",
        ("tests/workers/test_fairness.py",),
    ),
    Mutant(
        "each pass begins its turns anew",
        QUEUE + "ring.py",
        "    SELECT b.*, coalesce(r.tasks, 0) + row_number() OVER (\n"
        "        PARTITION BY b.queue, b.lane, b.tenant_id\n",
        "    SELECT b.*, row_number() OVER (\n        PARTITION BY b.queue, b.lane, b.tenant_id\n",
        ("tests/workers/test_fairness.py",),
    ),
    Mutant(
        "storefronts' own rings fill the relay's window",
        QUEUE + "ring.py",
        "counted_since = rung_by_accepter(now, limits)",
        "counted_since = rung_before",
        ("tests/workers/test_fairness.py",),
    ),
    Mutant(
        "the broker is taken to remember before everything is rung again",
        "pipelines/queue/broker_redis.py",
        'self.client.set(EPOCH_KEY, "1", xx=True) is not None',
        'self.client.set(EPOCH_KEY, "1", nx=True) is None',
        ("tests/workers/test_brokers.py",),
    ),
    Mutant(
        "every scheduler fires every tick",
        QUEUE + "schedule.py",
        "if session.execute(_TICK, values).scalar_one_or_none() is not None:",
        "if session.execute(_TICK, values).scalar_one_or_none() != 2:",
        ("tests/workers/test_scheduler.py",),
    ),
)
TAKING = (
    Mutant(
        "the fence does not compare the token",
        QUEUE + "work.py",
        '"SELECT 1 FROM tasks WHERE id = :id AND lease_token = :token AND state',
        '"SELECT 1 FROM tasks WHERE id = :id AND :token >= 0 AND state',
        ("tests/workers/test_lease.py",),
    ),
    Mutant(
        "a zombie's fault changes the newer holder's row",
        QUEUE + "work.py",
        "WHERE id = :id AND lease_token = :token\n",
        "WHERE id = :id AND :token >= 0\n",
        ("tests/workers/test_lease.py",),
    ),
    Mutant(
        "a lease keeps nobody away",
        QUEUE + "work.py",
        "            AND (t.lease_until IS NULL OR t.lease_until <= :now)\n"
        "            AND t.kind = ANY(:known)",
        "            AND t.kind = ANY(:known)",
        ("tests/workers/test_lease.py",),
    ),
    Mutant(
        "a finished task keeps its row",
        QUEUE + "work.py",
        '_FINISH = text("DELETE FROM tasks WHERE id = :id")',
        '_FINISH = text("UPDATE tasks SET rung_at = NULL WHERE id = :id")',
        ("tests/workers/test_wrapper.py",),
    ),
    Mutant(
        "waiting spends an attempt",
        QUEUE + "work.py",
        '            "attempts": task.attempts,\n            "kills": 0,',
        '            "attempts": task.attempts + 1,\n            "kills": 0,',
        ("tests/workers/test_wrapper.py",),
    ),
    Mutant(
        "nobody counts the workers that a task killed",
        "workers/wrapper.py",
        "if task.unaccounted_starts >= self._limits.kills_max:",
        "if task.unaccounted_starts >= 1_000_000:",
        ("tests/workers/test_poison.py",),
    ),
    Mutant(
        "work that a drain cuts counts as a kill",
        QUEUE + "work.py",
        "UPDATE tasks SET starts = greatest(tasks.starts - mine.starts, attempts),",
        "UPDATE tasks SET starts = tasks.starts,",
        ("tests/workers/test_drain.py",),
    ),
    Mutant(
        "a task is put down twice by who did not hear of the first time",
        QUEUE + "work.py",
        "UPDATE tasks SET lease_token = lease_token + 1, attempts",
        "UPDATE tasks SET attempts",
        ("tests/pipelines/test_settling.py",),
    ),
    Mutant(
        "an undone start takes another's death back",
        QUEUE + "unheard.py",
        'if outcome != "committed":',
        'if outcome == "gone":',
        ("tests/workers/test_unheard.py",),
    ),
)
VENDORS = (
    Mutant(
        "the vendor gets a new reference for each attempt",
        PROVISIONING + "orders.py",
        "return self.id.hex",
        'return f"{self.id.hex[:24]}{self.sends:08x}"',
        ORDERS,
    ),
    Mutant(
        "an unknown outcome goes on to the next source and frees its credit",
        PROVISIONING + "purchase.py",
        "            move_order(session, order, OrderState.UNKNOWN, now=now, code=code)\n"
        "    ask_soon(session, order, now=now, limits=limits)\n"
        "    setting.rest(session, now=now, limits=limits)",
        "            write_refusal(session, setting, OrderState.REFUSED, code=code, now=now, "
        "limits=limits)",
        ORDERS,
    ),
    Mutant(
        "an order whose worker died is sent again unasked",
        PROVISIONING + "begin_order.py",
        "    if order.state is OrderState.SENT and order.id in marked:\n",
        "    if order.state is OrderState.SENT:\n",
        ("tests/pipelines/test_lost_workers.py",),
    ),
    Mutant(
        "an order is believed absent the first time it is not found",
        PROVISIONING + "recover.py",
        "case Absent() if _is_surely_absent(setting.order, now, limits):",
        "case Absent():",
        ("tests/pipelines/test_lost_workers.py",),
    ),
    Mutant(
        "a card of another value is handed out",
        PROVISIONING + "order_outcome.py",
        "(bought.face_value_minor, bought.currency) != (order.face_value_minor, order.currency)",
        "bought.currency != order.currency",
        ORDERS,
    ),
)
MONEY = (
    Mutant(
        "a hold may exceed the credit",
        "pipelines/credit/hold.py",
        "  AND (unlimited OR balance - held >= :amount)\nRETURNING 1",
        "  AND :amount > 0\nRETURNING 1",
        CREDIT,
    ),
    Mutant(
        "refused items keep their credit held",
        PROVISIONING + "effects.py",
        "voided=sum(item.charge_minor for item in refused if job.covers(item.position)),",
        "voided=0,",
        ("tests/pipelines/test_jobs.py", "tests/pipelines/test_waterfall_job.py"),
    ),
    Mutant(
        "an undo takes back what somebody has seen",
        PROVISIONING + "undo_chunk.py",
        "taken = [p for p in given if p.is_live and p.revealed_at is None]",
        "taken = [p for p in given if p.is_live]",
        ("tests/pipelines/test_undo.py",),
    ),
    Mutant(
        "an undo gives no credit back",
        PROVISIONING + "undo_chunk.py",
        "    _refund(session, undo, taken, transfers)",
        "    _refund(session, undo, [], transfers)",
        ("tests/pipelines/test_undo.py",),
    ),
)
JOBS = (
    Mutant(
        "a job ends although chunks are open",
        "pipelines/jobs/settle.py",
        "    if counts.still_open:\n        if job.funded_to",
        "    if counts.still_open > 1_000:\n        if job.funded_to",
        ("tests/pipelines/test_jobs.py", "tests/pipelines/test_job_rounds.py"),
    ),
    Mutant(
        "a move does not look at the state it starts from",
        "pipelines/jobs/moves.py",
        "    if JobState(job.state) not in MAY[move]:",
        "    if job.state is None:",
        ("tests/pipelines/test_job_control.py",),
    ),
    Mutant(
        "two people may move one job at once",
        "pipelines/jobs/moves.py",
        "FROM jobs WHERE id = :job FOR NO KEY UPDATE",
        "FROM jobs WHERE id = :job",
        ("tests/pipelines/test_job_control.py",),
    ),
    Mutant(
        "a key that is used for another request is taken for the same",
        QUEUE + "keys.py",
        "    if row.fingerprint != request.fingerprint:\n        raise KeyReused",
        "    if row.fingerprint == b'':\n        raise KeyReused",
        ("tests/pipelines/test_request_keys.py",),
    ),
    Mutant(
        "a request leaves no key",
        QUEUE + "keys.py",
        "    if request is not None:\n        remember(",
        "    if request is not None and status == 0:\n        remember(",
        ("tests/web/test_idempotency.py",),
    ),
    Mutant(
        "a tenant's work runs in the system's scope",
        "workers/wrapper.py",
        "    return client(task.tenant_id)",
        "    return SYSTEM",
        ("tests/workers/test_wrapper.py",),
    ),
)
GROUND = (
    Mutant(
        "statements about a chunk go without its bounds",
        "pipelines/jobs/chunks.py",
        '"first": min(positions), "last": max(positions)}',
        '"first": ALL_POSITIONS[0], "last": ALL_POSITIONS[1]}',
        ("tests/workers/test_chunk_reads.py",),
    ),
    Mutant(
        "a ring wakes nobody",
        QUEUE + "broker_redis.py",
        "            self._wake(rung)",
        "            pass",
        ("tests/workers/test_woken.py",),
    ),
    Mutant(
        "a log line that cannot be written is a fault",
        "pipelines/telemetry.py",
        "        with suppress(OSError, ValueError):\n            self._stream.flush()",
        "        with suppress(KeyError):\n            self._stream.flush()",
        ("tests/workers/test_unread_logs.py",),
    ),
    Mutant(
        "a resting account takes the right password",
        "pipelines/access/lockout.py",
        "now < standing.rests_until:",
        "now < standing.rests_until and False:",
        ("tests/web/test_lockout.py",),
    ),
    Mutant(
        "whoever manages people gives any role",
        "pipelines/access/manage_users.py",
        "        if not may_manage(caller.role, change.role):",
        "        if not may_manage(caller.role, change.role) and False:",
        ("tests/web/test_users.py",),
    ),
    Mutant(
        "a key works from any network",
        "pipelines/access/use_key.py",
        "if row.allowed_cidrs and not is_within(",
        "if row.allowed_cidrs and False and not is_within(",
        ("tests/web/test_api_keys.py",),
    ),
    Mutant(
        "three keys live in one place",
        "pipelines/access/api_keys.py",
        "    if _has_living_neighbour(session, old, now=now):",
        "    if _has_living_neighbour(session, old, now=now) and False:",
        ("tests/web/test_api_keys.py",),
    ),
)
MUTANTS = DELIVERY + TAKING + VENDORS + MONEY + JOBS + GROUND
