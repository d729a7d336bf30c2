"""A room of its own on the network, whose packets can be made to vanish without a word."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.chaos.exact import Skipped


@dataclass(frozen=True, slots=True)
class Room:
    """A network namespace joined to the host by a pair of interfaces; `host` is the host in it."""

    name: str
    host: str

    @property
    def before(self) -> tuple[str, ...]:
        """What goes before a command that is to run in the room."""
        return ("ip", "netns", "exec", self.name)

    def cut(self) -> None:
        """From now on nothing arrives: no answer, no acknowledgement, no reset."""
        for words in (
            "add table inet chaos",
            "add chain inet chaos arriving { type filter hook input priority 0 ; policy drop ; }",
        ):
            _run(*self.before, "nft", words)

    def mend(self) -> None:
        _run(*self.before, "nft", "delete table inet chaos")


@contextmanager
def room() -> Iterator[Room]:
    """Make the room, and remove it at the end; `Skipped` says why it cannot be made here."""
    for program, package in (("ip", "iproute2"), ("nft", "nftables")):
        if shutil.which(program) is None:
            raise Skipped(f"{program} is missing: apt-get install {package}")
    if os.geteuid() != 0:
        raise Skipped("needs root for a network namespace")
    tag = secrets.token_hex(3)
    name, outer, inner = f"chaos-{tag}", f"co{tag}", f"ci{tag}"
    net = f"10.213.{secrets.randbelow(250) + 1}"
    try:
        _run("ip", "netns", "add", name)
        _run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner)
        _run("ip", "link", "set", inner, "netns", name)
        _run("ip", "addr", "add", f"{net}.1/30", "dev", outer)
        _run("ip", "link", "set", outer, "up")
        inside = ("ip", "netns", "exec", name, "ip")
        _run(*inside, "addr", "add", f"{net}.2/30", "dev", inner)
        _run(*inside, "link", "set", inner, "up")
        _run(*inside, "link", "set", "lo", "up")
    except subprocess.CalledProcessError as error:
        _remove(name, outer)
        raise Skipped(f"no network namespace here: {error.stderr.decode().strip()}") from None
    try:
        yield Room(name, f"{net}.1")
    finally:
        _remove(name, outer)


def _remove(name: str, outer: str) -> None:
    subprocess.run(["ip", "link", "del", outer], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
