"""PostgreSQL ends sessions, dies, is out of reach, or commits without anybody hearing of it."""

from tests.chaos.exact import Scenario, Size, assert_exact, begin, hurry, prepared
from tests.chaos.stand import Stand
from tests.driving import recipients_csv, submit

_END_SESSIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE usename LIKE 'largesse%' AND application_name <> 'chaos'"
)


def sessions_ended(stand: Stand, size: Size) -> None:
    """Ends every session of ours, again and again, whatever it is doing."""
    _seeded, job_id = begin(stand, size)
    for part in (10, 4, 2):
        stand.until_done(job_id, size.items // part)
        stand.admin(_END_SESSIONS)
    # A lease whose COMMIT reply was lost is known to nobody and runs out by itself.
    assert_exact(stand, job_id, size, meanwhile=lambda: hurry(stand))


def killed_and_recovered(stand: Stand, size: Size) -> None:
    """SIGKILL of the whole server, twice: what was answered is in its log, and nothing else."""
    _seeded, job_id = begin(stand, size)
    for part in (10, 3):
        stand.until_done(job_id, size.items // part)
        stand.servers.postgres.kill()
        stand.servers.postgres.start()
    assert_exact(stand, job_id, size, meanwhile=lambda: hurry(stand))


def out_of_reach(stand: Stand, size: Size) -> None:
    """Every process loses all its connections and gets no new ones for a while."""
    proxy = stand.proxy("database")
    _seeded, job_id = begin(stand, size, **stand.by_way_of(database=proxy))
    for part in (10, 3):
        stand.until_done(job_id, size.items // part)
        before = proxy.obey(refuse=True)["connections"]
        stand.until(lambda: proxy.obey(refuse=True)["connections"] > before + 5)  # noqa: B023
        proxy.obey()
    assert_exact(stand, job_id, size, meanwhile=lambda: hurry(stand))


def answers_swallowed(stand: Stand, size: Size) -> None:
    """Statements are done and their answers vanish until the connection is cut."""
    proxy = stand.proxy("database")
    _seeded, job_id = begin(stand, size, **stand.by_way_of(database=proxy))
    for part in (10, 3):
        stand.until_done(job_id, size.items // part)
        before = proxy.obey(swallow=True)["answers_lost"]
        stand.until(lambda: proxy.obey(swallow=True)["answers_lost"] > before + 3)  # noqa: B023
        proxy.obey()
    assert_exact(stand, job_id, size, meanwhile=lambda: hurry(stand))


def commits_of_bulk_lost(stand: Stand, size: Size) -> None:
    """EC-036: the server has committed, the worker never hears of it: a quarter of all commits."""
    _commits_lost(stand, size, "bulk", share=0.25)


def commits_of_vendors_lost(stand: Stand, size: Size) -> None:
    """EC-036: orders marked sent, answers written down, leases taken, and nobody told so."""
    _commits_lost(stand, size, "vendors", share=0.15)


def commits_of_relay_and_interactive_lost(stand: Stand, size: Size) -> None:
    """EC-036: tasks marked as rung that nobody rang; a job settled without its worker knowing."""
    _commits_lost(stand, size, "relay", "interactive", "scheduler", share=0.25)


def _commits_lost(stand: Stand, size: Size, *names: str, share: float) -> None:
    seeded = prepared(stand, size)
    proxy = stand.proxy("database")
    for name in names:
        stand.kill(name)
    stand.start(*names, **stand.by_way_of(database=proxy))
    proxy.obey(commits=share, seed=7)
    job_id = submit(stand.house, seeded, recipients_csv(size.items))
    assert_exact(stand, job_id, size, meanwhile=lambda: hurry(stand))
    assert proxy.obey()["commits_lost"] > 0


def finished_chunks_unheard(stand: Stand, size: Size) -> None:
    """The commit that ends a task is never heard of, five times: its work is not done again."""
    seeded = prepared(stand, size)
    proxy = stand.proxy("database")
    stand.kill("bulk")
    stand.start("bulk", **stand.by_way_of(database=proxy))
    proxy.obey(commits_after="DELETE FROM tasks", commits_left=5)
    job_id = submit(stand.house, seeded, recipients_csv(size.items))
    assert_exact(stand, job_id, size)
    assert proxy.obey()["commits_lost"] > 0


SCENARIOS = (
    Scenario("sessions ended", "PostgreSQL ends all sessions mid-work, thrice", sessions_ended),
    Scenario("database killed", "SIGKILL of PostgreSQL mid-job, twice", killed_and_recovered),
    Scenario("database cut off", "no way to PostgreSQL for a while, twice", out_of_reach),
    Scenario("database silent", "answers of PostgreSQL vanish, then the line", answers_swallowed),
    Scenario("commits lost: bulk", "25 % of COMMIT answers lost (EC-036)", commits_of_bulk_lost),
    Scenario(
        "commits lost: vendors", "15 % of COMMIT answers lost (EC-036)", commits_of_vendors_lost
    ),
    Scenario(
        "commits lost: relay",
        "25 % of COMMIT answers lost (EC-036)",
        commits_of_relay_and_interactive_lost,
    ),
    Scenario(
        "finished chunks unheard",
        "the COMMIT of the work itself unheard (EC-036)",
        finished_chunks_unheard,
    ),
)
