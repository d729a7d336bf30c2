"""Answer a call of Stripe's API, whatever it suffers: once per Idempotency-Key if it changes something."""

import time
from collections.abc import Callable

from flask import Response, g, request

from ops.sandbox.faults import FaultBoard, Strike
from ops.sandbox.stripe_account import Account
from ops.sandbox.stripe_door import Refused, broken, refusal
from ops.sandbox.stripe_expand import expanded
from ops.sandbox.stripe_faults import draw, is_empty_500, is_saved_500, suffer
from ops.sandbox.stripe_forms import read_form
from ops.sandbox.stripe_idempotency import Answers
from ops.sandbox.stripe_lists import PAGING
from ops.sandbox.stripe_objects import Facts, Moment
from ops.sandbox.wire import reply

Made = Callable[[Moment], Facts]


class Calls:
    """The three ways to answer: change something, show one object, show a page."""

    def __init__(self, account: Account, faults: FaultBoard) -> None:
        self._account = account
        self._faults = faults
        self._answers = Answers()

    def posted(self, point: str, make: Made) -> Response:
        """A call that changes something: once per Idempotency-Key, whatever it suffers."""
        strike = draw(self._faults, point)
        return suffer(strike, lambda: self._once(make, strike))

    def looked(self, point: str, find: Made) -> Response:
        """A call that shows one object, with what it asks to have written out."""
        asked = read_form(request.args.items(multi=True), {"expand": PAGING["expand"]})
        return self.listed(
            point, lambda moment: expanded(find(moment), moment, asked.get("expand", []))
        )

    def listed(self, point: str, make: Made) -> Response:
        def execute() -> Response:
            with self._account.moment() as moment:
                return reply(make(moment))

        return suffer(draw(self._faults, point), execute)

    def _once(self, make: Made, strike: Strike | None) -> Response:
        with self._answers.alone():
            with self._account.moment() as moment:
                kept = self._answers.kept(moment)
            if kept is not None:
                return kept
            time.sleep(self._account.switches.current.latency_seconds)
            try:
                return self._execute(make, strike)
            except Refused as error:
                if not error.is_saved:
                    raise
                with self._account.moment() as moment:
                    return self._answers.keep(moment, refusal(error))

    def _execute(self, make: Made, strike: Strike | None) -> Response:
        """The change and its kept answer are written together."""
        key = request.headers.get("Idempotency-Key")
        with self._account.moment({"id": g.request_id, "idempotency_key": key}) as moment:
            made = {} if is_empty_500(strike) else make(moment)
            answer = broken() if is_saved_500(strike) else reply(made)
            return self._answers.keep(moment, answer)
