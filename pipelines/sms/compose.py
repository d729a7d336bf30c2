"""The words of an SMS: who sends a card, what it is, and its link, never its number (EC-079)."""

#: Of a sender's and a brand's name; the whole stays within four parts of a long message.
NAME_CHARACTERS_MAX = 60


def gift_card_text(*, sender: str, brand: str, amount: str, url: str) -> str:
    """One line of plain text, whatever the names hold."""
    return f"{_short(sender)} sent you a {amount} gift card for {_short(brand)}. Open it: {url}"


def _short(name: str) -> str:
    plain = " ".join(name.split())
    return plain if len(plain) <= NAME_CHARACTERS_MAX else f"{plain[: NAME_CHARACTERS_MAX - 1]}…"
