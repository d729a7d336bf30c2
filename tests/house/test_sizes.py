"""The house stays readable: one purpose a file, small functions, plain names."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("models", "pipelines", "web", "workers", "ops")
FILE_LINES_MAX = 350
FUNCTION_LINES_MAX = 50
WORDS_AVOIDED = re.compile(
    r"(^|_)(voucher|promo|wallet|batch|shard|mutex|utils|helpers|manager|outbox|finalize)(s|d)?(_|$)",
    re.IGNORECASE,
)
#: Names that use an avoided word in another, plain sense.
WORDS_ALLOWED = {"_batches", "batch", "batches", "BATCH_ROWS"}
#: A batch is a card file, as everybody in the trade says, or the discount codes of one job: in these
#: places and nowhere else.
CARD_BATCHES = re.compile(
    r"pipelines/pools/|web/(api|console)/card_batch|web/console/stock_"
    r"|pipelines/discounts/batches|web/api/discount_batches|models/discounts"
)


def tracked(*folders: str) -> list[Path]:
    """Python files of the product, as git knows them."""
    found = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return [ROOT / name for name in found if name.endswith(".py") and (ROOT / name).exists()]


def parsed(*folders: str) -> list[tuple[Path, ast.Module]]:
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in tracked(*folders)]


def test_no_file_is_longer_than_the_house_allows() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked(*PRODUCT, "tests")
        if (lines := path.read_text(encoding="utf-8").count("\n")) > FILE_LINES_MAX
    }
    assert long == {}


def test_no_function_is_longer_than_the_house_allows() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": lines
        for path, tree in parsed(*PRODUCT)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES_MAX
    }
    assert long == {}


def test_every_file_says_its_purpose_in_its_first_line() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path, tree in parsed(*PRODUCT)
        if tree.body and not ast.get_docstring(tree)
    ]
    assert silent == []


def test_names_use_the_words_of_the_glossary() -> None:
    wrong = {
        f"{path.relative_to(ROOT)}: {node.name}"
        for path, tree in parsed(*PRODUCT)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and WORDS_AVOIDED.search(node.name)
        and node.name not in WORDS_ALLOWED
        and not (CARD_BATCHES.match(str(path.relative_to(ROOT))) and "batch" in node.name.lower())
    }
    assert wrong == set()


def test_only_the_transaction_block_commits() -> None:
    committing = [
        str(path.relative_to(ROOT))
        for path in tracked("pipelines", "web", "workers")
        if re.search(r"\bsession\.commit\(", path.read_text(encoding="utf-8"))
    ]
    assert committing == []


@pytest.mark.parametrize("folder", ["pipelines", "models"])
def test_time_comes_from_the_database_and_not_from_the_process(folder: str) -> None:
    asking = [
        str(path.relative_to(ROOT))
        for path in tracked(folder)
        if re.search(r"datetime\.(now|utcnow|today)\(", path.read_text(encoding="utf-8"))
    ]
    assert asking == []


def test_the_top_level_holds_the_agreed_rooms_and_no_others() -> None:
    folders = {p.name for p in ROOT.iterdir() if p.is_dir() and not p.name.startswith(".")}
    folders -= {"build", "largesse.egg-info", "node_modules"}
    assert folders == {"docs", "models", "ops", "pipelines", "tests", "web", "workers"}
