"""The overview: tiles that fit the visitor's role, the newest jobs, and the first steps."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from flask import Blueprint, Response, url_for
from sqlalchemy import Row

from models import clock
from models.alerts import Severity
from models.people import Role
from pipelines.access.permissions import Permission, may
from pipelines.access.principals import Principal
from pipelines.alerts.read import open_alerts
from pipelines.credit import read
from pipelines.credit.projection import Projection, projections
from pipelines.credit.tree import Branch, credit_tree
from pipelines.jobs.labels import job_tallies
from pipelines.pools.health import Health
from pipelines.pools.inventory import POOLS_MAX
from pipelines.pools.read import PoolView, read_pools
from pipelines.provisioning.choices import offer
from web.console.alert_words import SEVERITIES
from web.console.campaign_words import RESTRICTED
from web.console.formats import money, number, plural
from web.console.frame import go, page
from web.console.glances import dashboard
from web.console.job_words import StateWords
from web.console.jobs import LATELY, LATELY_FAILED, worded_jobs
from web.console.projection_words import run_out_words
from web.console.stock_words import HEALTH
from web.console.visit import looking, visitor
from web.front import front
from web.guards import permitted, principal

JOBS_SHOWN = 6
CURRENCIES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Tile:
    """One fact with the page that explains it; a state is said by word and icon."""

    label: str
    icon: str
    figure: str
    note: str
    href: str
    state: StateWords | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the first-run checklist."""

    label: str
    help: str
    is_done: bool
    href: str | None = None


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/", "overview", show)


@permitted(Permission.OWN_ACCOUNT)
def show() -> Response:
    caller = principal()
    if caller.role is Role.END_USER:
        return go(url_for("console.my_coupons"))
    with looking() as session:
        tallies = job_tallies(session, lately=clock.now(session) - LATELY)
        branches = credit_tree(session)
        own = [branch.id for branch in branches if branch.depth == 0][:CURRENCIES_SHOWN]
        ahead = projections(session, own, now=clock.now(session))
        stopped = [b.id for b in branches if b.id in ahead and b.restricted_at is not None]
        owed = {one: int(read.account(session, one).owed) for one in stopped}
        alerts = open_alerts(session, now=clock.now(session))
        campaigns = len(offer(session).campaigns)
        jobs = worded_jobs(session, limit=JOBS_SHOWN)
        below = dashboard(session, caller, today=clock.now(session).date())
    pools = _pools(caller) if may(caller.role, Permission.POOLS_READ) else None
    # Shared stock is the platform's to fill; tenants are not asked to.
    had_cards = _had_cards(pools) if caller.agency_id is None else None
    steps = _steps(branches, had_cards=had_cards, campaigns=campaigns, jobs=len(jobs))
    return page(
        "overview.html",
        title="Overview",
        section="overview",
        greeting=visitor().name or visitor().email,
        tiles=[
            *_job_tiles(tallies),
            *_alert_tiles(alerts),
            *_credit_tiles(branches, ahead, owed),
            *_stock_tiles(pools),
        ],
        jobs=jobs,
        dashboard=below,
        steps=steps,
        is_ready=all(step.is_done for step in steps),
        may_submit=may(caller.role, Permission.PROVISION),
    )


def _job_tiles(tallies: Row[tuple[int, ...]]) -> Iterator[Tile]:
    others = (
        f"{number(count)} {state}"
        for state in ("queued", "paused", "cancelling")
        if (count := getattr(tallies, state))
    )
    running_jobs = url_for("console.jobs", state="running")
    note = ", ".join(others) or "none waits"
    yield Tile("Jobs running", "play", number(tallies.running), note, running_jobs)
    failures = tallies.with_failures
    failed_jobs = url_for("console.jobs", state=LATELY_FAILED)
    note = "look at the reasons" if failures else "nothing to look at"
    yield Tile("With failures, last 24 h", "alert", number(failures), note, failed_jobs)


def _alert_tiles(alerts: dict[Severity, int]) -> Iterator[Tile]:
    """How many wait for somebody; the worst is named."""
    total = sum(alerts.values())
    worst = next((s for s in reversed(Severity) if alerts[s]), None)
    note = "nothing waits" if worst is None else f"{number(alerts[worst])} of them"
    words = None if worst is None else SEVERITIES[worst]
    yield Tile("Open alerts", "alert", number(total), note, url_for("console.alerts"), words)


def _credit_tiles(
    branches: list[Branch], ahead: Mapping[UUID, Projection], owed: Mapping[UUID, int]
) -> Iterator[Tile]:
    """The visitor's own accounts, the highest that are in sight, and when each runs out.

    One that owes says so instead: it pays for nothing, however long it would last.
    """
    for branch in [b for b in branches if b.id in ahead]:
        note = f"{money(branch.held, branch.currency)} held by jobs"
        end = run_out_words(ahead[branch.id])
        if branch.restricted_at is not None:
            note = f"{money(owed[branch.id], branch.currency)} owed, {note}"
        elif end is not None and end[1]:
            note = f"runs out on {end[1]} at this pace, {note}"
        label = f"Credit available, {branch.currency}"
        figure = money(branch.available, branch.currency)
        href = url_for("console.credit_account", account_id=branch.id)
        state = None if branch.restricted_at is None else RESTRICTED
        yield Tile(label, "coins", figure, note, href, state)


def _pools(caller: Principal) -> list[PoolView]:
    return read_pools(front().house.sessions, caller.scope, limit=POOLS_MAX)


def _had_cards(pools: list[PoolView] | None) -> bool:
    """Whether cards were ever imported; that all are given out is not a step left undone."""
    return any(sum(pool.counts.values()) for pool in pools or ())


def _stock_tiles(pools: list[PoolView] | None) -> Iterator[Tile]:
    """How many pools are in each state of health; the worst is named."""
    if pools is None:
        return
    stock = dict.fromkeys(HEALTH, 0)
    for pool in pools:
        stock[pool.health.health] += 1
    if not any(stock.values()):
        note = "none of your own: cards come from the shared stock"
        yield Tile("Gift-card inventory", "card", "0 pools", note, url_for("console.inventory"))
        return
    worst = next((h for h in (Health.EMPTY, Health.LOW) if stock[h]), Health.HEALTHY)
    note = ", ".join(f"{number(stock[h])} {HEALTH[h].word.lower()}" for h in HEALTH)
    total = plural(sum(stock.values()), "pool")
    yield Tile(
        "Gift-card inventory", "card", total, note, url_for("console.inventory"), HEALTH[worst]
    )


def _steps(
    branches: list[Branch], *, had_cards: bool | None, campaigns: int, jobs: int
) -> list[Step]:
    is_funded = any(branch.available + branch.held + branch.spent > 0 for branch in branches)
    steps = [
        Step(
            "Fund the account",
            "Credit comes from the account above yours in the tree.",
            is_funded,
        ),
        Step(
            "Have a campaign",
            "A campaign pays for cards and keeps its jobs together.",
            campaigns > 0,
        ),
        Step(
            "Submit the first bulk job",
            "Upload a CSV of recipients; you see the cost before anything is issued.",
            jobs > 0,
        ),
    ]
    if had_cards is not None:
        help_text = "Cards in stock are given out before any are bought from a supplier."
        steps.insert(1, Step("Import cards", help_text, had_cards, url_for("console.inventory")))
    return steps
