"""`largesse jobs`: what the console and the API do with a job, from a terminal."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from flask import Flask

from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, submit, view
from tests.proof import assert_proven
from tests.seeding import Seeded
from tests.web.conftest import Caller
from tests.web.shells import Shell, a_shell


@pytest.fixture
def shell(app: Flask, manager: Caller) -> Iterator[Shell]:
    with a_shell(app, manager) as made:
        yield made


def served(house: House, seeded: Seeded, count: int = 3) -> str:
    import_cards_now(house, seeded.csv_pool, cards_csv(count))
    job_id = submit(house, seeded, recipients_csv(count))
    drain(house)
    return str(job_id)


def test_jobs_are_listed_and_shown(shell: Shell, house: House, seeded: Seeded):
    none = shell.run("jobs", "list")
    job_id = served(house, seeded)

    listed = shell.run("jobs", "list", "--state", "succeeded")
    shown = shell.run("jobs", "show", job_id)
    told = shell.run("jobs", "timeline", job_id)

    assert (none.exit_code, none.output) == (0, "No jobs.\n")
    assert job_id in listed.output
    assert shown.output == (
        f"provisioning {job_id} is succeeded.\n"
        "3 total, 3 succeeded\n"
        "In minor units of USD: captured 7500\n"
    )
    events = [line.split("  ")[1] for line in told.output.splitlines()]
    assert (events[0], events[-1]) == ("submitted", "finished")
    assert json.loads(shell.run("jobs", "show", job_id, "--json").output)["id"] == job_id


def test_a_job_is_paused_changed_resumed_and_cancelled(shell: Shell, house: House, seeded: Seeded):
    job_id = str(submit(house, seeded, recipients_csv(3)))

    paused = shell.run("jobs", "pause", job_id, "--reason", "wrong file")
    again = shell.run("jobs", "pause", job_id)
    changed = shell.run("jobs", "change", job_id, "--priority", "high")
    resumed = shell.run("jobs", "resume", job_id)
    cancelled = shell.run("jobs", "cancel", job_id)
    drain(house)

    assert (paused.exit_code, paused.output) == (0, "Asked to pause. It is paused.\n")
    assert again.exit_code == 4
    assert "A job that is paused cannot be paused." in again.output
    assert changed.output == "It has high priority.\n"
    assert resumed.output == "Resumed. It is running.\n"
    assert cancelled.output == "Asked to cancel. It is cancelling.\n"
    assert view(house, UUID(job_id))["state"] == "cancelled"
    assert_proven(house)


def test_a_job_is_taken_back_after_a_look_at_what_that_means(
    shell: Shell, house: House, seeded: Seeded
):
    job_id = served(house, seeded)

    plan = json.loads(shell.run("jobs", "undo", job_id, "--preview").output)
    undo_id = shell.run("jobs", "undo", job_id).output.strip()
    drain(house)
    shown = shell.run("jobs", "show", job_id).output.splitlines()

    assert shown[1:2] + shown[-1:] == [
        "3 total, 3 succeeded",
        f"3 of them taken back since, by {undo_id}.",
    ]
    assert (plan["undoable"], plan["refund_minor"]) == (3, 7500)
    assert view(house, UUID(undo_id))["counts"]["succeeded"] == 3
    assert_proven(house)


def test_the_undone_are_served_again_with_another_amount_refused_in_words(
    shell: Shell, house: House, seeded: Seeded
):
    job_id = served(house, seeded)
    shell.run("jobs", "undo", job_id)
    drain(house)

    plan = json.loads(shell.run("jobs", "clone", job_id, "--only", "undone", "--preview").output)
    clone_id = shell.run("jobs", "clone", job_id, "--only", "undone").output.strip()
    refused = shell.run("jobs", "clone", job_id, "--denomination-minor", "-5")
    drain(house)

    assert (plan["valid"], plan["cost"]["charge_minor"]) == (3, 7500)
    assert view(house, UUID(clone_id))["counts"]["succeeded"] == 3
    assert (refused.exit_code, "denomination_minor" in refused.output) == (4, True)
    assert_proven(house)


def test_results_are_downloaded_and_nothing_failed_is_to_be_retried(
    shell: Shell, house: House, seeded: Seeded, tmp_path: Path
):
    job_id = served(house, seeded)
    file = tmp_path / "results.csv"

    printed = shell.run("jobs", "results", job_id, "--only", "failed")
    written = shell.run("jobs", "results", job_id, "--output", str(file))
    retried = shell.run("jobs", "retry", job_id)

    assert len(printed.output.splitlines()) == 1
    assert written.exit_code == 0
    with file.open(newline="", encoding="utf-8-sig") as written_rows:
        assert [row["reference"] for row in csv.DictReader(written_rows)] == ["r0", "r1", "r2"]
    assert retried.exit_code == 4


def test_an_import_has_no_money_to_tell_of(app: Flask, admin: Caller, house: House, seeded: Seeded):
    imported = import_cards_now(house, seeded.csv_pool, cards_csv(2))

    with a_shell(app, admin) as shell:
        shown = shell.run("jobs", "show", str(imported["id"]))

    assert shown.exit_code == 0
    assert shown.output.splitlines()[1:] == ["2 total, 2 succeeded"]
