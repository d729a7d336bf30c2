"""Several people at the same moment."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


def race(times: int, attempt: Callable[[], bool]) -> int:
    """Run `attempt` in that many threads at the same moment; how many succeeded."""
    start = threading.Barrier(times)

    def run(_number: int) -> bool:
        start.wait(timeout=30)
        return attempt()

    with ThreadPoolExecutor(times) as pool:
        return sum(pool.map(run, range(times)))
