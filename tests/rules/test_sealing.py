"""Sealed values open only in their place, under their key, and never show themselves."""

import base64
import copy
import json
import logging
import pickle
import traceback
from dataclasses import asdict, dataclass
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sealing import (
    DecryptionFailed,
    Keyring,
    Purpose,
    Secret,
    masked,
)

ONE, TWO = bytes(range(32)), bytes(range(32, 64))
OLD = Keyring({1: ONE}, current=1, index_version=1)
ROTATED = Keyring({2: TWO, 1: ONE}, current=2, index_version=1)
ROW = UUID("01890000-0000-7000-8000-000000000001")
OTHER_ROW = UUID("01890000-0000-7000-8000-000000000002")
PLACE = {"table": "gift_card", "row_id": ROW, "column": "number"}
CANARY = "CANARY-5555-6666-7777-9876"


@given(st.text(), st.sampled_from(Purpose))
def test_what_was_sealed_opens_in_its_place(plaintext, purpose):
    sealed = OLD.seal(purpose, plaintext, **PLACE)

    assert OLD.open_sealed(purpose, sealed, **PLACE).reveal() == plaintext
    assert len(sealed) == 1 + 12 + len(plaintext.encode()) + 16


PLACES = st.fixed_dictionaries(
    {
        "table": st.sampled_from(["gift_card", "vendor"]),
        "row_id": st.uuids(),
        "column": st.sampled_from(["number", "pin", "secret"]),
    }
)


@given(PLACES, PLACES, st.text())
def test_a_value_moved_to_another_cell_does_not_open(source, target, plaintext):
    sealed = OLD.seal(Purpose.CODES, plaintext, **source)

    if source != target:
        with pytest.raises(DecryptionFailed):
            OLD.open_sealed(Purpose.CODES, sealed, **target)


@pytest.mark.parametrize(
    "place",
    [PLACE | {"table": "coupon"}, PLACE | {"row_id": OTHER_ROW}, PLACE | {"column": "pin"}],
)
def test_swapped_rows_columns_and_tables_are_found_out(place):
    sealed = OLD.seal(Purpose.CODES, CANARY, **PLACE)

    with pytest.raises(DecryptionFailed) as caught:
        OLD.open_sealed(Purpose.CODES, sealed, **place)

    told = "".join(traceback.format_exception(caught.value))
    assert str(caught.value) == "decryption_failed"
    assert CANARY not in told
    assert "InvalidTag" not in told


@given(st.integers(min_value=0, max_value=47), st.integers(min_value=1, max_value=255))
def test_one_changed_byte_anywhere_is_found_out(place, change):
    sealed = bytearray(OLD.seal(Purpose.CODES, "ABCD-EFGH-1234-5678", **PLACE))
    sealed[place] ^= change

    with pytest.raises(DecryptionFailed):
        OLD.open_sealed(Purpose.CODES, bytes(sealed), **PLACE)


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" * 28, b"\x09" * 60])
def test_bytes_that_were_never_sealed_do_not_open(sealed):
    with pytest.raises(DecryptionFailed):
        OLD.open_sealed(Purpose.CODES, sealed, **PLACE)


def test_a_value_does_not_open_for_another_purpose():
    sealed = OLD.seal(Purpose.PINS, "1234", **PLACE)

    with pytest.raises(DecryptionFailed):
        OLD.open_sealed(Purpose.CODES, sealed, **PLACE)


def test_sealing_twice_gives_different_bytes():
    assert OLD.seal(Purpose.PINS, "1234", **PLACE) != OLD.seal(Purpose.PINS, "1234", **PLACE)


@given(st.text())
def test_the_old_version_still_opens_after_rotation(plaintext):
    before = OLD.seal(Purpose.CODES, plaintext, **PLACE)
    after = ROTATED.seal(Purpose.CODES, plaintext, **PLACE)

    assert (before[0], after[0]) == (1, 2)
    assert ROTATED.open_sealed(Purpose.CODES, before, **PLACE).reveal() == plaintext
    assert ROTATED.open_sealed(Purpose.CODES, after, **PLACE).reveal() == plaintext
    with pytest.raises(DecryptionFailed):
        OLD.open_sealed(Purpose.CODES, after, **PLACE)


def test_the_ring_names_the_versions_it_lacks():
    assert ROTATED.missing([1, 2, 2]) == frozenset()
    assert OLD.missing([1, 2, 3]) == frozenset({2, 3})


def test_the_blind_index_survives_a_rotation_and_keeps_scopes_apart():
    digest = OLD.blind_index("ABCD", scope=b"brand-1")

    assert len(digest) == 32
    assert ROTATED.blind_index(Secret("ABCD"), scope=b"brand-1") == digest
    assert OLD.blind_index("ABCD", scope=b"brand-2") != digest
    assert OLD.blind_index("1ABCD", scope=b"brand-") != digest
    assert (
        Keyring({1: TWO}, current=1, index_version=1).blind_index("ABCD", scope=b"brand-1")
        != digest
    )


def test_a_ring_is_read_from_one_line_of_settings():
    text = f"2:{base64.b64encode(TWO).decode()}, 1:{base64.b64encode(ONE).decode()}"

    ring = Keyring.parse(text)

    assert repr(ring) == "Keyring(current=2, versions=[1, 2])"
    assert ring.blind_index("x", scope=b"s") == ROTATED.blind_index("x", scope=b"s")
    assert Keyring.parse(text, index_version=2).blind_index("x", scope=b"s") != ring.blind_index(
        "x", scope=b"s"
    )


GOOD_KEY = base64.b64encode(ONE).decode()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Write each master key as version:base64"),
        (GOOD_KEY, "Write each master key as version:base64"),
        (f"1:{GOOD_KEY},1:{GOOD_KEY}", "Key version 1 is given twice."),
        (f"0:{GOOD_KEY}", "A key version is 1 to 255."),
        (f"256:{GOOD_KEY}", "A key version is 1 to 255."),
        ("1:c2hvcnQ=", "Master key 1 must have 32 bytes."),
        ("1:§§", "Master key 1 is not base64."),
    ],
)
def test_wrong_settings_say_how_to_mend_them_and_show_no_key(text, message):
    with pytest.raises(ValueError, match=message) as caught:
        Keyring.parse(text)

    assert GOOD_KEY not in "".join(traceback.format_exception(caught.value))


def test_the_index_version_must_be_in_the_ring():
    with pytest.raises(ValueError, match="no master key for version 3"):
        Keyring({1: ONE}, current=1, index_version=3)


@dataclass(frozen=True, slots=True)
class Holder:
    number: Secret


@given(st.text(min_size=9))
def test_no_way_of_printing_a_secret_shows_more_than_its_last_four(value):
    secret = Secret(value)

    expected = f"****{value[-4:]}"
    assert [str(secret), f"{secret}", format(secret), f"{secret:s}"] == [expected] * 4
    assert [repr(secret), f"{secret!r}"] == [f"Secret({expected})"] * 2
    assert f"{secret!s:>20}" == expected.rjust(20)
    assert repr(Holder(secret)) == f"Holder(number=Secret({expected}))"


def test_logging_json_pickle_and_tracebacks_do_not_leak(caplog):
    secret = Secret(CANARY)

    with caplog.at_level(logging.INFO):
        logging.getLogger("x").info("card %s %r", secret, {"number": secret})
    with pytest.raises(TypeError) as in_json:
        json.dumps({"number": secret})
    with pytest.raises(TypeError) as in_pickle:
        pickle.dumps(secret)
    with pytest.raises(TypeError) as in_arithmetic:
        secret + "x"

    told = caplog.text + json.dumps({"number": secret}, default=str)
    for caught in (in_json, in_pickle, in_arithmetic):
        told += "".join(traceback.format_exception(caught.value))
    assert "5555-6666" not in told
    assert "****9876" in caplog.text


def test_a_secret_has_no_attributes_to_walk():
    assert not hasattr(Secret(CANARY), "__dict__")
    assert copy.deepcopy(Secret(CANARY)) == Secret(CANARY)
    assert asdict(Holder(Secret(CANARY)))["number"].reveal() == CANARY


def test_secrets_compare_by_value_and_not_with_text():
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert {Secret("a"), Secret("a")} == {Secret("a")}


@pytest.mark.parametrize(
    ("text", "shown"),
    [("", "****"), ("1234", "****"), ("12345678", "****"), ("123456789", "****6789")],
)
def test_a_short_value_is_masked_whole(text, shown):
    assert masked(text) == shown


def test_text_that_is_not_unicode_is_refused_without_showing_it():
    with pytest.raises(ValueError, match="encodable") as caught:
        OLD.seal(Purpose.CODES, CANARY + "\ud800", **PLACE)

    assert caught.value.__context__ is None
    assert "5555-6666" not in "".join(traceback.format_exception(caught.value))
