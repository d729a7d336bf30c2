"""Put whole objects where a call asks for them: `expand[]=payment_intent.latest_charge`."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ops.sandbox.stripe_door import Refused
from ops.sandbox.stripe_objects import Facts, Moment, shown

#: What may be put in place of an id, and what it is.
IDS: Mapping[str, str] = {
    "payment_intent": "payment_intent",
    "latest_charge": "charge",
    "charge": "charge",
}


def answer_of(facts: Facts, moment: Moment) -> Facts:
    """An object as the API shows it."""
    told = shown(facts)
    if told["object"] == "checkout.session":
        told["amount_total"] += moment.switches.shown_amount_off
    return told


def expanded(facts: Facts, moment: Moment, paths: Iterable[str]) -> Facts:
    """The object with what it names written out; a page of objects likewise, below `data`."""
    if facts["object"] == "list":
        below = [path.removeprefix("data.") for path in paths]
        return facts | {"data": [expanded(one, moment, below) for one in facts["data"]]}
    told = answer_of(facts, moment)
    for path in paths:
        name, _dot, rest = path.partition(".")
        told[name] = _written_out(facts, told, moment, name)
        if rest and isinstance(told[name], dict):
            told[name] = expanded(told[name], moment, [rest])
    return told


def _written_out(facts: Facts, told: Facts, moment: Moment, name: str) -> Any:
    whole: Mapping[tuple[str, str], Callable[[], Facts]] = {
        ("checkout.session", "line_items"): lambda: lines_of(facts),
        ("charge", "refunds"): lambda: _refunds(facts, moment),
    }
    made = whole.get((facts["object"], name))
    if made is not None:
        return made()
    if name not in IDS or name not in told:
        raise Refused(400, f"This property cannot be expanded ({name}).", param="expand")
    identity = told[name]
    if not isinstance(identity, str):
        return identity
    found = moment.objects.get(IDS[name], identity)
    return identity if found is None else shown(found)


def lines_of(session: Facts) -> Facts:
    url = f"/v1/checkout/sessions/{session['id']}/line_items"
    return {"object": "list", "url": url, "has_more": False, "data": session["_lines"]}


def _refunds(charge: Facts, moment: Moment) -> Facts:
    refunds = moment.objects.of_payment("refund", charge["payment_intent"])
    data = [one for one in reversed(refunds) if one["charge"] == charge["id"]]
    url = f"/v1/charges/{charge['id']}/refunds"
    return {"object": "list", "url": url, "has_more": False, "data": data}
