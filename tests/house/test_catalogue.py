"""Lists that must agree: task kinds and actors, tables and classes, Procfile and README."""

import re
from pathlib import Path

from dramatiq.brokers.stub import StubBroker

from models.tables import CLASSES, metadata
from ops.supervise import parse_procfile
from pipelines.queue.kinds import ALL, Queue
from pipelines.settings import PROCESSES
from pipelines.wiring import House, build_handlers
from workers.actors import bind
from workers.wrapper import Wrapper

ROOT = Path(__file__).parents[2]


def test_every_task_kind_has_exactly_one_actor_and_one_handler(house: House) -> None:
    handlers = build_handlers(house)
    broker = StubBroker()

    actors = bind(broker, Wrapper(house.sessions, handlers))

    assert sorted(actor.actor_name for actor in actors) == sorted(ALL)
    assert {actor.actor_name: actor.queue_name for actor in actors} == {
        name: kind.queue.value for name, kind in ALL.items()
    }
    assert set(handlers.by_name) == set(ALL)


def test_every_table_has_a_class() -> None:
    assert set(CLASSES) == set(metadata().tables)


def test_the_procfile_names_every_process_and_its_connection_budget() -> None:
    names = {entry.name for entry in parse_procfile((ROOT / "Procfile").read_text())}
    assert names == set(PROCESSES) - {"tools"}
    assert {queue.value for queue in Queue} <= names


def test_the_readme_says_what_each_process_does() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    bullets = set(re.findall(r"^- `(\w+)`", readme, re.MULTILINE))
    names = {entry.name for entry in parse_procfile((ROOT / "Procfile").read_text())}
    assert names <= bullets


def test_the_readme_is_short_and_its_make_targets_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)\b", readme))
    assert readme.count("\n") <= 120
    assert named <= targets
    assert {"demo", "test"} <= named


def test_links_in_the_documents_lead_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    broken = {
        f"{document.relative_to(ROOT)} -> {link}"
        for document in documents
        for link in re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8"))
        if not link.startswith(("http://", "https://"))
        and not (document.parent / link).resolve().exists()
    }
    assert broken == set()


def test_documents_never_lead_out_of_the_repository() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    outside = [
        str(document.relative_to(ROOT))
        for document in documents
        if "../shared" in document.read_text(encoding="utf-8")
    ]
    assert outside == []


def test_every_schema_says_who_waits_while_it_is_made() -> None:
    """The table of docs/operations.md, and the sentence above it that says which may run at once."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    versions = {path.name[:4] for path in (ROOT / "models/migrations/versions").glob("0*.py")}
    told = re.findall(r"^\| `(\d{4})` \|", text, re.MULTILINE)

    assert told == sorted(version for version in versions if version >= "0016")
    assert f"`0016` to `{max(versions)}` may run" in text
