"""Start one process of the Procfile: `python -m workers relay|scheduler|interactive|...`."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial

from dramatiq import Worker
from dramatiq.middleware import ShutdownNotifications, TimeLimit

from pipelines.boot import check_database
from pipelines.queue.broker import UnknownScheme, make_broker
from pipelines.queue.kinds import Queue
from pipelines.settings import Settings, SettingsBroken, load
from pipelines.telemetry import configure, get_logger
from pipelines.wiring import House, build_handlers, build_house
from workers import relay, scheduler
from workers.actors import bind
from workers.middleware import DoorbellsOnly
from workers.wrapper import Wrapper

log = get_logger(__name__)

#: How often an idle consumer looks; short where people wait, longer where they do not.
CONSUMER_MILLISECONDS = {Queue.INTERACTIVE: 20, Queue.BULK: 50, Queue.VENDORS: 50}
CONSUMER_MILLISECONDS_OTHERWISE = 200
WATCH_SECONDS = 2.0


def main(arguments: list[str]) -> int:
    """Run the named process until SIGTERM; 2 for a usage or settings error."""
    names = ("relay", "scheduler", *(queue.value for queue in Queue))
    if len(arguments) != 1 or arguments[0] not in names:
        print(f"usage: python -m workers {{{'|'.join(names)}}}", file=sys.stderr)
        return 2
    process = arguments[0]
    configure(process)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = load(process)
        house = build_house(settings)
        check_database(house)
        return _serve(process, settings, house, stop)
    except (SettingsBroken, UnknownScheme) as error:
        print(f"{process}: {error}", file=sys.stderr)
        return 2


def _serve(process: str, settings: Settings, house: House, stop: threading.Event) -> int:
    log.info("process.started", threads=settings.pool_size)
    if process == "scheduler":
        scheduler.run_forever(house.sessions, stop)
        return 0
    if process == "relay":
        one_pass = _relay_pass(settings, house)
        relay.run_forever(one_pass, stop, house.limits)
        return 0
    return _work(Queue(process), settings, house, stop)


def _relay_pass(settings: Settings, house: House) -> Callable[[], int]:
    broker = make_broker(settings.queue_url, middleware=[DoorbellsOnly()])
    return partial(relay.run_once, house.sessions, broker, house.limits)


def _work(queue: Queue, settings: Settings, house: House, stop: threading.Event) -> int:
    """Consume one queue with as many threads as the database pool has connections."""
    middleware = [TimeLimit(), ShutdownNotifications(), DoorbellsOnly()]
    broker = make_broker(settings.queue_url, middleware=middleware)
    bind(broker, Wrapper(house.sessions, build_handlers(house), broker=broker))
    broker.emit_after("process_boot")
    worker = Worker(
        broker,
        queues={queue.value},
        worker_threads=settings.pool_size,
        worker_timeout=CONSUMER_MILLISECONDS.get(queue, CONSUMER_MILLISECONDS_OTHERWISE),
    )
    worker.start()
    while not stop.wait(WATCH_SECONDS):
        if not all(consumer.is_alive() for consumer in worker.consumers.values()):
            log.error("worker.consumer_died")
            os._exit(1)  # the supervisor starts a whole process; this one has lost its ears
    log.info("process.draining")
    worker.stop(timeout=int(house.limits.drain_seconds * 1000))
    broker.close()
    log.info("process.stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
