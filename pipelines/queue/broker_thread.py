"""One thread that owns a connection, so that its callers can stop waiting for it."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from pipelines.queue.broker_port import BrokerAway

T = TypeVar("T")

_END = None
_Step = tuple[Future[Any], Callable[[], Any]]


class ConnectionThread:
    """Runs what callers hand over, one after another; starts with the first of it.

    A client library that waits without end for a broker that froze holds up this thread, and not
    the request that wanted to ring.
    """

    def __init__(self, name: str, *, tend: Callable[[], None], tend_seconds: float) -> None:
        self._name = name
        self._tend = tend
        self._tend_seconds = tend_seconds
        self._steps: queue.SimpleQueue[_Step | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def do(self, step: Callable[[], T], *, patience_seconds: float) -> T:
        """The result of `step`; raises its fault, or `BrokerAway` when the patience is over.

        A step that has not begun by then never begins.
        """
        self._start()
        future: Future[T] = Future()
        self._steps.put((future, step))
        try:
            return future.result(timeout=patience_seconds)
        except TimeoutError:
            if future.done():
                raise
            future.cancel()
            raise BrokerAway("NoAnswer") from None

    def end(self, last_step: Callable[[], None], *, patience_seconds: float) -> None:
        """Do what was handed over and `last_step`, and let the thread end."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._steps.put((Future(), last_step))
            self._steps.put(_END)
            thread.join(patience_seconds)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                handed = self._steps.get(timeout=self._tend_seconds)
            except queue.Empty:
                self._tend()
                continue
            if handed is _END:
                return
            future, step = handed
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(step())
            except BaseException as fault:  # the caller's to handle
                future.set_exception(fault)
