"""A refresh token names its sign-in and generation, and a copy of it gives itself away (S1-101)."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from pipelines.access.refresh_tokens import (
    GRACE_SECONDS,
    RefreshClaims,
    Standing,
    read_refresh_token,
    refresh_token,
    standing_of,
)

KEY = b"k" * 48
CLAIMS = st.builds(RefreshClaims, st.uuids(), st.integers(0, 2**32 - 1))


@given(CLAIMS)
def test_what_is_written_is_read(claims: RefreshClaims):
    assert read_refresh_token(refresh_token(claims, key=KEY), key=KEY) == claims


@given(CLAIMS, st.integers(min_value=0), st.characters(codec="ascii"))
def test_no_changed_token_is_read_as_another(claims: RefreshClaims, at: int, character: str):
    token = refresh_token(claims, key=KEY)
    at %= len(token)
    changed = token[:at] + character + token[at + 1 :]

    assert read_refresh_token(changed, key=KEY) in {None, claims}


@given(CLAIMS)
def test_another_key_reads_nothing(claims: RefreshClaims):
    assert read_refresh_token(refresh_token(claims, key=KEY), key=b"j" * 48) is None


@given(st.text(max_size=300))
def test_no_other_text_is_a_token(text: str):
    assert read_refresh_token(text, key=KEY) is None
    assert read_refresh_token("lgr_" + text, key=KEY) is None


def test_the_newest_is_good_the_one_before_for_a_moment_and_older_ones_betray_a_copy():
    just, later = GRACE_SECONDS, GRACE_SECONDS + 0.001

    assert standing_of(4, 4, seconds_since_rotation=later) is Standing.NEWEST
    assert standing_of(3, 4, seconds_since_rotation=just) is Standing.REPEATED
    assert standing_of(3, 4, seconds_since_rotation=later) is Standing.REUSED
    assert standing_of(2, 4, seconds_since_rotation=0.0) is Standing.REUSED
    assert standing_of(5, 4, seconds_since_rotation=0.0) is Standing.REUSED


def test_the_same_claims_give_the_same_text():
    claims = RefreshClaims(UUID(int=7), 3)

    assert refresh_token(claims, key=KEY) == refresh_token(claims, key=KEY)
