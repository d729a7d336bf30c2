"""JSON bodies that are refused whatever the route: J01 to J17 of the table."""

from tests.bad_inputs.table import Bad


def malformed(identity: str, raw: object, reason: str) -> Bad:
    return Bad(identity, raw, 400, "malformed_json", extra={"reason": reason})  # type: ignore[arg-type]


BODIES = (
    malformed("J01 empty", b"", "empty_body"),
    *(
        malformed(f"J01 {raw.decode()}", raw, "syntax")
        for raw in (b"{", b'{"a":1,}', b'{"a":1 /* x */}', b"{} {}")
    ),
    malformed("J03 utf-16", '{"a": "é"}'.encode("utf-16"), "not_utf8"),
    malformed("J03 latin-1", b'{"a":"Jos\xe9"}', "not_utf8"),
    *(
        malformed(f"J05 {raw.decode()}", raw, "object_expected")
        for raw in (b"[]", b'"x"', b"5", b"null", b"true")
    ),
    *(
        malformed(f"J06 {raw}", f'{{"a":{raw}}}'.encode(), reason)
        for raw, reason in (
            ("NaN", "non_finite_number"),
            ("Infinity", "non_finite_number"),
            ("1e400", "number_too_long"),
        )
    ),
    malformed("J07", b'{"amount":1,"amount":1000}', "duplicate_key"),
    *(
        malformed(f"J08 {depth}", b'{"a":' + b"[" * depth, "too_deep")
        for depth in (900, 2_000, 100_000)
    ),
    *(
        malformed(f"J09 {digits}", b'{"a":' + b"9" * digits + b"}", "number_too_long")
        for digits in (5_000, 4_000)
    ),
    malformed("J12 raw NUL", b'{"a":"x\0y"}', "syntax"),
    Bad("J12 surrogate", b'{"name":"\\ud800"}', code="validation_failed"),
    Bad("J12 NUL", b'{"name":"\\u0000"}', code="validation_failed"),
    Bad("J14", lambda: b'{"a":"' + b"x" * 1024 * 1024 + b'"}', 413, "payload_too_large"),
    Bad("J14 20 MB", lambda: b"x" * 20_000_000, 413, "payload_too_large"),
)
#: One strange member beside nothing else: every schema refuses it by name (J13, EC-030).
STRANGE_MEMBERS = ("id", "status", "state", "is_admin", "__proto__", "$where", "x" * 20_000)
#: What stands where a text, an integer or a list is due (J10, J11).
STRANGE_VALUES = (True, [], {}, 5.9, -(2**70), "x" * 200_000, "x\r\nBcc: z@z")
