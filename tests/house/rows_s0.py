"""Rows of the coupon dispenser's notes (S0) whose tests do not carry the row's number.

A row stands here, or in the name or text of a test, or in `OPEN` with what is missing.
"""

_SESSIONS = "tests/web/test_widget_sessions.py"
PROVEN = {
    "S0-06": "tests/web/test_vendors.py::test_s010_a_secret_is_shown_once_and_then_by_its_last_four_characters",
    "S0-09": "tests/web/test_vendors.py::test_s010_a_secret_is_shown_once_and_then_by_its_last_four_characters",
    "S0-11": f"{_SESSIONS}::test_s018_a_token_becomes_a_session_of_seven_days_in_one_call",
    "S0-13": f"{_SESSIONS}::test_s012_the_same_user_is_the_same_person_from_every_device",
    "S0-14": f"{_SESSIONS}::test_ec107_twenty_first_visits_at_once_make_one_person",
    "S0-15": f"{_SESSIONS}::test_s018_a_token_becomes_a_session_of_seven_days_in_one_call",
    "S0-16": f"{_SESSIONS}::test_s018_a_token_becomes_a_session_of_seven_days_in_one_call",
    "S0-17": "tests/web/test_widget_visits.py::test_ec113_a_session_is_over_after_seven_days",
    "S0-20": "tests/web/test_claims.py::test_ec108_the_second_claim_of_a_month_is_refused_and_takes_nothing",
    "S0-21": "tests/web/test_claims.py::test_ec108_ten_claims_of_one_user_at_once_are_one",
    "S0-25": f"{_SESSIONS}::test_ec102_a_replay_is_known_after_redis_was_emptied",
    "S0-26": f"{_SESSIONS}::test_ec102_a_replay_is_known_after_redis_was_emptied",
    "S0-27": f"{_SESSIONS}::test_ec102_a_replay_is_known_after_redis_was_emptied",
    "S0-28": f"{_SESSIONS}::test_ec102_a_token_opens_one_session_and_the_first_goes_on",
    "S0-30": "tests/web/test_book_codes.py::test_s3_115_codes_are_generated_by_a_job",
    "S0-31": "tests/web/console/test_partner_embed.py::test_s034_a_token_of_each_language_opens_a_session_of_its_user",
    "S0-35": "tests/journeys/test_widget.py::test_s0_035_a_coupon_is_claimed_by_the_keyboard_alone",
    "S0-32": "tests/models/test_migrations.py::test_an_empty_database_becomes_what_the_models_say",
}
#: Row -> what a user cannot do yet, or why there is nothing to do.
OPEN: dict[str, str] = {}
