"""The table of limits: its numbers, what loosens and what never does (SEC-03, SEC-18)."""

import pytest

from pipelines.access.rate_policies import LOOSER, TABLE, Policy, Rule, Subject, table


def numbers(of: dict) -> dict[str, tuple[int, int]]:
    return {rule.name: (rule.quota, rule.seconds) for rules in of.values() for rule in rules}


def test_sec018_the_numbers_are_those_of_the_design():
    assert numbers(table({}, is_production=True)) == {
        "api": (600, 60),
        "submit": (60, 60),
        "upload": (60, 3600),
        "login-ip": (20, 60),
        "login": (5, 60),
        "code-ip": (20, 60),
        "session-ip": (30, 60),
        "reset-ip": (20, 3600),
        "reset": (3, 3600),
        "register-ip": (20, 3600),
        "register": (3, 3600),
        "invite": (60, 3600),
        "invite-to": (5, 3600),
        "validate-ip": (10, 60),
        "validate": (10, 60),
        "apply-ip": (5, 60),
        "apply": (5, 60),
        "validate-for": (10, 60),
        "apply-for": (5, 60),
        "reveal-ip": (60, 60),
        "receipt-ip": (12_000, 60),
        "trial": (20, 60),
        "redeliver": (60, 60),
        "redeem-ip": (20, 60),
        "redeem": (10, 60),
        "miss-ip": (50, 3600),
        "miss": (100, 3600),
        "partner-token-ip": (120, 60),
        "partner-token": (30, 60),
        "widget-ip": (600, 60),
        "widget": (60, 60),
        "claim": (20, 60),
        "widget-page-ip": (600, 60),
        "token-check": (60, 60),
        "doubt-ip": (10, 3600),
        "doubt-for": (10, 3600),
        "doubt": (3, 3600),
    }


def test_every_policy_has_rules_and_every_rule_a_name_of_its_own():
    names = [rule.name for rules in TABLE.values() for rule in rules]

    assert set(TABLE) == set(Policy)
    assert len(names) == len(set(names))


def test_a_demo_asks_oftener_and_guesses_no_oftener():
    strict, loose = numbers(table({}, is_production=True)), numbers(table({}, is_production=False))

    looser = {name for name in strict if loose[name] != strict[name]}
    assert looser == {
        *("api", "submit", "upload", "session-ip", "reveal-ip", "receipt-ip", "trial"),
        *("redeliver", "register-ip", "invite", "invite-to"),
        # Nothing is guessed there: keys have 256 bits, and the count of one partner stands.
        *("partner-token-ip", "widget-ip", "widget", "claim", "widget-page-ip", "token-check"),
    }
    assert loose["submit"] == (60 * LOOSER, 60)


def test_an_operator_sets_a_limit_by_its_name_and_no_other_changes():
    given = {"login": (7, 60), "submit": (600, 60)}

    mine = numbers(table(given, is_production=True))

    assert mine == numbers(TABLE) | given


def test_a_limit_that_nobody_has_is_refused():
    with pytest.raises(KeyError, match="sumbit"):
        table({"sumbit": (1, 60)}, is_production=True)


def test_a_network_is_asked_before_the_person_it_names():
    """Else whoever floods from one network locks a person out who is elsewhere."""
    for rules in TABLE.values():
        subjects = [rule.subject for rule in rules]
        assert Subject.ADDRESS not in subjects[1:]


@pytest.mark.parametrize(("quota", "half"), [(10, 5), (5, 2), (1, 1)])
def test_half_of_a_limit_is_never_none_at_all(quota: int, half: int):
    assert Rule("r", Subject.CALLER, quota, 60).halved().quota == half
