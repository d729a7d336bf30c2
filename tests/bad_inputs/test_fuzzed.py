"""Whatever bytes arrive, no route fails, and no damaged file is taken in part (Hypothesis)."""

import json
import os
import secrets
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.wiring import House
from tests.bad_inputs.json_routes import Asker, json_routes, send
from tests.bad_inputs.sending import preview, send_cards, send_recipients
from tests.canary import MARK, PIN
from tests.driving import drain, rows, view
from tests.intake import table_sizes
from tests.seeding import Seeded
from tests.web.conftest import Caller

EXAMPLES = int(os.environ.get("EXAMPLES", "15"))
#: The fixtures serve a whole module: an example finds what the one before left.
SHARED = settings(
    max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
LIKE_JSON = st.text('{}[]":,\\u0d8aeE1.-+ nul', max_size=60).map(str.encode)
LIKE_CSV = st.text("\"',;=\r\n\t\x00\x1a\u2028aé@.", max_size=80)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
RECIPIENTS = b"email,name,amount\n" + b"".join(
    b"ann%d@x.de,Ann %d,%d\n" % (n, n, n + 1) for n in range(8)
)
CARDS = "card_number,pin,expires_on,cost_minor\n" + "".join(
    f"{MARK}FUZZED{n},{PIN},2030-01-0{n + 1},{n}\n" for n in range(8)
)


@SHARED
@given(st.binary(max_size=80) | LIKE_JSON)
def test_any_bytes_as_a_body_are_an_answer_of_ours(asker: Asker, app: Flask, raw: bytes) -> None:
    for method, path, _schema in json_routes(app):
        assert send(asker, method, path, raw).status_code < 500, path


@SHARED
@given(data=st.data())
def test_any_values_in_known_members_are_an_answer_of_ours(
    asker: Asker, app: Flask, data: st.DataObject
) -> None:
    method, path, schema = data.draw(
        st.sampled_from([route for route in json_routes(app) if route[2]["properties"]])
    )
    names = st.sampled_from(sorted(schema["properties"]))
    body: dict[str, Any] = data.draw(st.dictionaries(names, VALUES))

    assert send(asker, method, path, json.dumps(body).encode()).status_code < 500, path


@SHARED
@given(st.binary(max_size=80) | LIKE_CSV.map(lambda text: f"email,name\n{text}".encode()))
def test_any_bytes_as_recipients_are_an_answer_of_ours(
    client_admin: Caller, seeded: Seeded, house: House, raw: bytes
) -> None:
    before = table_sizes(house)

    assert preview(client_admin, seeded, raw).status_code in {200, 415, 422}
    assert table_sizes(house) == before


@SHARED
@given(st.binary(max_size=80) | LIKE_CSV.map(lambda text: f"card_number,pin\n{text}".encode()))
def test_any_bytes_as_cards_are_an_answer_of_ours(
    admin: Caller, seeded: Seeded, raw: bytes
) -> None:
    assert send_cards(admin, seeded, raw, "?force=true").status_code in {202, 415, 422}


@pytest.mark.parametrize("path", ["/api/v1/gift-cards/provision-jobs", "/console/sign-in", "/r/x"])
@SHARED
@given(raw=st.binary(max_size=200), boundary=st.sampled_from(["b", "", '"', "x" * 80]))
def test_any_bytes_as_a_form_are_an_answer_of_ours(
    client_admin: Caller, raw: bytes, boundary: str, path: str
) -> None:
    for body in (raw, b"--b\r\n" + raw, b'--b\r\nContent-Disposition: form-data; name="' + raw):
        answer = client_admin.client.post(
            path,
            data=body,
            headers=client_admin.headers
            | {"Idempotency-Key": "k", "Sec-Fetch-Site": "same-origin"},
            content_type=f"multipart/form-data; boundary={boundary}",
        )
        assert answer.status_code < 500


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """A valid file with one byte flipped, a piece cut, repeated or put in."""
    start = draw(st.integers(0, len(whole) - 1))
    end = draw(st.integers(start + 1, min(len(whole), start + 40)))
    match draw(st.sampled_from(("flip", "cut", "repeat", "insert"))):
        case "flip":
            return (
                whole[:start]
                + bytes([whole[start] ^ draw(st.integers(1, 255))])
                + whole[start + 1 :]
            )
        case "cut":
            return whole[:start] + whole[end:]
        case "repeat":
            return whole[:end] + whole[start:end] + whole[end:]
    return whole[:start] + draw(st.binary(min_size=1, max_size=5)) + whole[start:]


@SHARED
@given(damaged(RECIPIENTS))
def test_a_damaged_file_of_recipients_is_a_whole_job_or_nothing(
    client_admin: Caller, seeded: Seeded, house: House, content: bytes
) -> None:
    before = table_sizes(house)
    answer = send_recipients(
        client_admin, seeded, content, allow_repeat="true", force="true", delivery_method="none"
    )

    after = table_sizes(house)
    if answer.status_code == 202:
        total = answer.json["counts"]["total"]
        assert answer.json["counts"]["pending"] == total == after["items"] - before["items"]
    else:
        assert (answer.status_code, after) == (422, before)


@SHARED
@given(damaged(CARDS.encode()))
def test_a_damaged_file_of_cards_is_imported_whole_or_not_at_all(
    admin: Caller, seeded: Seeded, house: House, content: bytes
) -> None:
    fresh = content.replace(b"FUZZED", secrets.token_hex(3).encode())
    before = table_sizes(house)["cards"]

    answer = send_cards(admin, seeded, fresh)
    drain(house)

    added = table_sizes(house)["cards"] - before
    if answer.status_code == 202:
        job = view(house, answer.json["id"])
        assert added == (job["counts"]["total"] if job["state"] == "succeeded" else 0)
        assert rows(house, "SELECT 1 FROM job_inputs WHERE job_id = :id", id=job["id"]) == []
    else:
        assert (answer.status_code, added) == (422, 0)
