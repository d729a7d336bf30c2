"""A distribution before it is submitted, in words: who gets how many, who does not and why: pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.books.read import BookView
from pipelines.distribution.draw import Mode, RemainderPolicy
from web.console.distribute_form import REMAINDERS
from web.console.formats import number, plural

#: What a stale plan's name differs in.
CHANGES = {
    "pool": "People were added to the pool or removed from it.",
    "book": "The book was changed.",
    "draws": "Coupons of the book were distributed meanwhile.",
    "members_or_options": "What people have of the book, or what you ask for, is not what it was.",
}


@dataclass(frozen=True, slots=True)
class PersonWords:
    """Somebody of the pool, and what the plan says of them."""

    called: str
    sub: str
    words: str


@dataclass(frozen=True, slots=True)
class DistributionWords:
    """The plan as the page says it."""

    plan_hash: str
    sentence: str
    facts: tuple[tuple[str, str], ...]
    people: tuple[PersonWords, ...]
    people_note: str
    refused: tuple[PersonWords, ...]
    refused_note: str
    before: str
    after: str
    is_short: bool
    digest: str
    draw: str
    blockers: tuple[str, ...]
    #: `10 coupons`, for buttons and sentences.
    coupons: str


def distribution_words(
    view: Mapping[str, Any], *, pool: str, book: str, allow_partial: bool
) -> DistributionWords:
    """Put a preview of `pipelines.distribution.preview` into words."""
    stock = view["stock"]
    given = min(view["to_assign"], stock["available"]) if allow_partial else view["to_assign"]
    coupons = plural(given, "coupon")
    return DistributionWords(
        plan_hash=view["plan_hash"],
        sentence=_sentence(view, coupons, pool=pool, book=book),
        facts=_facts(view),
        people=tuple(_person(one, _share(one["count"])) for one in view["affected"]),
        people_note=_more(view["affected_count"], len(view["affected"])),
        refused=tuple(_person(one, one["detail"]) for one in view["refused"]),
        refused_note=_refused_note(view),
        before=number(stock["available"]),
        after=number(stock["available"] - min(given, stock["available"])),
        is_short=stock["available"] < view["to_assign"],
        digest=view["seed_sha256"],
        draw=number(view["draw_number"]),
        blockers=tuple(_blocker(one, view) for one in view["blockers"]),
        coupons=coupons,
    )


def changed_words(changes: Iterable[str]) -> list[str]:
    """What is not as it was when the plan was shown, a sentence each."""
    return [CHANGES[name] for name in changes if name in CHANGES]


def book_choice(book: BookView) -> str:
    """A book as a choice: its name, what is left, and its limit for one person."""
    left = f"{plural(book.stock['unassigned'], 'coupon')} left"
    limit = book.rules.max_assignments_per_user
    most = f", at most {number(limit)} for each person" if limit is not None else ""
    return f"{book.rules.name} – {left}{most}"


def _sentence(view: Mapping[str, Any], coupons: str, *, pool: str, book: str) -> str:
    people = plural(view["affected_count"], "person", "people")
    if view["mode"] == Mode.RANDOM:
        can = "can take one" if view["affected_count"] != 1 else "can take some"
        return f"{coupons} of {book} are drawn among {people} of {pool} who {can}."
    return f"{coupons} of {book} go to {people} of {pool}: {_each(view)}."


def _each(view: Mapping[str, Any]) -> str:
    least, most = view["fewest_per_user"], view["most_per_user"]
    between = "or" if most - least == 1 else "to"
    each = number(most) if least == most else f"{number(least)} {between} {number(most)}"
    return f"{each} for each"


def _facts(view: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    facts = [
        ("People in the pool", number(view["members"])),
        ("Of them disabled", number(view["members"] - view["active"])),
        ("People affected", number(view["affected_count"])),
    ]
    if view["mode"] == Mode.EQUAL:
        facts.append(("Coupons for each", _each(view).removesuffix(" for each")))
        facts.append(("Left over", _left_over(view)))
    facts.append(("Coupons that nobody may take", number(_not_taken(view))))
    return tuple(facts)


def _left_over(view: Mapping[str, Any]) -> str:
    if not view["remainder"]:
        return "None"
    what = dict(REMAINDERS)[RemainderPolicy(view["remainder_policy"])]
    return f"{number(view['remainder'])}: {what[0].lower()}{what[1:]}"


def _not_taken(view: Mapping[str, Any]) -> int:
    """Rows that are refused already, without those of disabled people, who were to get none."""
    inactive = view["members"] - view["active"] if view["mode"] == Mode.EQUAL else 0
    return int(view["refused_count"]) - inactive


def _share(count: int | None) -> str:
    return "May be drawn" if count is None else plural(count, "coupon")


def _person(one: Mapping[str, Any], words: str) -> PersonWords:
    called = one["email"] or one["external_id"] or str(one["user_id"])
    sub = one["external_id"] if one["email"] and one["external_id"] else ""
    return PersonWords(called, sub or "", words)


def _more(count: int, shown: int) -> str:
    return f"The first {number(shown)} of {number(count)} people." if count > shown else ""


def _refused_note(view: Mapping[str, Any]) -> str:
    rows = plural(view["refused_count"], "row")
    if not view["refused_count"] and not view["refused"]:
        return ""
    if view["mode"] == Mode.RANDOM:
        return "They are passed over in the draw."
    return f"{rows} of the job will say so; the book keeps their coupons."


def _blocker(blocker: Mapping[str, Any], view: Mapping[str, Any]) -> str:
    if blocker["code"] == "book_exhausted":
        return (
            f"The book has {plural(view['stock']['available'], 'coupon')} left and "
            f"{number(view['to_assign'])} are needed. Ask for fewer, let as many be given as there "
            "are, or put more into the book."
        )
    return str(blocker["detail"])
