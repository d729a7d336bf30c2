"""Sit between a product process and a server, and on command lose, cut, hold or delay answers.

`python -m tests.chaos.proxy HOST PORT bytes|postgres [LISTEN]` prints its port and then takes one
JSON object of `Rules` a line on standard input (or null: go on), answering each with its counts; it
ends with its input. `Proxy` is the same seen from a scenario.
"""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

_READ_BYTES = 65_536
_COMMIT = b"COMMIT\x00"
#: How PostgreSQL says: this is done, and no transaction is open.
_READY_IDLE = b"Z\x00\x00\x00\x05I"


@dataclass(frozen=True, slots=True)
class Rules:
    """What happens to connections from now on.

    `swallow`: requests go through, answers vanish, after `passes` more of them. `refuse`: nobody
    gets in, all are cut.
    `commits`: the share of COMMITs whose answer vanishes after the server has committed, or all
    of those whose transaction said `commits_after`; `commits_left` ends that. Such a connection is
    cut, or with `hold` stays open and silent. `delay`: seconds by which each answer is late.
    """

    swallow: bool = False
    passes: int = 0
    refuse: bool = False
    cut: bool = False
    hold: bool = False
    commits: float = 0.0
    commits_after: str = ""
    commits_left: int = 1_000_000
    delay: float = 0.0
    seed: int = 0


@dataclass(slots=True)
class _Counts:
    connections: int = 0
    commits_lost: int = 0
    answers_lost: int = 0


@dataclass(slots=True)
class _Stage:
    """The proxy's rules and counts, shared by its connections."""

    rules: Rules = field(default_factory=Rules)
    counts: _Counts = field(default_factory=_Counts)
    draw: random.Random = field(default_factory=lambda: random.Random(0))
    commits_left: int = 0
    passes_left: int = 0
    links: "set[_Link]" = field(default_factory=set)

    def obey(self, rules: Rules) -> None:
        """A connection that has lost an answer is of no use to anybody: it is cut when that ends."""
        if rules.seed != self.rules.seed:
            self.draw = random.Random(rules.seed)
        self.rules, self.commits_left = rules, rules.commits_left
        self.passes_left = rules.passes
        for link in list(self.links):
            if rules.cut or rules.refuse or (link.is_deaf and not (rules.swallow or rules.hold)):
                link.cut()

    def loses_answer(self) -> bool:
        if not self.rules.swallow:
            return False
        self.passes_left -= 1
        return self.passes_left < 0

    def loses_commit(self, said: bytearray) -> bool:
        rules = self.rules
        if self.commits_left <= 0 or not (rules.commits or rules.commits_after):
            return False
        if rules.commits_after and rules.commits_after.encode() not in said:
            return False
        if rules.commits and self.draw.random() >= rules.commits:
            return False
        self.commits_left -= 1
        self.counts.commits_lost += 1
        return True


class _Commits:
    """Reads what a client of PostgreSQL says, to know when it commits and after which words."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._has_begun = False
        self.said = bytearray()

    def ends_with_commit(self, data: bytes) -> bool:
        self._buffer += data
        is_commit = False
        while (message := self._next()) is not None:
            is_commit = message[:1] == b"Q" and message[5:] == _COMMIT
            if message[5:].startswith(b"BEGIN"):
                self.said.clear()
            self.said += message
        return is_commit

    def _next(self) -> bytes | None:
        """A whole message; the first one of a connection has no letter before its length."""
        at = 1 if self._has_begun else 0
        if len(self._buffer) < at + 4:
            return None
        length = at + int.from_bytes(self._buffer[at : at + 4], "big")
        if len(self._buffer) < length:
            return None
        message = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._has_begun = True
        return message


class _Link:
    """One connection through the proxy."""

    def __init__(
        self,
        stage: _Stage,
        near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        far: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        *,
        reads_commits: bool,
    ) -> None:
        self._stage = stage
        self._near, self._far = near, far
        self._commits = _Commits() if reads_commits else None
        self._heard = bytearray()
        self._awaits_commit = False
        self.is_deaf = False

    def cut(self) -> None:
        for _, writer in (self._near, self._far):
            writer.transport.abort()

    async def carry(self) -> None:
        ways = (self._requests(), self._answers())
        tasks = [asyncio.ensure_future(way) for way in ways]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.cut()

    async def _requests(self) -> None:
        while data := await self._near[0].read(_READ_BYTES):
            commits = self._commits
            if commits is not None and commits.ends_with_commit(data):
                if self._stage.loses_commit(commits.said):
                    self._awaits_commit = self.is_deaf = True
                commits.said.clear()
            self._far[1].write(data)
            await self._far[1].drain()

    async def _answers(self) -> None:
        while data := await self._far[0].read(_READ_BYTES):
            if self._stage.rules.delay:
                await asyncio.sleep(self._stage.rules.delay)
            if self._awaits_commit:
                self._heard += data
                if self._heard.endswith(_READY_IDLE) and not self._stage.rules.hold:
                    return
            elif self.is_deaf or self._stage.loses_answer():
                self.is_deaf = True
                self._stage.counts.answers_lost += 1
            else:
                self._near[1].write(data)
                await self._near[1].drain()


def _opener(
    stage: _Stage, host: str, port: int, *, reads_commits: bool
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def opened(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stage.counts.connections += 1
        try:
            if stage.rules.refuse:
                raise ConnectionError
            far = await asyncio.open_connection(host, port)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(stage, (reader, writer), far, reads_commits=reads_commits)
        stage.links.add(link)
        with suppress(OSError):
            await link.carry()
        stage.links.discard(link)

    return opened


async def _serve(host: str, port: int, speaks: str, listen: str) -> None:
    stage = _Stage()
    opened = _opener(stage, host, port, reads_commits=speaks == "postgres")
    server = await asyncio.start_server(opened, listen, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    told = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
    while line := await told.readline():
        rules = json.loads(line)
        if rules is not None:
            stage.obey(Rules(**rules))
        print(json.dumps(asdict(stage.counts)), flush=True)


class Proxy:
    """A proxy process; `obey` changes what it does to the connections through it."""

    def __init__(self, host: str, port: int, *, speaks: str = "bytes", listen: str = "127.0.0.1"):
        command = [sys.executable, "-m", "tests.chaos.proxy", host, str(port), speaks, listen]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.address = f"{listen}:{self._line()}"
        self._speaks = speaks

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()

    def obey(self, **rules: Any) -> dict[str, int]:
        """Follow these rules and no others; what the proxy has counted so far."""
        return self._tell(rules)

    def counts(self) -> dict[str, int]:
        """What the proxy has counted so far; its rules stay."""
        return self._tell(None)

    def _tell(self, rules: dict[str, Any] | None) -> dict[str, int]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(rules).encode() + b"\n")
        self.process.stdin.flush()
        counts: dict[str, int] = json.loads(self._line())
        return counts

    def through(self, url: str) -> str:
        """The same address by way of the proxy, in plain text so that it can be read along."""
        parts = urlsplit(url)
        who = parts.netloc.rpartition("@")[0]
        netloc = f"{who}@{self.address}" if who else self.address
        query = "sslmode=disable&gssencmode=disable" if self._speaks == "postgres" else parts.query
        return urlunsplit(parts._replace(netloc=netloc, query=query))

    def end(self) -> None:
        self.process.kill()
        self.process.wait(timeout=10)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


if __name__ == "__main__":
    _host, _port, _speaks, *_rest = sys.argv[1:]
    asyncio.run(_serve(_host, int(_port), _speaks, _rest[0] if _rest else "127.0.0.1"))
