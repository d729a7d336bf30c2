"""Start the sandbox as a real process and speak to it the way an adapter would."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

READY_TRIES = 200
V1 = "application/com.reloadly.giftcards-v1+json"
V2 = "application/com.reloadly.giftcards-v2+json"


@dataclass
class Running:
    """One sandbox process and a client with a token."""

    process: subprocess.Popen[bytes]
    url: str
    token: str = ""

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Accept": V1, "Authorization": f"Bearer {self.token}"}
        headers |= options.pop("headers", {})
        timeout = options.pop("timeout", 10)
        url = f"{self.url}{path}"
        return requests.request(method, url, headers=headers, timeout=timeout, **options)

    def sign_in(self) -> None:
        asked = {
            "client_id": "id",
            "client_secret": "secret",
            "grant_type": "client_credentials",
            "audience": "https://giftcards-sandbox.reloadly.com",
        }
        answer = self.call("POST", "/reloadly/auth/oauth/token", json=asked)
        self.token = answer.json()["access_token"]

    def order(self, reference: str, *, fault: str = "", **fields: Any) -> requests.Response:
        body = {"productId": 120, "quantity": 1, "unitPrice": 25, "senderName": "Largesse"}
        body |= {"customIdentifier": reference} | fields
        headers = {"X-Sandbox-Fault": fault} if fault else {}
        return self.call("POST", "/reloadly/orders", json=body, headers=headers)

    def look_up(self, reference: str, **filters: Any) -> dict[str, Any]:
        query = {"customIdentifier": reference, "page": 1, "size": 50} | filters
        return self.call("GET", "/reloadly/reports/transactions", params=query).json()

    def cards(self, transaction_id: int, accept: str = V1) -> requests.Response:
        path = f"/reloadly/orders/transactions/{transaction_id}/cards"
        return self.call("GET", path, headers={"Accept": accept})

    def steer(self, what: str, body: dict[str, Any]) -> requests.Response:
        return self.call("PUT", f"/control/reloadly/{what}", json=body)

    def summary(self) -> dict[str, Any]:
        return self.call("GET", "/control/reloadly/summary").json()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=5)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_sandbox(data: Path | None = None, *, hook_secrets: str = "") -> Running:
    """With secrets, the sandbox's own receiver `boot` is told of Stripe's events from the start."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "ops.sandbox", "--port", str(port)]
    command += ["--stripe-webhooks", f"{url}/receiver/boot"]
    if data is not None:
        command += ["--data", str(data)]
    environment = os.environ | {"STRIPE_WEBHOOK_SECRETS": hook_secrets}
    running = Running(subprocess.Popen(command, env=environment), url)
    for _ in range(READY_TRIES):
        try:
            answer = running.call("GET", "/healthz", timeout=0.2)
        except (requests.ConnectionError, requests.Timeout):
            # The wait for a process that does not listen yet is this call's own time limit.
            try:
                running.process.wait(timeout=0.05)
            except subprocess.TimeoutExpired:
                continue
            break
        assert answer.json() == {"status": "ok"}
        running.sign_in()
        return running
    running.process.kill()
    running.process.wait()
    raise AssertionError("the sandbox did not start")


@pytest.fixture(scope="session")
def one_sandbox() -> Iterator[Running]:
    running = start_sandbox()
    yield running
    running.stop()


@pytest.fixture
def sandbox(one_sandbox: Running) -> Running:
    """The shared process with nothing left of the test before."""
    one_sandbox.call("POST", "/control/reset")
    one_sandbox.sign_in()
    return one_sandbox
