"""Speak to a stack over its HTTP API: a token, one door for requests, refusals as exceptions."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests

from pipelines.errors import Fault, FieldError, Refusal

TIMEOUT_SECONDS = 60.0
#: A busy front says when to come again; this often we do.
TRIES = 6
DOWNLOAD_BYTES = 64 * 1024
LONGEST_WAIT_SECONDS = 5.0
BUSY = frozenset({429, 503})

Pause = Callable[[float], object]


class ServerRefused(Refusal):
    """The server said no; its own code, sentence and remedies."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(problem.get("code") or f"http_{status}")  # type: ignore[misc]
        errors = tuple(_field_error(error) for error in problem.get("errors") or ())
        detail = str(problem.get("detail") or problem.get("title") or f"HTTP {status}")
        super().__init__(detail, errors=errors)


class Unreachable(Fault):
    """Nobody answers at the stack's address."""


@dataclass(frozen=True, slots=True)
class Api:
    """One caller of one stack. Writes carry an Idempotency-Key, so a repeated one is harmless."""

    base_url: str
    token: str = field(default="", repr=False)
    pause: Pause = time.sleep
    session: requests.Session = field(default_factory=requests.Session, repr=False)

    def login(self, email: str, password: str, totp: str | None = None) -> "Api":
        """The same stack as this person; raises `ServerRefused`."""
        body = {"email": email, "password": password} | ({"totp": totp} if totp else {})
        answer = self.send("POST", "/auth/login", json=body)
        return Api(self.base_url, answer["access_token"], self.pause, self.session)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        return self.send("GET", path, params=query)

    def job(self, job_id: str) -> dict[str, Any]:
        return self.get(f"/jobs/{job_id}")

    def failures(self, job_id: str) -> list[dict[str, Any]]:
        answer: Any = self.get(f"/jobs/{job_id}/failures")
        groups: list[dict[str, Any]] = answer["data"] if isinstance(answer, dict) else answer
        return groups

    def create_pool(self, **pool: Any) -> dict[str, Any]:
        return self.send("POST", "/gift-card-pools", json=pool)

    def failed_items(self, job_id: str, *, limit: int) -> list[dict[str, Any]]:
        """The first failed items in file order."""
        page = self.get(f"/jobs/{job_id}/items", state="failed", limit=str(limit))
        items: list[dict[str, Any]] = page["data"]
        return items

    def import_cards(
        self, pool_id: str, content: bytes, *, on_error: str, force: bool = False, wait: int = 0
    ) -> dict[str, Any]:
        """The import job that was accepted; its end, if it comes within `wait` seconds."""
        return self.send(
            "POST",
            f"/gift-card-pools/{pool_id}/cards",
            params={"on_error": on_error} | ({"force": "true"} if force else {}),
            data=content,
            headers={"Content-Type": "text/csv"} | ({"Prefer": f"wait={wait}"} if wait else {}),
        )

    def submit(
        self, file: Path, fields: Mapping[str, str], *, preview: bool = False
    ) -> dict[str, Any]:
        """The accepted job, or with `preview` the plan that would be followed."""
        return self.send(
            "POST",
            "/gift-cards/provision-jobs",
            params={"preview": "true"} if preview else {},
            data=dict(fields),
            files={"file": (file.name, file.read_bytes(), "text/csv")},
        )

    def download(self, path: str, **query: str) -> Iterator[bytes]:
        """A file in parts, however large. Raises `ServerRefused`, `Unreachable`."""
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = self._once("GET", path, headers, {"params": query, "stream": True})
        if not answer.ok:
            raise ServerRefused(answer.status_code, _problem(answer))
        return self._parts_of(answer)

    def _parts_of(self, answer: requests.Response) -> Iterator[bytes]:
        try:
            yield from answer.iter_content(DOWNLOAD_BYTES)
        except requests.RequestException as error:
            raise Unreachable(
                f"The download broke off ({type(error).__name__}). Start it again."
            ) from None

    def send(self, method: str, path: str, **parts: Any) -> dict[str, Any]:
        """One request; a busy front is asked again. Raises `ServerRefused`, `Unreachable`."""
        headers = {"Accept": "application/json"} | parts.pop("headers", {})
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if method != "GET":
            headers.setdefault("Idempotency-Key", uuid4().hex)
        for tries_left in reversed(range(TRIES)):
            answer = self._once(method, path, headers, parts)
            if answer.status_code in BUSY and tries_left and path != "/auth/login":
                self.pause(_wait_asked(answer))
                continue
            break
        if answer.ok:
            body: dict[str, Any] = answer.json()
            return body
        raise ServerRefused(answer.status_code, _problem(answer))

    def _once(
        self, method: str, path: str, headers: Mapping[str, str], parts: Mapping[str, Any]
    ) -> requests.Response:
        url = f"{self.base_url.rstrip('/')}/api/v1{path}"
        try:
            return self.session.request(
                method, url, headers=dict(headers), timeout=TIMEOUT_SECONDS, **parts
            )
        except requests.RequestException as error:
            raise Unreachable(
                f"{self.base_url} does not answer ({type(error).__name__}). Is the stack running? "
                "See `largesse doctor`, or set LARGESSE_URL."
            ) from None


def _wait_asked(answer: requests.Response) -> float:
    asked = answer.headers.get("Retry-After", "")
    return min(float(asked) if asked.isdecimal() else 1.0, LONGEST_WAIT_SECONDS)


def _problem(answer: requests.Response) -> Mapping[str, Any]:
    try:
        body = answer.json()
    except requests.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _field_error(error: Mapping[str, Any]) -> FieldError:
    return FieldError(
        code=str(error.get("code", "")),
        detail=str(error.get("detail", "")),
        pointer=error.get("pointer"),
        row=error.get("row"),
        field=error.get("field"),
    )
