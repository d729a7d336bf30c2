"""What a partner's developer copies from the console is run, and opens a session (S0-33, S0-34)."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.serving import make_server

from pipelines.wiring import House
from tests.driving import rows
from tests.partnering import Partner, make_partner, present
from tests.seeding import Seeded
from tests.web.console.conftest import Visitor
from tests.web.console.partner_visits import home_of

USER = "user 7/ä"


@pytest.fixture
def partner(house: House, seeded: Seeded) -> Partner:
    return make_partner(house, seeded)


@pytest.fixture
def url(app: Flask) -> Iterator[str]:
    """A front that serves."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


def snippet(bob: Visitor, partner: Partner, name: str) -> str:
    """The text that the page's button copies."""
    page = bob.get(f"{home_of(partner)}/embed").text
    shown = page.partition(f'id="snippet-{name}"')[2].partition("<code>")[2]
    return unescape(shown.partition("</code>")[0])


def ran(partner: Partner, command: list[str], **more: str) -> str:
    """What a program says whose environment holds the secret."""
    environment = {"PATH": os.environ["PATH"], "LARGESSE_SECRET": partner.secret, **more}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def needs(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def users(house: House) -> list[str]:
    return [row.external_id for row in rows(house, "SELECT external_id FROM partner_users")]


@pytest.mark.parametrize(
    ("name", "program", "ending"),
    [("python", sys.executable, "py"), ("node", "node", "cjs"), ("php", "php", "php")],
)
def test_s034_a_token_of_each_language_opens_a_session_of_its_user(
    app: Flask,
    house: House,
    bob: Visitor,
    partner: Partner,
    tmp_path: Path,
    name: str,
    program: str,
    ending: str,
) -> None:
    needs(program)
    (tmp_path / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    file = tmp_path / f"largesse_token.{ending}"
    file.write_text(snippet(bob, partner, name), encoding="utf-8")

    first, second = (ran(partner, [program, str(file), USER], LANG="C.UTF-8") for _ in range(2))

    assert first != second
    assert [present(app, token).status_code for token in (first, second)] == [201, 201]
    assert users(house) == [USER]


def test_s034_the_terminals_snippet_opens_a_session_by_itself(
    house: House, bob: Visitor, partner: Partner, tmp_path: Path, url: str
) -> None:
    needs("sh", "openssl", "curl", "od")
    file = tmp_path / "try.sh"
    file.write_text(snippet(bob, partner, "shell"), encoding="utf-8")

    told = ran(partner, ["sh", str(file), "user-9"], LARGESSE_URL=url)

    assert '"session_token"' in told, told
    assert users(house) == ["user-9"]


def test_s034_the_terminals_snippet_stops_without_a_secret(
    bob: Visitor, partner: Partner, tmp_path: Path, url: str
) -> None:
    needs("sh")
    file = tmp_path / "try.sh"
    file.write_text(snippet(bob, partner, "shell"), encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "LARGESSE_URL": url}

    done = subprocess.run(
        ["sh", str(file), "user-9"], env=environment, capture_output=True, text=True, check=False
    )

    assert (done.returncode != 0, done.stdout) == (True, "")
    assert "LARGESSE_SECRET: Put the partner secret into it first" in done.stderr


SIGNED_IN = """
from app import app
client = app.test_client()
assert client.post("/largesse-token").status_code == 401
with client.session_transaction() as session:
    session["user_id"] = 7
print(client.post("/largesse-token").json["token"])
"""


def test_s034_the_token_route_answers_who_is_signed_in(
    app: Flask, house: House, bob: Visitor, partner: Partner, tmp_path: Path
) -> None:
    for name, file in (("python", "largesse_token.py"), ("route", "app.py")):
        (tmp_path / file).write_text(snippet(bob, partner, name), encoding="utf-8")

    where = {"PYTHONPATH": str(tmp_path), "FLASK_SECRET_KEY": "for the test"}
    token = ran(partner, [sys.executable, "-c", SIGNED_IN], **where)

    assert present(app, token).status_code == 201
    assert users(house) == ["7"]


def test_s034_the_page_has_the_partners_id_in_each_snippet_and_never_its_secret(
    house: House, bob: Visitor, partner: Partner
) -> None:
    page = bob.get(f"{home_of(partner)}/embed").text
    embed = snippet(bob, partner, "embed")

    address = snippet(bob, partner, "address")

    for name in ("python", "node", "php", "shell", "address", "embed"):
        assert str(partner.id) in snippet(bob, partner, name)
        assert f'data-copies="snippet-{name}"' in page
    assert '<div id="largesse"></div>' in embed
    where = f'src="{house.settings.public_url}/widget.js" data-vendor="{partner.id}"'
    assert f'<script {where} data-target="#largesse" async></script>' in embed
    assert "getToken: async () =>" in embed
    # By the address first: no script stands in the page itself.
    assert page.index("snippet-address") < page.index("snippet-route") < page.index("snippet-embed")
    assert (where in address, 'data-token-url="/largesse-token"' in address) == (True, True)
    assert address.count("<script") == address.count("></script>") == 1
    assert "carries cookies and no CSRF token" in page
    assert "never an e-mail address" in page
    assert page.count("<details") == 5
    assert partner.secret not in page
    assert partner.secret[-4:] not in page
