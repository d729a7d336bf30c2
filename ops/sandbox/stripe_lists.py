"""Answer lists the way Stripe does: newest first, a page at a time, after or before an object."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from flask import request

from ops.sandbox.stripe_door import NAME, Refused, missing
from ops.sandbox.stripe_forms import NUMBER, TEXT, read_form
from ops.sandbox.stripe_objects import Facts, Moment

PAGE_DEFAULT, PAGE_MAX = 10, 100
#: The parameters of every list.
PAGING: Facts = {"limit": NUMBER, "starting_after": TEXT, "ending_before": TEXT, "expand": [TEXT]}
CREATED: Facts = {
    "created": {"gt": NUMBER, "gte": NUMBER, "lt": NUMBER, "lte": NUMBER},
}
_Fits = Callable[[Facts], bool]


def asked_for(**more: object) -> Facts:
    """The parameters in the address; `created` may be one moment or its bounds."""
    pairs = [
        pair
        for name, value in request.args.items(multi=True)
        for pair in (
            [(f"created[{bound}]", value) for bound in ("gte", "lte")]
            if name == "created"
            else [(name, value)]
        )
    ]
    return read_form(pairs, PAGING | CREATED | more)


def page_of(moment: Moment, kind: str, asked: Facts, fits: _Fits) -> Facts:
    """A page of the objects of a kind that fit."""
    limit = asked.get("limit", PAGE_DEFAULT)
    if not 0 < limit <= PAGE_MAX:
        message = f"Invalid limit: must be from 1 to {PAGE_MAX}"
        raise Refused(400, message, code="parameter_invalid_integer", param="limit")
    for name in ("starting_after", "ending_before"):
        if name in asked and moment.objects.get(kind, asked[name]) is None:
            raise missing(kind, asked[name], name)
    rows = _beside(moment.objects.newest(kind), asked)
    found = (r for r in rows if is_within(r["created"], asked.get("created", {})) and fits(r))
    if "ending_before" in asked:
        newer = list(found)
        data, has_more = newer[-limit:], len(newer) > limit
    else:
        data = list(islice(found, limit + 1))
        data, has_more = data[:limit], len(data) > limit
    url = request.path.removeprefix(f"/{NAME}")
    return {"object": "list", "url": url, "has_more": has_more, "data": data}


def is_within(created: int, bounds: Facts) -> bool:
    return all(
        (
            created > bounds.get("gt", -1),
            created >= bounds.get("gte", 0),
            created < bounds.get("lt", created + 1),
            created <= bounds.get("lte", created),
        )
    )


def _beside(rows: Iterable[Facts], asked: Facts) -> Iterator[Facts]:
    """What is older than the object named, or newer; it need not fit itself."""
    older, newer = asked.get("starting_after"), asked.get("ending_before")
    is_past = older is None
    for row in rows:
        if row["id"] == newer:
            return
        if is_past:
            yield row
        is_past = is_past or row["id"] == older
