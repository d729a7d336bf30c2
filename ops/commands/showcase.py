"""The command `showcase`: the scenes of coupons on a demo that runs, or on one of its own (S1-052)."""

import os
import threading

import click
from rich.console import Console

from ops.commands.ending import FAILED, USAGE, Ending, ended_by_signals
from ops.commands.running import on_a_fresh_demo
from ops.home import Home
from ops.showcase.play import play
from ops.stack import Stack
from ops.stack_record import NoStack, running_stack_of


@click.command()
def showcase() -> None:
    """Play the showcase: what coupons do and refuse, over HTTP, with what was expected beside it.

    On the demo that runs on LARGESSE_HOME, else on a fresh one that it stops in the end. Exit
    status 0 when all came out as it must.
    """
    with ended_by_signals():
        try:
            _home, record = running_stack_of(Home.from_environment(os.environ))
        except NoStack:
            wrong = on_a_fresh_demo(_on)
        else:
            if record.environment != "demo":
                raise Ending(USAGE, "The showcase plays with the demo's people: run it on a demo.")
            wrong = play(record.web_url, Console())
    if wrong:
        raise Ending(FAILED, "The showcase did not come out as it must:\n" + "\n".join(wrong))
    click.echo("Every scene came out as it must.")


def _on(stack: Stack, _stop: threading.Event) -> list[str]:
    return play(stack.record.web_url, Console())
