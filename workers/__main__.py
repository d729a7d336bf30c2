"""Start one process of the Procfile: `python -m workers relay|scheduler|interactive|...`."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from dramatiq import Worker
from dramatiq.middleware import TimeLimit
from sqlalchemy.exc import DBAPIError

from pipelines.boot import check_database, keep_what_is_made, make_heartbeat, refusal, unreachable
from pipelines.queue.broker import UnknownScheme, make_broker
from pipelines.queue.kinds import Queue
from pipelines.queue.processes import Heartbeat, Tally
from pipelines.settings import Settings, SettingsBroken, load
from pipelines.telemetry import configure, get_logger, tell_ends_by_class
from pipelines.wiring import House, build_handlers, build_house
from workers import relay, scheduler
from workers.actors import bind
from workers.drain import Asked, drain
from workers.middleware import DoorbellsOnly
from workers.shift import Shift
from workers.watchdog import Polls, Watchdog
from workers.wrapper import Wrapper

log = get_logger(__name__)

#: How often an idle consumer looks by itself; a ring wakes it at once.
CONSUMER_MILLISECONDS = 200


def main(arguments: list[str]) -> int:
    """Run the named process until SIGTERM; 2 for a usage or settings error."""
    names = ("relay", "scheduler", *(queue.value for queue in Queue))
    if len(arguments) != 1 or arguments[0] not in names:
        print(f"usage: python -m workers {{{'|'.join(names)}}}", file=sys.stderr)
        return 2
    process = arguments[0]
    configure(process)
    tell_ends_by_class()
    try:
        settings = load(process)
        house = build_house(settings)
        asked = Asked(house.limits)
        asked.listen()
        check_database(house)
        return serve(process, settings, house, asked)
    except (SettingsBroken, UnknownScheme) as error:
        print(refusal(process, error), file=sys.stderr)
        return 2
    except DBAPIError as error:
        print(f"{process}: {unreachable(error)}", file=sys.stderr)
        return 1


def serve(process: str, settings: Settings, house: House, asked: Asked) -> int:
    """Beat, work until asked to end, and leave nothing behind."""
    tally = Tally()
    heartbeat = make_heartbeat(house, process, tally)
    log.info("process.started", threads=settings.pool_size)
    heartbeat.start()
    keep_what_is_made()
    if process in {"relay", "scheduler"}:
        Watchdog(heartbeat, house.limits, is_ending=asked.stop.is_set).start()
        _repeat(process, settings, house, asked, heartbeat)
    else:
        _work(Queue(process), settings, house, asked, heartbeat)
    heartbeat.stop()
    log.info("process.stopped")
    return 0


def _repeat(
    process: str, settings: Settings, house: House, asked: Asked, heartbeat: Heartbeat
) -> None:
    if process == "scheduler":
        scheduler.run_forever(house.sessions, asked.stop, house.limits)
        return
    one_pass = _relay_pass(settings, house)
    on_state = partial(heartbeat.note_trouble, "relay")
    relay.run_forever(one_pass, asked.stop, house.limits, on_state)


def _relay_pass(settings: Settings, house: House) -> Callable[[], int]:
    broker = make_broker(settings.queue_url, middleware=[DoorbellsOnly()])
    return partial(relay.run_once, house.sessions, broker, house.limits)


def _work(
    queue: Queue, settings: Settings, house: House, asked: Asked, heartbeat: Heartbeat
) -> None:
    """Consume one queue with as many threads as the database pool has connections."""
    broker = make_broker(settings.queue_url, middleware=[TimeLimit(), DoorbellsOnly()])
    polls = Polls(heartbeat.note_trouble)
    polls.listen_to(broker)
    shift = Shift(heartbeat.tally)
    bind(broker, Wrapper(house.sessions, build_handlers(house), broker=broker, shift=shift))
    broker.emit_after("process_boot")
    worker = Worker(
        broker,
        queues={queue.value},
        worker_threads=settings.pool_size,
        worker_timeout=CONSUMER_MILLISECONDS,
    )
    worker.start()
    is_ending = asked.stop.is_set
    Watchdog(heartbeat, house.limits, is_ending=is_ending, worker=worker, polls=polls).start()
    asked.stop.wait()
    drain(worker, shift, heartbeat, asked, house.limits)
    broker.close()


if __name__ == "__main__":
    code = main(sys.argv[1:])
    with suppress(OSError):
        sys.stderr.flush()
    # Threads that are still in a vendor's call would trouble the interpreter's own end.
    os._exit(code)
