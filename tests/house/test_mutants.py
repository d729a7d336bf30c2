"""The rules that `make mutants` breaks stand where it looks for them, or nobody would notice."""

from tests.house.test_sizes import ROOT
from tests.mutants.every import EVERY


def test_each_rule_that_a_mutant_breaks_stands_once_in_its_file() -> None:
    stale = {
        mutant.name: times
        for mutant in EVERY
        if (times := (ROOT / mutant.path).read_text(encoding="utf-8").count(mutant.rule)) != 1
    }

    assert stale == {}


def test_each_test_file_that_shall_notice_a_mutant_is_there() -> None:
    named = {path.partition("::")[0] for mutant in EVERY for path in mutant.tests}

    assert {path for path in named if not (ROOT / path).exists()} == set()
