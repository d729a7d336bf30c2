"""The demo's file shows what uploads are like: a thousand people, two doubles, one bad address."""

from collections import Counter
from pathlib import Path
from unicodedata import name

from pipelines.jobs.addresses import normalised_email
from pipelines.jobs.csv_reader import CsvRow, open_csv
from pipelines.provisioning.recipients import (
    COLUMNS,
    DeliveryMethod,
    RecipientRules,
    Warn,
    check_recipient,
)

FILE = Path(__file__).parents[2] / "ops" / "demo" / "recipients.csv"
RULES = RecipientRules(
    DeliveryMethod.EMAIL, "USD", default_denomination_minor=2500, default_brand="coffee"
)


def rows():
    with FILE.open("rb") as stream:
        table = open_csv(stream, columns=COLUMNS)
        assert table.header == ("reference", "email", "name", "phone")
        return list(table)


def verdicts():
    return [(row, check_recipient(row.cells, rules=RULES, row=row.number)) for row in rows()]


def accepted():
    return [(row, verdict) for row, verdict in verdicts() if not isinstance(verdict, tuple)]


def test_it_has_a_thousand_readable_rows():
    assert len(rows()) == 1_000
    assert all(isinstance(row, CsvRow) for row in rows())


def test_exactly_one_address_is_bad():
    refused = [verdict for _row, verdict in verdicts() if isinstance(verdict, tuple)]

    assert [(error.row, error.field, error.code) for (error,) in refused] == [
        (412, "email", "invalid_email")
    ]


def test_exactly_two_rows_double_an_earlier_one_and_one_of_them_by_case_alone():
    first, doubles = {}, []
    for row, recipient in accepted():
        key = normalised_email(recipient.email)
        if key in first:
            doubles.append((row.cells["email"] == first[key], row.number))
        first.setdefault(key, row.cells["email"])

    assert doubles == [(True, 618), (False, 874)]
    assert len(first) == 997


def test_every_domain_is_reserved_for_examples():
    domains = {recipient.email.partition("@")[2] for _row, recipient in accepted()}
    plain = {"example.com", "example.org", "example.net"}

    assert plain <= domains
    assert all(domain.endswith(".example") for domain in domains - plain)


def test_names_come_in_many_scripts_and_some_addresses_have_tags():
    people = [recipient for _row, recipient in accepted()]
    scripts = Counter(name(person.name[0]).split(" ")[0] for person in people)

    assert set(scripts) == {
        "LATIN",
        "CYRILLIC",
        "GREEK",
        "ARABIC",
        "HEBREW",
        "DEVANAGARI",
        "CJK",
        "HANGUL",
    }
    assert any("HIRAGANA" in name(c, "") for person in people for c in person.name)
    assert any(not c.isascii() for c in "".join(p.name for p in people if p.name[0].isascii()))
    assert Counter(person.warnings for person in people) == {(): 923, (Warn.PLUS_ADDRESS,): 76}


def test_references_and_phone_numbers_are_different():
    people = [recipient for _row, recipient in accepted()]
    phones = [person.phone for person in people if person.phone]

    assert len({person.reference for person in people}) == 999
    assert len(set(phones)) == len(phones)
