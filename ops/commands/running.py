"""The commands that run a whole stack: `up` serves it, `demo` does its main job and ends."""

import os
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

import click
from rich.console import Console

from ops.commands.ending import FAILED, Ending, ended_by_signals
from ops.demo.seed import seed_demo
from ops.demo.stock import fill_empty_stock
from ops.demo.story import tell
from ops.home import AlreadyRunning, Home
from ops.stack import Plan, Stack, running
from ops.stack_record import DEMO_FOLDERS, NoStack, running_stack_of
from ops.surroundings import PortTaken, addresses
from ops.unprivileged import discard
from pipelines.errors import Interrupted

ENVIRONMENTS = ("demo", "production", "test")
#: A story that was asked to stop may finish its line.
STORY_END_SECONDS = 5.0

#: What is done on a stack that serves, until it ends or is asked to stop; a sentence per fault.
Story = Callable[[Stack, threading.Event], list[str]]


@click.command()
def up() -> None:
    """Serve the whole stack until Ctrl-C, on embedded servers or the given ones.

    Environment: LARGESSE_HOME (.largesse), PORT (8000), SANDBOX_PORT (8100), LARGESSE_ENV
    (demo), DATABASE_URL with REDIS_URL for servers of your own.
    """
    with ended_by_signals():
        home = Home.from_environment(os.environ)
        name = environment_name(os.environ)
        plan = Plan(
            environment_name=name,
            seed=seed_demo if name == "demo" else None,
        )
        _tell(f"Starting on {home.path} ...")
        with running(home, os.environ, plan, say=_tell) as stack:
            # A signal may come before `keep` listens: that is an ordinary end, too.
            with suppress(KeyboardInterrupt):
                if name == "demo":
                    fill_empty_stock(stack.record, say=_tell)
                click.echo(f"Largesse is ready at {stack.record.web_url}")
                stack.keep(threading.Event())
            _tell("Stopping ...")


@click.command()
def demo() -> None:
    """Run the main job to its end on a fresh data folder, prove it, and stop.

    A thousand recipients, three sources of cards. Exit status 0 when all came out as it must.
    """
    with ended_by_signals():
        wrong = on_a_fresh_demo(
            lambda stack, stop: tell(stack.record, console=Console(), stop=stop)
        )
    if wrong:
        raise Ending(FAILED, "The demo did not come out as it must:\n" + "\n".join(wrong))
    click.echo("Everything came out as it must.")


def on_a_fresh_demo(story: Story) -> list[str]:
    """Tell a story on a new data folder's stack, and stop it; returns what came out wrong."""
    root = Home.from_environment(os.environ)
    refuse_taken_ports(root, os.environ)
    home = fresh_demo_home(root)
    plan = Plan(
        environment_name="demo",
        seed=seed_demo,
        is_demo_run=True,
        secrets_home=root,
    )
    _tell(f"Starting on {home.path} ...")
    with running(home, os.environ, plan, say=_tell) as stack:
        _tell(f"Serving at {stack.record.web_url}")
        wrong = _tell_story(stack, story)
    _tell(f"Stopped. The data stay in {home.path} until the next demo.")
    return wrong


def _tell_story(stack: Stack, story: Story) -> list[str]:
    """The story in a thread of its own: this one must stay to look after the processes."""
    stop = threading.Event()
    wrong: list[str] = []
    faults: list[BaseException] = []

    def run() -> None:
        try:
            wrong.extend(story(stack, stop))
        except Interrupted:
            pass
        except BaseException as fault:
            faults.append(fault)
        finally:
            stop.set()

    teller = threading.Thread(target=run, name="story", daemon=True)
    teller.start()
    was_asked_to_stop = stack.keep(stop)
    teller.join(STORY_END_SECONDS)
    if was_asked_to_stop:
        raise KeyboardInterrupt
    if faults:
        raise faults[0]
    return wrong


def refuse_taken_ports(root: Home, environment: Mapping[str, str]) -> None:
    """Before anything is deleted: where the demo would serve, nobody else may."""
    try:
        addresses(environment, web_may_move=True)
    except PortTaken as taken:
        try:
            _home, record = running_stack_of(root)
        except NoStack:
            raise taken from None
        raise AlreadyRunning(
            f"Largesse already runs at {record.web_url} (pid {record.pid}); see `largesse doctor`. "
            "Stop it, or set PORT and SANDBOX_PORT to free ports. Nothing was changed."
        ) from None


def fresh_demo_home(root: Home) -> Home:
    """A new data folder inside `root`; older ones go, but for one that a stack runs on."""
    for path in sorted(root.path.glob(DEMO_FOLDERS)):
        try:
            discard(Home(path))
        except AlreadyRunning:
            _tell(f"Another demo runs on {path}; it is left alone.")
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return Home(root.path / f"demo-{stamp}-{os.getpid()}")


def environment_name(environment: Mapping[str, str]) -> str:
    name = environment.get("LARGESSE_ENV") or ENVIRONMENTS[0]
    if name not in ENVIRONMENTS:
        raise click.UsageError(f"LARGESSE_ENV is one of {', '.join(ENVIRONMENTS)}.")
    return name


def _tell(line: str) -> None:
    """Talk that is not the result goes to the error stream."""
    print(line, file=sys.stderr, flush=True)
