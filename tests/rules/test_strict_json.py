"""A JSON body has one meaning or none: J01 and J03 to J12 of the table of bad inputs."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import Kind, Refusal, ValidationFailed
from pipelines.limits import DEFAULTS
from web.strict_json import parse_json_object


def reason_of(raw):
    with pytest.raises(Refusal) as caught:
        parse_json_object(raw)
    assert caught.value.code == "malformed_json"
    assert caught.value.kind is Kind.MALFORMED
    return caught.value.extra["reason"]


def nested(depth):
    return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)


def test_an_ordinary_object_is_read_with_exact_fractions():
    raw = '{"name": "José 🎁", "n": -25, "x": 0.30000000000000004, "e": 1e2, "l": [null, true]}'

    assert parse_json_object(raw.encode()) == {
        "name": "José 🎁",
        "n": -25,
        "x": Decimal("0.30000000000000004"),
        "e": Decimal("1e2"),
        "l": [None, True],
    }


@pytest.mark.parametrize("raw", [b"", b"  \r\n\t", b"\xef\xbb\xbf", b"\xef\xbb\xbf \n"])
def test_an_empty_body_is_named(raw):
    """J01."""
    assert reason_of(raw) == "empty_body"


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b'{"a":1,}',
        b'{"a":1 /* x */}',
        b"// x\n{}",
        b"{} {}",
        b"{'a':1}",
        b'{"a":01}',
        b'{"a":+1}',
        b'{"a":.5}',
        b'{"a":1.}',
        b'{"a":"x',
        b'{"a":"x\\',
        b'{"a":"\n"}',
        b'{"a":"x\0y"}',
        b'{"a":"\\ud8"}',
        b"a=1&b=2",
        b"\xef\xbb\xbf\xef\xbb\xbf{}",
        b"]}",
    ],
)
def test_what_is_not_json_is_a_syntax_error(raw):
    """J01; a raw NUL of J12."""
    assert reason_of(raw) == "syntax"


@pytest.mark.parametrize(
    "raw",
    [
        '{"a":1}'.encode("utf-16"),
        '{"a":1}'.encode("utf-16-le"),
        '{"a":1}'.encode("utf-16-be"),
        '{"a":1}'.encode("utf-32"),
        '{"a":"José"}'.encode("latin-1"),
        b'{"a":"\xed\xa0\x80"}',
    ],
)
def test_other_encodings_are_not_utf_8(raw):
    """J03."""
    assert reason_of(raw) == "not_utf8"


def test_one_byte_order_mark_is_accepted():
    """J04."""
    assert parse_json_object(b'\xef\xbb\xbf{"a":1}') == {"a": 1}


@pytest.mark.parametrize("raw", [b"[]", b'[{"a":1}]', b'"x"', b"5", b"5.5", b"null", b"true"])
def test_the_top_must_be_an_object(raw):
    """J05."""
    assert reason_of(raw) == "object_expected"


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (b"NaN", "non_finite_number"),
        (b"Infinity", "non_finite_number"),
        (b"-Infinity", "non_finite_number"),
        (b"1e400", "number_too_long"),
        (b"-1E+400", "number_too_long"),
        (b"1e-400", "number_too_long"),
        (b"1e" + b"9" * 5_000, "number_too_long"),
    ],
)
def test_numbers_that_no_column_holds_are_refused(number, reason):
    """J06."""
    assert reason_of(b'{"a":[' + number + b"]}") == reason


@pytest.mark.parametrize(
    "raw",
    [b'{"amount":1,"amount":1000}', b'{"a":[{"b":{"c":1,"c":1}}]}', b'{"a":1,"\\u0061":2}'],
)
def test_a_key_given_twice_is_refused_at_any_depth(raw):
    """J07."""
    assert reason_of(raw) == "duplicate_key"


@pytest.mark.parametrize("depth", [900, 2_000, 100_000])
@pytest.mark.parametrize("end", [b"", b"]"])
def test_deep_nesting_is_refused_before_it_is_parsed(depth, end):
    """J08."""
    assert reason_of(b'{"a":' + b"[" * depth + end * depth) == "too_deep"


def test_sixteen_levels_are_read_and_seventeen_refused():
    """J08."""
    assert json.loads(nested(16)) == parse_json_object(nested(16))
    assert reason_of(nested(17)) == "too_deep"


def test_brackets_inside_strings_are_not_nesting():
    raw = rb'{"a":"\"[[[[[[[[[[[[[[[[[[[[\\", "b":"{{{{{{{{{{{{{{{{{{{{"}'

    assert parse_json_object(raw) == {"a": '"[[[[[[[[[[[[[[[[[[[[\\', "b": "{" * 20}


@pytest.mark.parametrize("digits", [21, 4_000, 5_000])
@pytest.mark.parametrize("sign", [b"", b"-"])
def test_long_numbers_are_refused(digits, sign):
    """J09."""
    assert reason_of(b'{"a":' + sign + b"9" * digits + b"}") == "number_too_long"
    assert reason_of(b'{"a":' + sign + b"9." + b"9" * (digits - 1) + b"}") == "number_too_long"


def test_numbers_of_twenty_digits_are_read():
    """J09."""
    raw = b'{"a":-' + b"9" * 20 + b',"b":9.' + b"9" * 19 + b',"c":1e20}'

    assert parse_json_object(raw) == {
        "a": -(10**20) + 1,
        "b": Decimal("9." + "9" * 19),
        "c": Decimal("1e20"),
    }


@pytest.mark.parametrize(
    ("raw", "pointers"),
    [
        (b'{"name":"\\ud800"}', ["/name"]),
        (b'{"name":"x\\udfffy"}', ["/name"]),
        (b'{"name":"\\u0000"}', ["/name"]),
        (b'{"a":[{"b/~":"\\u0000"}, "\\ud800"]}', ["/a/0/b~1~0", "/a/1"]),
        (b'{"\\ud800":1}', ["/\ufffd"]),
        (b'{"a":{"' + b"k" * 20_000 + b'":"\\u0000"}}', ["/a/" + "k" * 64]),
    ],
)
def test_text_that_cannot_be_stored_is_placed(raw, pointers):
    """J12."""
    with pytest.raises(ValidationFailed) as caught:
        parse_json_object(raw)

    assert [error.pointer for error in caught.value.errors] == pointers
    assert {error.code for error in caught.value.errors} == {"illegal_character"}


def test_a_surrogate_pair_is_a_character():
    """J12."""
    assert parse_json_object(b'{"a":"\\ud83c\\udf81","b":"\\\\u0000"}') == {
        "a": "🎁",
        "b": "\\u0000",
    }


def test_a_body_above_the_limit_is_too_large():
    limits = replace(DEFAULTS, json_body_bytes_max=8)

    with pytest.raises(Refusal) as caught:
        parse_json_object(b'{"a": 12}', limits=limits)

    assert (caught.value.code, caught.value.kind) == ("payload_too_large", Kind.TOO_LARGE)
    assert parse_json_object(b'{"a": 1}', limits=limits) == {"a": 1}


@pytest.mark.parametrize(
    "unit", [b'\\"', b'"', b"\\", b"[]", b'"\\', b"\\u0000", b'{"a":'], ids=repr
)
def test_no_body_takes_longer_than_its_length(unit):
    """Going back for each byte would take days here: that this ends at all is the proof."""
    raw = (b'{"a":"' + unit * (1024 * 1024))[: 1024 * 1024]

    with pytest.raises(Refusal):
        parse_json_object(raw)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**19), 10**19)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text("abc"), VALUES, max_size=3), st.booleans())
def test_every_object_without_tricks_is_read_as_it_is(body, ascii_only):
    assert parse_json_object(json.dumps(body, ensure_ascii=ascii_only).encode()) == body


@given(st.binary(max_size=40) | st.text('{}[]":,\\u0d8aeE1.-+ ', max_size=40).map(str.encode))
def test_any_bytes_give_an_object_or_a_refusal(raw):
    try:
        body = parse_json_object(raw)
    except Refusal as refusal:
        assert refusal.code in {"malformed_json", "validation_failed"}
    else:
        assert isinstance(body, dict)
