"""What is publicly known against the packages that are installed: `python -m tests.supply` (SEC-36).

Advice, not a gate: where the advisories cannot be reached it says so in one line and goes on.
`PIP_AUDIT=strict` makes it fail on a finding, and where nothing could be looked up.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

SECONDS = 10
COMMAND = (sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off")


def findings(report: Mapping[str, Any]) -> tuple[list[str], int, int]:
    """A line for each advisory, how many packages were looked up, and how many were not."""
    packages = report["dependencies"]
    looked_up = [package for package in packages if "skip_reason" not in package]
    lines = [
        f"{package['name']} {package['version']}: {vulnerability['id']}, mended in "
        f"{', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for package in looked_up
        for vulnerability in package["vulns"]
    ]
    return lines, len(looked_up), len(packages) - len(looked_up)


def audit() -> Mapping[str, Any] | None:
    """pip-audit's report on this environment; None if it did not get to one in time."""
    command = (*COMMAND, "--timeout", "3", "--skip-editable")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        report = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        return None
    return report if isinstance(report, dict) and "dependencies" in report else None


def verdict(report: Mapping[str, Any] | None, *, is_strict: bool) -> tuple[list[str], int]:
    """What to print, and the exit status."""
    lines, looked_up, left = ([], 0, 0) if report is None else findings(report)
    if not looked_up:
        words = "warning: the advisories cannot be reached; no package was looked up"
        return [words], int(is_strict)
    if left:
        lines.append(f"warning: {left} of {looked_up + left} packages were not looked up")
    return lines, int(is_strict and bool(lines))


def main() -> int:
    lines, status = verdict(audit(), is_strict=os.environ.get("PIP_AUDIT") == "strict")
    for line in lines:
        print(f"pip-audit: {line}")
    return status


if __name__ == "__main__":
    sys.exit(main())
