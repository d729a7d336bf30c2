"""Every code that a row, a card or an item can carry has words of its own."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pipelines
from models.jobs import ItemState
from pipelines.messages import CATALOGUE, IN_REVIEW, UNKNOWN, message_of
from pipelines.providers import (
    giftbit_answers,
    reloadly_answers,
    tango_answers,
    tremendous_answers,
)
from pipelines.provisioning.waterfall import MARGIN_BELOW_FLOOR, refusal_without_route

ROOT = Path(pipelines.__path__[0])
#: What is made with a code that people read: by position or by keyword, in these folders.
MAKERS = {"CellProblem", "Verdict", "FieldError", "CsvRowError", "Refused", "Repeated"}
MAKERS |= {"write_refusal", "write_review"}
FOLDERS = ("distribution", "jobs", "pools", "providers", "provisioning", "user_pools")
#: What judges rows there; the others refuse bodies.
OF_BOOKS = ("codes.py", "code_rows.py", "import_codes.py")
OF_DISCOUNTS = ("code_rows.py", "import_codes.py", "rule_checks.py")
CODE = re.compile(r"[a-z]+(?:_[a-z0-9]+)*")
CODE_IN_SQL = re.compile(r"SET (?:code|problem) = '([a-z_]+)'")


def codes_of(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    yield from CODE_IN_SQL.findall(text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and _name(node.func) in MAKERS:
            given = [*node.args, *(k.value for k in node.keywords if k.arg == "code")]
            yield from (code for value in given for code in constants(value))


def _name(called: ast.expr) -> str:
    return called.id if isinstance(called, ast.Name) else ""


def constants(value: ast.expr) -> Iterator[str]:
    """The literal a value is, or the two it is one of."""
    if isinstance(value, ast.IfExp):
        yield from (*constants(value.body), *constants(value.orelse))
    elif isinstance(value, ast.Constant) and CODE.fullmatch(str(value.value)):
        yield str(value.value)


def spoken_by_refusals() -> Iterator[str]:
    yield from reloadly_answers._CODES.values()
    yield from tango_answers.CODES.values()
    yield from (code for _words, code in reloadly_answers._WORDS)
    yield from (code for _part, code in (*tremendous_answers._PATHS, *tremendous_answers._WORDS))
    yield from (code for _words, code in giftbit_answers._CODES)
    yield "vendor_rejected"
    yield refusal_without_route([], 100, tried=frozenset(), last_code=None)[1]
    yield MARGIN_BELOW_FLOOR[1]


def codes() -> set[str]:
    files = [path for folder in FOLDERS for path in (ROOT / folder).glob("*.py")]
    files += [ROOT / "books" / name for name in OF_BOOKS]
    files += [ROOT / "discounts" / name for name in OF_DISCOUNTS]
    return {code for path in files for code in codes_of(path)} | set(spoken_by_refusals())


def test_every_code_has_words_of_its_own() -> None:
    found = codes()

    assert {
        "invalid_email",
        "code_charset",
        "duplicate_card",
        "duplicate_code",
        "job_cancelled",
    } <= found
    assert {"refunded", "never_placed", "code_not_delivered", "already_served"} <= found
    assert sorted(code for code in found if message_of(code) == UNKNOWN) == []


def test_no_two_codes_say_the_same() -> None:
    titles = [message.title for message in (*CATALOGUE.values(), *IN_REVIEW.values())]

    assert len(titles) == len(set(titles))


def test_a_card_known_already_is_left_out_of_imports_and_looked_into_when_a_vendor_sent_it() -> (
    None
):
    left_out = message_of("duplicate_card", ItemState.FAILED)
    looked_into = message_of("duplicate_card", ItemState.NEEDS_REVIEW)

    assert left_out.title == "This card stands in the file or in stock already; it was left out."
    assert looked_into.title == "The supplier sent a card that is known already"
