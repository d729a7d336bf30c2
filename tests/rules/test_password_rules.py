"""What a password must be (SEC-02, S1-096)."""

import pytest

from pipelines.access.password_rules import CHARACTERS_MAX, CHARACTERS_MIN, password_error

GOOD = "ochre ladder piano 7"


def code(password: str, *words: str) -> str | None:
    error = password_error(password, words=words)
    return None if error is None else error.code


@pytest.mark.parametrize(
    "password",
    [
        GOOD,
        "nur kleine buchstaben",
        "пять слов на кириллице",
        "   spaces count too   !x",
        "z" + "aB3$" * 31,
    ],
)
def test_length_is_all_that_is_asked_of_a_password_nobody_guesses(password: str):
    assert code(password) is None


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("", "too_short"),
        ("fourteen chars"[: CHARACTERS_MIN - 1], "too_short"),
        ("x" * (CHARACTERS_MAX + 1), "too_long"),
        ("passwordpassword", "too_common"),
        ("aaaaaaaaaaaaaaaa", "too_common"),
        ("abcdefghijklmnop", "too_common"),
        ("1234567890123456", "too_common"),
        ("qwertyuiopqwerty", "too_common"),
        ("largesselargesse", "too_common"),
    ],
)
def test_what_is_tried_first_is_refused(password: str, expected: str):
    assert code(password) == expected


def test_the_words_of_a_person_are_no_password_of_theirs():
    assert code("marlene.oswaldt@kirchweg.example", "marlene.oswaldt@kirchweg.example") == (
        "too_common"
    )
    for own in ("oswaldt-oswaldt", "MarleneOswaldt!", "kirchweg.example", "marlene.oswaldt1"):
        assert code(own, "marlene.oswaldt@kirchweg.example") == "too_common"
    assert code("marlene ochre ladder piano", "marlene.oswaldt@kirchweg.example") is None


def test_the_sentence_never_repeats_the_password():
    for password in ("", "passwordpassword", "x" * 200):
        error = password_error(password)
        assert error is not None
        assert password == "" or password not in error.detail
