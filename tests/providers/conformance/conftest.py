"""Every test of the contract runs once per vendor, or at the one real vendor that is named."""

import os

import pytest

from tests.providers.conformance.bench import Bench, real_bench, sandbox_bench
from tests.providers.conformance.benches import HABITS
from tests.vendor import Sandbox

REAL = os.environ.get("CONFORMANCE_VENDOR", "")


@pytest.fixture(params=[REAL] if REAL else sorted(HABITS))
def bench(request: pytest.FixtureRequest) -> Bench:
    vendor = request.param
    if REAL:
        return real_bench(vendor, HABITS[vendor])
    sandbox: Sandbox = request.getfixturevalue("sandbox")
    return sandbox_bench(vendor, HABITS[vendor], sandbox)
