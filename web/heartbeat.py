"""The front says that it lives: requests are counted, and the process that serves beats."""

from typing import Any

from flask import Flask, Response, g

from pipelines.boot import make_heartbeat
from pipelines.queue.processes import Heartbeat, Tally
from pipelines.wiring import House
from web.refusals import RefusalTally

SERVER_ERRORS = 500


def count_requests(app: Flask) -> Tally:
    """Count the requests that are answered, those that fail by our fault, and those in hand."""
    tally = Tally()

    @app.before_request
    def begin() -> None:
        tally.begin()
        g.is_counted = True

    @app.after_request
    def count(response: Response) -> Response:
        if response.status_code >= SERVER_ERRORS:
            tally.count_failed()
        else:
            tally.count_done()
        return response

    @app.teardown_request
    def end(_error: BaseException | None) -> None:
        if g.pop("is_counted", False):
            tally.end()

    return tally


class ServingHeart:
    """The heartbeat of gunicorn's worker: begun there, since no thread outlives the fork.

    It has no watchdog: without a database the front still answers, with 503.
    """

    def __init__(self, house: House, tally: Tally, refusals: RefusalTally) -> None:
        self._house = house
        self._tally = tally
        self._refusals = refusals
        self._heartbeat: Heartbeat | None = None

    def begin(self, _worker: Any) -> None:
        self._heartbeat = make_heartbeat(
            self._house, "web", self._tally, beside=self._refusals.write
        )
        self._heartbeat.start()

    def end(self, _server: Any, _worker: Any) -> None:
        if self._heartbeat is not None:
            self._heartbeat.stop()

    def hooks(self) -> dict[str, Any]:
        """Where gunicorn calls."""
        return {"post_worker_init": self.begin, "worker_exit": self.end}
