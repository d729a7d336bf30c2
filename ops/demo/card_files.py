"""Make card files for the demo: invented numbers and PINs, different at every run."""

import secrets

NUMBER_CHARACTERS = 16
#: No characters that people confuse: 0 and O, 1 and I.
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
EXPIRES_ON = "2031-12-31"


def card_file(count: int) -> bytes:
    """A CSV of `count` cards with a PIN each."""
    numbers: set[str] = set()
    while len(numbers) < count:
        numbers.add("".join(secrets.choice(ALPHABET) for _ in range(NUMBER_CHARACTERS)))
    rows = [f"{number},{1000 + secrets.randbelow(9000)},{EXPIRES_ON}" for number in numbers]
    return "\n".join(["card_number,pin,expires_on", *rows, ""]).encode()
