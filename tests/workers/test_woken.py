"""An idle consumer is woken by a ring: it does not look again only when its time is over."""

import queue
import threading

from dramatiq import MessageProxy

from pipelines.queue.broker_redis import WAKES_MAX, RedisDoorbells
from tests.conftest import Ground
from tests.until import until
from tests.workers.brokers import Backstage, BehindRedis, bells

#: Longer than any test waits, so that a consumer that is not woken is not mistaken for one.
IDLE_MILLISECONDS = 100_000
PATIENCE_SECONDS = 120.0


def test_a_consumer_that_rests_hears_a_ring(backstage: Backstage) -> None:
    broker = backstage.broker(patience_seconds=PATIENCE_SECONDS)
    broker.declare_queue("interactive")
    consumer = broker.consume("interactive", prefetch=2, timeout=IDLE_MILLISECONDS)
    heard: queue.Queue[MessageProxy] = queue.Queue()

    def listen() -> None:
        """It rests once or twice before there is something to be had."""
        heard.put(next(filter(None, consumer)))

    threading.Thread(target=listen, daemon=True).start()
    if isinstance(broker, RedisDoorbells):
        client = broker.client
        until(lambda: client.info("clients")["blocked_clients"] == 1)
    assert broker.ring(bells(1, queue="interactive")) == 1

    assert heard.get(timeout=IDLE_MILLISECONDS / 2000).queue_name == "interactive"
    consumer.close()
    broker.close()


def test_wakes_do_not_pile_up_while_nobody_listens(ground: Ground) -> None:
    behind = BehindRedis(ground.servers.redis_url)
    behind.empty()
    broker = behind.broker()
    assert isinstance(broker, RedisDoorbells)

    for _ring in range(3):
        assert broker.ring(bells(2 * WAKES_MAX)) == 2 * WAKES_MAX

    assert broker.client.llen("largesse:wake:bulk") == WAKES_MAX
    assert broker.depth("bulk") == 6 * WAKES_MAX
    behind.empty()
    broker.close()
