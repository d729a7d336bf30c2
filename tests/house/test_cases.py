"""Every edge case of discount codes, payments and partners has a test that carries its number (S2-005, S2-019)."""

import re

import pytest

from tests.house.test_sizes import tracked

#: The categories of the notes, with how many cases each must have.
CATEGORIES: dict[str, tuple[int, set[int]]] = {
    "S2-020 concurrency": (5, {1, 2, 3, 4, 46}),
    "S2-021 payments": (9, {*range(5, 10), 47, 48, 49, 50}),
    "S2-022 time": (4, set(range(10, 14))),
    "S2-023 users": (6, {*range(14, 18), 51, 52}),
    "S2-024 rules": (5, {*range(18, 22), 53}),
    "S2-025 data": (3, set(range(22, 25))),
    "S2-026 management": (4, set(range(25, 29))),
    "S2-027 security": (3, set(range(29, 32))),
    "S2-028 tax": (2, {32, 33}),
    "S2-029 others": (12, set(range(34, 46))),
}
CASES = 53
#: Of partners, their users' tokens and visits, and claims (S0).
PARTNERS = set(range(102, 116))
#: Case -> what of it is not there, and why; its test is of the rest.
PARTS_OPEN = {
    18: "A gift card pays nothing at the checkout: cards are bought and revealed, and no balance of one "
    "is kept here.",
    33: "There are no accounting periods that could be closed: purchases have no ledger of their own, "
    "and what was refunded stands as rows beside what was paid.",
    40: "A file is answered at once in short pieces; it is no job, and has no link that ends.",
    44: "What became of a job is not forgotten: nothing answers 410 `job_expired`.",
}
_FUNCTION = re.compile(r"^\s*(?:async )?def (test_\w+)\(", re.MULTILINE)
_NUMBER = re.compile(r"(?<=_)ec(\d{3})(?=_)")
_SCENARIO = re.compile(r'"""EC-(\d{3}): ')


def cases_with_a_test() -> set[int]:
    """Numbers of cases in the names of tests, and in the first words of scenarios of `make chaos`."""
    found = set[int]()
    for path in tracked("tests"):
        text = path.read_text(encoding="utf-8")
        named = [number for name in _FUNCTION.findall(text) for number in _NUMBER.findall(name)]
        if path.name.startswith("scenarios_"):
            named += _SCENARIO.findall(text)
        found.update(map(int, named))
    return found


@pytest.mark.parametrize("category", CATEGORIES)
def test_each_case_of_a_category_has_a_test(category: str):
    count, cases = CATEGORIES[category]

    assert len(cases) == count
    assert cases - cases_with_a_test() == set()


def test_the_categories_have_every_case_once():
    assert sum(count for count, _cases in CATEGORIES.values()) == CASES
    assert set().union(*(cases for _count, cases in CATEGORIES.values())) == set(
        range(1, CASES + 1)
    )
    assert set(PARTS_OPEN) <= set(range(1, CASES + 1))


def test_each_case_of_partners_has_a_test():
    assert PARTNERS - cases_with_a_test() == set()
