"""Forms that lie about their length, their parts or their names, or break off (B29, B31, B32, B62)."""

import io
import secrets
from pathlib import Path

import pytest

from pipelines.wiring import House
from tests.bad_inputs.sending import PROVISION, leaves_nothing
from tests.driving import rows
from tests.seeding import Seeded
from tests.web.conftest import Caller


@pytest.mark.parametrize("declared", [None, 10, 0])
def test_b29_a_length_that_lies_takes_in_nothing(
    house: House, seeded: Seeded, client_admin: Caller, temporary: Path, declared: int | None
) -> None:
    """Without a length, with a low one: what was not announced is not read."""
    body = io.BytesIO(b"card_number\n" + b"9" * 100)
    environ = {"wsgi.input": body, "wsgi.input_terminated": declared is None}
    headers = client_admin.headers | {"Idempotency-Key": secrets.token_hex(8)}
    length = {} if declared is None else {"Content-Length": str(declared)}

    answer = leaves_nothing(
        house,
        temporary,
        lambda: client_admin.client.post(
            PROVISION,
            headers=headers | length | {"Content-Type": "multipart/form-data; boundary=b"},
            environ_overrides=environ,
        ),
    )

    assert (answer.status_code, answer.json["code"]) == (400, "file_required")


@pytest.mark.parametrize(
    ("parts", "status", "code"),
    [
        ({"other": 1}, 400, "file_required"),
        ({}, 400, "file_required"),
        ({"file": 2}, 400, "one_file_expected"),
        ({"file": 1500}, 413, "payload_too_large"),
        ({"file": 1, "other": 1}, 400, "one_file_expected"),
    ],
    ids=["B31 wrong name", "B31 none", "B31 two", "B31 1500 parts", "B31 another beside it"],
)
def test_b31_a_form_has_one_file_and_calls_it_file(
    house: House,
    seeded: Seeded,
    client_admin: Caller,
    temporary: Path,
    parts: dict[str, int],
    status: int,
    code: str,
) -> None:
    form = {
        name: [(io.BytesIO(b"email\na@x.de\n"), f"{n}.csv") for n in range(times)]
        for name, times in parts.items()
    }
    headers = client_admin.headers | {"Idempotency-Key": secrets.token_hex(8)}

    answer = leaves_nothing(
        house,
        temporary,
        lambda: client_admin.client.post(
            PROVISION,
            data={"campaign_id": str(seeded.campaign_id)} | form,
            content_type="multipart/form-data",
            headers=headers,
        ),
    )

    assert (answer.status_code, answer.json["code"]) == (status, code)


def test_b31_a_part_without_a_name_is_an_unknown_field(
    house: House, client_admin: Caller, temporary: Path
) -> None:
    """Found by asking the API from its own document: it was a fault of ours."""
    nameless = b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n"
    file = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nemail\r\n'
    headers = client_admin.headers | {"Idempotency-Key": secrets.token_hex(8)}

    answer = leaves_nothing(
        house,
        temporary,
        lambda: client_admin.client.post(
            PROVISION,
            data=nameless + file + b"--b--\r\n",
            content_type="multipart/form-data; boundary=b",
            headers=headers,
        ),
    )

    assert answer.status_code == 422
    assert ("/", "unknown_field") in {(e["pointer"], e["code"]) for e in answer.json["errors"]}


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd\x00.csv", "../../etc/passwd�.csv"),
        ("CON.csv", "CON.csv"),
        ("n" * 5_000, "n" * 255),
        ("photo\u202egpj.csv", "photo�gpj.csv"),
        ("<script>alert(1)</script>.csv", "<script>alert(1)</script>.csv"),
    ],
    ids=["B32 path", "B32 device", "B32 long", "B32 right to left", "B35 markup"],
)
def test_b32_a_file_s_name_is_shown_and_never_a_path(
    house: House, client_admin: Caller, seeded: Seeded, temporary: Path, name: str, kept: str
) -> None:
    content = f"email,reference\n{secrets.token_hex(4)}@x.de,r\n".encode()
    headers = client_admin.headers | {"Idempotency-Key": secrets.token_hex(8)}
    form = {"campaign_id": str(seeded.campaign_id), "brand_id": str(seeded.brand_id)}

    answer = client_admin.client.post(
        PROVISION,
        data=form | {"denomination_minor": "2500", "file": (io.BytesIO(content), name)},
        headers=headers,
    )

    found = rows(house, "SELECT file_name FROM jobs WHERE id = :id", id=answer.json["id"])
    assert (answer.status_code, found[0].file_name) == (202, kept)
    assert list(temporary.iterdir()) == []


class Cut(io.BytesIO):
    """A body whose sender went away in the middle."""

    def read(self, size: int | None = -1) -> bytes:
        part = super().read(size)
        if not part:
            raise ConnectionResetError
        return part


def test_b62_a_sender_who_goes_away_leaves_nothing(
    house: House, client_admin: Caller, seeded: Seeded, temporary: Path
) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nemail\n'
    headers = client_admin.headers | {"Idempotency-Key": secrets.token_hex(8)}

    answer = leaves_nothing(
        house,
        temporary,
        lambda: client_admin.client.post(
            PROVISION,
            headers=headers | {"Content-Type": "multipart/form-data; boundary=b"},
            environ_overrides={
                "wsgi.input": Cut(head + b"a@x.de\n" * 30_000),
                "CONTENT_LENGTH": "300000",
            },
        ),
    )

    assert (answer.status_code, answer.json["code"]) == (400, "malformed_request")
