"""A private RabbitMQ for tests, from Debian's package: own node, own ports, loopback only."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pika
import pytest

from ops.child import Launch, Server, plain_environment, tied_to_parent
from ops.home import Home, free_port
from ops.unprivileged import Account, data_folder, make_private_folder
from tests.until import until

#: Not /usr/sbin/rabbitmq-server: that one insists on the account of the system's own service.
PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
REMEDY = (
    "RabbitMQ is not installed; the package is rabbitmq-server: "
    "apt-get install -y --no-install-recommends rabbitmq-server"
)
CONFIGURATION = """\
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 10MB
"""


class PortMapper:
    """Erlang's port mapper, in the foreground: the one that the node starts outlives it."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process = subprocess.Popen(
            ["epmd", "-address", "127.0.0.1", "-port", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=tied_to_parent(  # noqa: PLW1509
                Account(os.geteuid(), os.getegid()), signal.SIGKILL
            ),
        )
        until(self._listens)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(timeout=10)


class RabbitmqServer(Server):
    """One node; `guest` may sign in from loopback alone, where it listens."""

    name = "rabbitmq"
    stop_signals = ((signal.SIGTERM, 20.0),)
    port_taken_words = "eaddrinuse"

    def __init__(self, home: Home, mapper: PortMapper) -> None:
        super().__init__(home, say=lambda _line: None)
        self.mapper = mapper
        self.distribution_port = free_port()

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"

    @property
    def folder(self) -> Path:
        return data_folder(self.home, self.name, say=self.say)[0]

    def _prepare(self) -> Launch:
        folder, account = data_folder(self.home, self.name, say=self.say)
        if not folder.exists():
            make_private_folder(folder, account)
        settings = {"rabbitmq.conf": CONFIGURATION, "plugins": "[].\n", "rabbitmq-env.conf": "\n"}
        for name, content in settings.items():
            (folder / name).write_text(content)
            os.chown(folder / name, account.uid, account.gid)
        return Launch(
            argv=(str(PROGRAM),),
            account=account,
            environment=plain_environment(folder) | self._told(folder),
        )

    def _told(self, folder: Path) -> dict[str, str]:
        return {
            "ERL_EPMD_PORT": str(self.mapper.port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"largesse-{os.getpid()}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": "-",
            # The shell gives its place to Erlang, so that a signal to our child meets the node.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-noinput -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
            ),
        }

    def _answers(self) -> bool:
        try:
            pika.BlockingConnection(pika.URLParameters(self.url)).close()
        except (pika.exceptions.AMQPError, OSError):
            return False
        return True

    def control(self, *words: str) -> None:
        """Tell the node something as its operator would."""
        launch = self._prepare()
        subprocess.run(
            [PROGRAM.with_name("rabbitmqctl"), *words],
            env=dict(launch.environment),
            cwd="/",
            user=launch.account.uid,
            group=launch.account.gid,
            extra_groups=[] if os.geteuid() == 0 else None,
            check=True,
            capture_output=True,
        )

    def wipe(self) -> None:
        """Come back as a broker that knows nothing: no queue, no message, no marker."""
        self.kill()
        shutil.rmtree(self.folder / "data")
        self.start()


@contextmanager
def rabbitmq_server(home: Home) -> Iterator[RabbitmqServer]:
    """A running node on `home`; the test is skipped where the package is missing."""
    if not PROGRAM.exists():
        pytest.skip(REMEDY)
    mapper = PortMapper()
    server = RabbitmqServer(home, mapper)
    try:
        yield server.start()
    finally:
        server.kill()
        mapper.stop()
        shutil.rmtree(server.folder, ignore_errors=True)
