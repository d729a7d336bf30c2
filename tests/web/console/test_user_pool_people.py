"""People of a pool in the console: added by hand and file, looked up, taken out (S1-017, S3-060..063)."""

import csv
import io
from html import unescape
from uuid import UUID

import pytest

from pipelines.wiring import House
from tests.driving import drain, rows
from tests.pooling import make_pool
from tests.seeding import Seeded
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor


@pytest.fixture
def pool(house: House, seeded: Seeded) -> UUID:
    return make_pool(house, seeded)


def home(pool: UUID) -> str:
    return f"/console/user-pools/{pool}"


def members(house: House) -> dict[str, UUID]:
    found = rows(
        house,
        "SELECT coalesce(c.email, c.external_id) AS called, m.user_id FROM user_pool_members m "
        "JOIN client_users c ON c.client_id = m.client_id AND c.user_id = m.user_id",
    )
    return {row.called: row.user_id for row in found}


def add(bob: Visitor, pool: UUID, people: str, **more: str):
    return bob.send(f"{home(pool)}/add", people=people, **more)


def test_s3_060_people_are_added_by_address_external_id_and_user_id(
    house: House, bob: Visitor, pool: UUID
) -> None:
    """S1-017, S3-060"""
    made = add(bob, pool, "alice@x.example, crm-7\r\nbob@x.example", create_missing="1")
    ids = members(house)
    page = bob.get(made.headers["Location"]).text
    bob.send(f"{home(pool)}/remove", home(pool), only=str(ids["alice@x.example"]))
    again = add(bob, pool, str(ids["alice@x.example"]))

    assert made.headers["Location"] == f"{home(pool)}?added=3"
    assert set(ids) == {"alice@x.example", "crm-7", "bob@x.example"}
    assert "3 people were added to the pool." in page
    assert "Active" in page
    assert again.headers["Location"] == f"{home(pool)}?added=1"
    assert members(house) == ids


def test_s3_062_each_person_has_their_id_with_a_button_that_copies_it(
    house: House, bob: Visitor, pool: UUID
) -> None:
    add(bob, pool, "alice@x.example", create_missing="1")
    alice = members(house)["alice@x.example"]

    page = bob.get(home(pool)).text

    assert f'id="id-{alice}">{alice}</span>' in page
    assert f'data-copies="id-{alice}" aria-label="Copy the user id of alice@x.example"' in page


def test_one_wrong_line_adds_nobody_and_is_named(house: House, bob: Visitor, pool: UUID) -> None:
    typed = "alice@x.example\nnobody@x.example\nnot@an address\ncrm-9"

    refused = add(bob, pool, typed)

    assert refused.status_code == 422
    assert "Nobody was added." in refused.text
    assert refused.text.count("User not found") == 3
    assert "This is not a deliverable" in refused.text
    assert "alice@x.example\nnobody@x.example" in refused.text
    assert members(house) == {}


def test_s3_060_doubled_known_and_unknown_lines_are_told_one_by_one(
    house: House, bob: Visitor, pool: UUID
) -> None:
    """S3-060, EC-099"""
    add(bob, pool, "alice@x.example bob@x.example".replace(" ", "\n"), create_missing="1")
    rows(house, "UPDATE client_users SET disabled_at = now() WHERE email LIKE 'bob%' RETURNING 1")
    bob.send(f"{home(pool)}/remove", home(pool), only=str(members(house)["bob@x.example"]))
    typed = "eve@x.example\nALICE@x.example\neve@x.example\nbob@x.example\ncrm-1"

    told = add(bob, pool, typed, skip="1")
    made = add(bob, pool, "eve@x.example;EVE@x.example", create_missing="1")

    assert told.status_code == 200
    assert "Nobody was added. 5 lines added nobody." in told.text
    assert told.text.count("User not found") == 3
    assert "This person is in the pool already." in told.text
    assert "The account of this person is disabled." in told.text
    assert "1 person was added. 1 line added nobody." in made.text
    assert "The same person is named twice" in made.text
    assert set(members(house)) == {"alice@x.example", "eve@x.example"}


def test_a_list_is_added_once_however_often_it_is_sent(
    house: House, bob: Visitor, pool: UUID
) -> None:
    """EC-035"""
    path = f"{home(pool)}/add"
    form = dict(HIDDEN.findall(bob.get(path).text)) | {
        "people": "a@x.example",
        "create_missing": "1",
    }
    first, again = (bob.client.post(path, data=form, headers=SAME_ORIGIN) for _ in range(2))

    assert (first.headers["Location"], again.headers["Location"]) == (
        f"{home(pool)}?added=1",
        home(pool),
    )
    assert rows(
        house, "SELECT count(*) FROM audit_entries WHERE action = 'user_pool.members_added'"
    ) == [(1,)]


def test_everything_can_be_an_external_id(house: House, bob: Visitor, pool: UUID) -> None:
    add(bob, pool, "a@b\n7", named_by="external_id", create_missing="1")

    assert set(members(house)) == {"a@b", "7"}
    assert add(bob, pool, " ,;\n").status_code == 422
    many = add(bob, pool, "\n".join(f"u{number}" for number in range(1001)), create_missing="1")
    assert many.status_code == 422
    assert "more go through a file" in many.text
    assert "u1000" in many.text


def test_s3_063_a_search_finds_members_and_people_outside_the_pool(
    house: House, seeded: Seeded, bob: Visitor, pool: UUID
) -> None:
    """S1-041, S3-063"""
    other = make_pool(house, seeded, "Others")
    add(bob, pool, "alice@x.example\nalan@x.example\ncrm-7", create_missing="1")
    add(bob, other, "eve@x.example", create_missing="1")
    eve = members(house)["eve@x.example"]

    begins = bob.get(f"{home(pool)}?q=AL").text
    by_id = bob.get(f"{home(pool)}?q=crm-7").text
    outside = bob.get(f"{home(pool)}?q=eve@x.example").text
    nobody = bob.get(f"{home(pool)}?q=zoe@x.example").text
    proposed = bob.get(f"{home(pool)}/add?who={eve}").text

    assert "alice@x.example" in begins and "alan@x.example" in begins
    assert "crm-7</span>" not in begins
    assert "crm-7" in by_id and "alice@x.example" not in by_id
    assert "eve@x.example is not in this pool" in outside
    assert f"/add?who={eve}" in outside
    assert "User not found" in nobody
    assert f">{eve}</textarea>" in proposed


def test_s3_060_the_chosen_are_removed_and_what_they_have_stays(
    house: House, bob: Visitor, pool: UUID
) -> None:
    add(bob, pool, "a@x.example\nb@x.example\nc@x.example", create_missing="1")
    ids = members(house)
    both = [str(ids["a@x.example"]), str(ids["b@x.example"])]

    nobody = bob.send(f"{home(pool)}/remove", home(pool))
    done = bob.send(f"{home(pool)}/remove", home(pool), user_id=both)

    assert nobody.status_code == 422
    assert "Choose whom to remove" in nobody.text
    assert done.headers["Location"] == f"{home(pool)}?removed=2"
    assert "2 people were removed from the pool." in bob.get(done.headers["Location"]).text
    assert set(members(house)) == {"c@x.example"}
    assert rows(house, "SELECT count(*) FROM client_users WHERE email LIKE '%@x.example'") == [(3,)]


def test_a_file_goes_in_as_a_job_whose_page_tells_every_row(
    house: House, bob: Visitor, pool: UUID
) -> None:
    """S3-060, EC-099"""
    content = b"email,external_id\nalice@x.example,crm-1\nalice@x.example,\nnot an address,\n"
    path = f"{home(pool)}/add"

    sent = bob.send(
        f"{path}/file", path, file=(io.BytesIO(content), "p.csv"), skip="1", create_missing="1"
    )
    drain(house)
    page = bob.get(sent.headers["Location"]).text

    assert set(members(house)) == {"alice@x.example"}
    assert "People for a pool" in page
    assert "Beta Testers · p.csv" in page
    assert "1 of 3 added" in page
    assert "The person stands in the file before" in page
    assert "The e-mail address is not valid" in page
    assert home(pool) in page
    assert "Where the cards came from" not in page
    assert "Credit</h2>" not in page


def test_a_file_with_one_wrong_row_adds_nobody_and_says_so(
    house: House, bob: Visitor, pool: UUID
) -> None:
    path = f"{home(pool)}/add"
    empty = bob.send(f"{path}/file", path)
    headless = bob.send(f"{path}/file", path, file=(io.BytesIO(b"name\nAda\n"), "p.csv"))
    sent = bob.send(f"{path}/file", path, file=(io.BytesIO(b"email\na@x.example\nb\n"), "p.csv"))
    drain(house)
    page = unescape(bob.get(sent.headers["Location"]).text)

    assert (empty.status_code, headless.status_code) == (422, 422)
    assert "The file needs one of these columns" in headless.text
    assert "2 of 2 rows have errors and nobody was added." in page
    assert members(house) == {}


def test_the_people_are_a_file_that_can_be_uploaded_again(
    house: House, bob: Visitor, pool: UUID
) -> None:
    add(bob, pool, "=1@x.example\ncrm-2", create_missing="1")

    answer = bob.get(f"{home(pool)}/members.csv")
    table = list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))

    assert answer.headers["Cache-Control"] == "no-store"
    assert {row["email"] for row in table} == {"'=1@x.example", ""}
    assert rows(
        house, "SELECT count(*) FROM audit_entries WHERE action = 'user_pool.exported'"
    ) == [(1,)]


def test_the_people_go_on_by_cursor(house: House, bob: Visitor, pool: UUID) -> None:
    add(bob, pool, "\n".join(f"u{number:02}@x.example" for number in range(51)), create_missing="1")

    first = bob.get(home(pool)).text
    further = unescape(first.partition('rel="next" href="')[2].partition('"')[0])
    second = bob.get(further).text

    assert first.count('name="user_id"') == 50
    assert second.count('name="user_id"') == 1
    assert "First people" in second
