"""The web process as the Procfile starts it: real gunicorn, real sockets, ended by a signal."""

import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from models.people import Role
from pipelines.wiring import House
from tests.conftest import Database, Ground, process_environment
from tests.seeding import Seeded
from tests.web.conftest import PASSWORD, make_user

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def served(ground: Ground, database: Database, tmp_path: Path):
    port = free_port()
    environment = process_environment(database.urls, ground.servers.redis_url, PORT=str(port))
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "web"],
            cwd=ROOT,
            env=environment | {"HOME": str(tmp_path)},
            stdout=log,
            stderr=log,
        )
    base = f"http://127.0.0.1:{port}"
    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=patient()))
        session.get(f"{base}/readyz", timeout=30)
        yield process, base, session, tmp_path
    if process.poll() is None:
        process.kill()
    process.wait(30)


def patient():
    """Connections are tried again until the process listens."""
    return requests.adapters.Retry(total=40, connect=40, backoff_factor=0.1, backoff_max=0.5)


def test_gunicorn_serves_waits_for_nobody_and_ends_on_a_signal(
    served, house: House, seeded: Seeded
):
    process, base, session, home = served
    make_user(house, "ann@example.com", Role.CAMPAIGN_MANAGER, seeded)

    tokens = session.post(
        f"{base}/api/v1/auth/login",
        json={"email": "ann@example.com", "password": PASSWORD},
        timeout=20,
    ).json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}", "Idempotency-Key": "k"}
    accepted = session.post(
        f"{base}/api/v1/gift-cards/provision",
        json={
            "campaign_id": str(seeded.campaign_id),
            "brand_id": str(seeded.brand_id),
            "denomination_minor": 2500,
            "recipient": {"email": "bob@example.com"},
        },
        headers=headers,
        timeout=20,
    )
    chunked = session.post(
        f"{base}/api/v1/gift-cards/provision",
        data=iter([b"x" * 1024] * 1100),
        headers=headers | {"Content-Type": "application/json"},
        timeout=20,
    )
    handle = os.pidfd_open(process.pid)
    process.send_signal(signal.SIGTERM)
    ended = select.select([handle], [], [], 30)[0]
    os.close(handle)

    assert accepted.status_code == 202
    assert (chunked.status_code, chunked.json()["code"]) == (413, "payload_too_large")
    assert ended != []
    assert process.wait(1) == 0
    log = (home / "log").read_text()
    assert "bob@example.com" not in log
    assert "Traceback" not in log
    assert not (home / ".gunicorn").exists()


def test_the_process_refuses_broken_settings_with_a_sentence(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "web"],
        check=False,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "LARGESSE_ENV": "test"},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 2
    assert done.stderr.startswith("web: ")
    assert "DATABASE_WEB_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_j26_a_caller_on_this_host_is_not_believed_about_the_scheme(served):
    """Else it would decide which origins are ours."""
    _process, base, session, _home = served
    secure = base.replace("http://", "https://")
    form = {"email": "ann@example.com", "password": "wrong"}

    def sent(**headers: str) -> int:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return session.post(
            f"{base}/console/sign-in", data=form, headers=given, timeout=20
        ).status_code

    assert sent(Origin=base) == 422
    assert sent(Origin=secure, X_Forwarded_Proto="https") == 403
