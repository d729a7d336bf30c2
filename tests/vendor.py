"""The sandbox vendor as a real process, and the few of its controls that tests use."""

import base64
import socket
import subprocess
import sys
from dataclasses import replace

import pytest
import requests

from ops.home import free_port
from pipelines.limits import DEFAULTS
from pipelines.providers.reloadly import ReloadlyProvider
from pipelines.providers.transport import VendorTransport

LIMITS = replace(DEFAULTS, reloadly_order_deadline_seconds=2.0, vendor_lookup_deadline_seconds=2.0)


class Sandbox:
    """One sandbox process, and the few of its controls used here."""

    def __init__(self, smtp_port=None):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        port = self.url.rpartition(":")[2]
        self.smtp_port = smtp_port or free_port()
        command = [sys.executable, "-m", "ops.sandbox", "--port", port]
        self.process = subprocess.Popen([*command, "--smtp-port", str(self.smtp_port)])
        while not self.answers():
            with pytest.raises(subprocess.TimeoutExpired):
                self.process.wait(timeout=0.05)

    def answers(self):
        try:
            return requests.get(f"{self.url}/healthz", timeout=2).ok
        except requests.ConnectionError:
            return False

    def control(self, method, path, body=None):
        answer = requests.request(method, f"{self.url}/control{path}", json=body, timeout=5)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def arm(self, *, vendor="reloadly", **faults):
        self.control("PUT", f"/{vendor}/faults", faults)

    def arm_mail(self, **faults):
        self.control("PUT", "/mail/faults", faults)

    def mails(self, to=None):
        """What the mail server took in, the newest first."""
        answer = requests.get(f"{self.url}/mailbox", params={"to": to}, timeout=5)
        return answer.json()["mails"]

    def arm_sms(self, **faults):
        self.control("PUT", "/twilio/faults", faults)

    def messages(self, to=None):
        """What phones got, the newest first, each with the form of its receipt."""
        answer = requests.get(f"{self.url}/control/twilio/messages", params={"to": to}, timeout=5)
        return answer.json()["messages"]

    def answered(self, phone, body):
        """A phone answers its last message; the call that Twilio makes of it, and what it got."""
        return self.control("POST", "/twilio/answers", {"from": phone, "body": body})

    def arm_receiver(self, **faults):
        self.control("PUT", "/receiver/faults", faults)

    def received(self, name="hook"):
        """Calls that a receiver of events took, the oldest first: headers and bytes."""
        calls = self.control("GET", f"/receiver/calls?name={name}")["calls"]
        return [(call["headers"], base64.b64decode(call["body"])) for call in calls]

    def switch(self, *, vendor="reloadly", **switches):
        self.control("PUT", f"/{vendor}/switches", switches)

    def calls(self, endpoint, *, vendor="reloadly"):
        return self.control("GET", f"/{vendor}/summary")["calls"].get(endpoint, 0)

    def references(self, *, vendor="reloadly"):
        """Whose orders the vendor executed, the oldest first."""
        return [row["reference"] for row in self.control("GET", f"/{vendor}/orders")["orders"]]

    def provider(self, **options):
        settings = {
            "auth_url": f"{self.url}/reloadly/auth",
            "base_url": f"{self.url}/reloadly",
            "client_id": "id",
            "client_secret": "secret",
            "limits": LIMITS,
        }
        return ReloadlyProvider(VendorTransport(), **settings | options)
