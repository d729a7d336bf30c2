"""Every scenario of `make chaos`, by theme."""

from tests.chaos import (
    scenarios_all_vendors,
    scenarios_clock,
    scenarios_coupons,
    scenarios_database,
    scenarios_distribution,
    scenarios_jobs,
    scenarios_network,
    scenarios_payments,
    scenarios_processes,
    scenarios_queue,
    scenarios_undo,
    scenarios_vendor,
    scenarios_web,
)
from tests.chaos.exact import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    *scenarios_processes.SCENARIOS,
    *scenarios_queue.SCENARIOS,
    *scenarios_database.SCENARIOS,
    *scenarios_vendor.SCENARIOS,
    *scenarios_all_vendors.SCENARIOS,
    *scenarios_network.SCENARIOS,
    *scenarios_web.SCENARIOS,
    *scenarios_clock.SCENARIOS,
    *scenarios_undo.SCENARIOS,
    *scenarios_distribution.SCENARIOS,
    *scenarios_coupons.SCENARIOS,
    *scenarios_payments.SCENARIOS,
    *scenarios_jobs.SCENARIOS,
)

assert len({s.name for s in SCENARIOS}) == len(SCENARIOS), "two scenarios of one name"
