"""The catalogue of verdicts in words: what happened to an item, and what a person can do."""

from collections.abc import Mapping
from dataclasses import dataclass

from models.jobs import ItemState


@dataclass(frozen=True, slots=True)
class Message:
    """A code as people read it: a short title and the remedy."""

    title: str
    remedy: str


UNKNOWN = Message(
    "Another reason",
    "Download the results and look at the detail of each row. Support can help with the code.",
)
_CORRECT_ROW = "Correct the row in your file and upload it again; other rows are not affected."
_SEND_NEW = "Correct these rows and send them as a new job."

CATALOGUE: Mapping[str, Message] = {
    # Rows of a file
    "required": Message("A required value is missing", _CORRECT_ROW),
    "invalid_email": Message("The e-mail address is not valid", _CORRECT_ROW),
    "invalid_phone": Message(
        "The phone number is not valid",
        "Write it with its country code, such as +49 30 901820.",
    ),
    "illegal_character": Message("The value has control characters", _CORRECT_ROW),
    "invalid_amount": Message(
        "The amount is not valid",
        "In “amount” write 25 or 25.50; in “denomination_minor” write 2500 for 25.00. If it is "
        "written so, the supplier does not sell this amount: choose another.",
    ),
    "invalid_precision": Message("The amount has too many digits after the point", _CORRECT_ROW),
    "amount_not_positive": Message("The amount is zero", _CORRECT_ROW),
    "amount_out_of_range": Message("The amount is too large", _CORRECT_ROW),
    "too_long": Message("The value is too long", _CORRECT_ROW),
    "external_id_length": Message("The reference is too long", _CORRECT_ROW),
    "column_count": Message(
        "The row has more or fewer cells than the header",
        "Usually a comma inside a value: put that value in double quotes.",
    ),
    "brand_unavailable": Message(
        "The brand is not available to this client",
        "Check its spelling, or ask your agency to allow the brand.",
    ),
    "currency_mismatch": Message(
        "The brand is in another currency than the job",
        "Send the rows of each currency as a job of their own.",
    ),
    "duplicate_recipient": Message(
        "The recipient stands in the file twice",
        "Keep the first row of each recipient, or remove the repeats from the file.",
    ),
    "confusable_address": Message(
        "The address mixes letters that look alike",
        "Compare it with what the recipient gave you; someone may be passing for somebody else.",
    ),
    "plus_address": Message(
        "The address has a tag after its plus",
        "Look whether the same person stands in the file under another tag.",
    ),
    "already_served": Message(
        "The recipient got a card of this campaign before",
        "Nothing to do: nobody gets a second card by accident.",
    ),
    # Rows of a file of people
    "invalid_id": Message(
        "The user id is not one of ours",
        "Leave it out and give the address or external id instead.",
    ),
    "user_not_found": Message(
        "Nobody is known by this",
        "Check the spelling, or add the people anew and let those who are missing be made.",
    ),
    "identifiers_differ": Message(
        "The identifiers lead to different people",
        "Look who has this address and who has this external id; keep the one that is meant.",
    ),
    "duplicate_in_file": Message(
        "The person stands in the file before", "Nothing to do: each person is added once."
    ),
    "already_member": Message("The person is in the pool already", "Nothing to do."),
    "not_a_member": Message(
        "The person is not in the pool", "Nothing to do, if the right people were named."
    ),
    "recipient_inactive": Message(
        "The person’s account is disabled", "Enable it first, if they shall be given something."
    ),
    # Coupons of a book
    "user_limit_reached": Message(
        "The person has as many coupons of the book as one may",
        "Nothing to do, or raise the book’s limit for each person and distribute again.",
    ),
    "coupon_limit_reached": Message(
        "The coupon was redeemed as often as it may be",
        "Nothing to do: it is used up. Raise the book’s limit for each coupon, or void it.",
    ),
    "book_limit_reached": Message(
        "The book has given as much as it may", "Raise the book’s limit, then retry."
    ),
    "book_exhausted": Message(
        "The book had no coupon left", "Generate or upload more codes, then retry."
    ),
    "book_closed": Message("The book was closed meanwhile", "Reopen the book, then retry."),
    "book_expired": Message(
        "The book expired meanwhile", "Set a later end of the book, then retry."
    ),
    "book_not_started": Message(
        "The book has not started", "Its coupons can be redeemed from its start on."
    ),
    "coupon_not_available": Message(
        "Somebody else has the coupon", "Retry: another one of the book is drawn."
    ),
    "concurrent_redemption": Message(
        "Something else was done with the coupon at the same moment", "Retry."
    ),
    "atomic_rolled_back": Message(
        "Another person could not be served, and it was all or nothing",
        "See who it was, leave them out of the pool, and distribute again.",
    ),
    "already_redeemed": Message(
        "The coupon was redeemed", "Nothing to do: what was redeemed stays with its holder."
    ),
    "coupon_locked": Message(
        "The holder has set the coupon aside just now", "Try again in five minutes."
    ),
    "terminal_state": Message(
        "The coupon was redeemed as often as it can be", "Nothing to do: it stays as it is."
    ),
    "invalid_transition": Message(
        "The coupon was in another state by then",
        "Look at the coupon, and ask again if it still can.",
    ),
    "coupon_void": Message("The coupon was withdrawn", "Nothing to do: it is nobody’s."),
    "already_released": Message(
        "The coupon was taken back before", "Nothing to do: it is in its book."
    ),
    # Taking back
    "already_revealed": Message(
        "The recipient has seen the card",
        "It stays with them and stays charged: what was seen cannot be taken back.",
    ),
    "already_undone": Message(
        "The card was taken back before", "Nothing to do: an earlier undo has done it."
    ),
    "already_replaced": Message(
        "The card did not work and was replaced",
        "Nothing to do: its charge went to the newer card, which an undo of that job takes back.",
    ),
    # Rows of a file of cards
    "duplicate_card": Message(
        "This card stands in the file or in stock already; it was left out.",
        "Nothing to do: a card is kept once, in the pool that had it first.",
    ),
    "code_charset": Message(
        "The number or code has other characters than letters, digits and hyphens",
        "Look for quotes, dots or letters of other scripts, and import the corrected rows.",
    ),
    "code_length": Message(
        "The number or code is too short or too long",
        "It has 4 to 64 characters; look for cells that were cut or joined.",
    ),
    "duplicate_code": Message(
        "The code stands in the file, or in a book of this client, already",
        "Nothing to do: a code is kept once, in the book that had it first.",
    ),
    "code_exists": Message(
        "The client has this discount code already",
        "Nothing to do if it does what it should; or choose another text for the row.",
    ),
    "duplicate_row": Message(
        "The same discount code stands in the file twice", "Keep one row of each code."
    ),
    "choice": Message("The value is none of those that are possible", _CORRECT_ROW),
    "invalid_number": Message("The value is no whole number", _CORRECT_ROW),
    "out_of_range": Message("The number is too small or too large", _CORRECT_ROW),
    "not_both": Message(
        "Two columns contradict each other",
        "A percentage has “percent_bp” and no “amount_minor”; a fixed discount the other way round.",
    ),
    "unknown_currency": Message(
        "The currency is not known", "Write its ISO 4217 code, such as USD."
    ),
    "invalid_timestamp": Message("The time is not valid", "Write it as 2027-01-31T09:00:00Z."),
    "timezone_required": Message(
        "The time has no zone", "Write its zone behind it, such as Z or +02:00."
    ),
    "invalid_tiers": Message(
        "The tiers cannot be read",
        "Write them as 10000:1500;20000:2000: from which amount on, and what is taken off then.",
    ),
    "tier_not_ascending": Message(
        "A tier begins before, or gives no more than, the one before it",
        "Who spends more saves more: let each begin later and give more than the one before.",
    ),
    "window_ends_first": Message("The code expires before it starts", _CORRECT_ROW),
    "code_differs": Message(
        "The redemption code is loaded with another brand or value",
        "Withdraw the campaign's open codes first, or leave the code out.",
    ),
    "looks_like_spreadsheet_damage": Message(
        "A spreadsheet seems to have rounded the card number",
        "Format the column as text, export the original file again and import that.",
    ),
    "invalid_pin": Message(
        "The PIN is missing or is not 4 to 8 digits",
        "Keep leading zeros: format the column as text before exporting.",
    ),
    "invalid_date": Message(
        "The expiry date is not valid", "Write it as YYYY-MM-DD, such as 2031-12-31."
    ),
    "already_expired": Message(
        "The card has expired already", "Ask whoever sold it for another; it was left out."
    ),
    # Fulfilment
    "no_inventory": Message(
        "No card was in stock",
        "Import cards of this brand and amount, then retry. Nothing was charged.",
    ),
    "out_of_stock": Message(
        "The supplier was out of stock",
        "Retry later, or import cards of this amount. Nothing was charged.",
    ),
    "product_unavailable": Message(
        "The supplier does not sell this card now",
        "Retry later, or choose another brand. Nothing was charged.",
    ),
    "denomination_unavailable": Message(
        "The brand is not sold in this amount", "Choose another amount and send a new job."
    ),
    "vendor_rejected": Message(
        "The supplier refused the order",
        "Retry once; if it is refused again, choose another amount or brand. Nothing was charged.",
    ),
    "refunded": Message("The supplier took the order back", "Retry. Nothing was charged."),
    "vendor_auth": Message(
        "The supplier does not accept our credentials",
        "The platform has been told. Retry when it is mended; nothing was charged.",
    ),
    "vendor_not_configured": Message(
        "The supplier is not connected to this installation",
        "Ask the platform to connect it, or import cards. Nothing was charged.",
    ),
    "vendor_disabled": Message(
        "The supplier is out of use",
        "The platform has taken it out of use. Retry when it is back; nothing was charged.",
    ),
    "never_placed": Message(
        "The order did not reach the supplier", "Retry. Nothing was bought or charged."
    ),
    "vendor_insufficient_balance": Message(
        "Our account at the supplier is short",
        "The platform has been told. Retry when it has been topped up; nothing was charged.",
    ),
    "vendor_unreachable": Message(
        "The supplier did not answer",
        "Retry in a few minutes. Nothing was ordered and nothing was charged.",
    ),
    "provider_outcome_unknown": Message(
        "The supplier has not said whether it sold the card",
        "A person is looking into it. Do not send these recipients again meanwhile.",
    ),
    "provider_conflict": Message(
        "The supplier's answers disagree",
        "A person is looking into it. Do not send these recipients again meanwhile.",
    ),
    "value_mismatch": Message(
        "The supplier sent a card of another value",
        "The card is kept back. A person is looking into it.",
    ),
    "margin_below_floor": Message(
        "Every card that could be had costs too much for its price",
        "Nothing was bought and the credit stays held. The platform corrects floor, cost or stock; then retry. To give up frees the credit.",
    ),
    "card_expires_soon": Message(
        "The supplier sent a card that expires too soon to be given to anybody",
        "The card is kept back. A person is looking into it.",
    ),
    "code_not_delivered": Message(
        "The supplier sold the card and has not sent its code",
        "A person is looking into it. Do not send these recipients again meanwhile.",
    ),
    "insufficient_credit": Message(
        "There was not enough credit", "Ask for an allocation, then retry."
    ),
    "refill_paused": Message(
        "Filling of this buffer was paused, or the pool disabled",
        "Go on with it when its cards are wanted again.",
    ),
    "job_cancelled": Message(
        "The job was cancelled before this item",
        "Its credit was released. Send the rows again if they are still wanted.",
    ),
    "account_suspended": Message("The account was suspended", "Ask your agency to resume it."),
    "campaign_closed": Message("The campaign was closed", _SEND_NEW),
    "campaign_not_started": Message(
        "The campaign has not started", "Retry when it has, or let it start earlier."
    ),
    "campaign_ended": Message(
        "The campaign ended before this item was begun", "Let it end later, then retry."
    ),
    "campaign_rewards_exhausted": Message(
        "The campaign has given all its rewards",
        "Raise the number of its rewards, then send these rows as a new job.",
    ),
    "recipient_limit_reached": Message(
        "The recipient has got as many rewards as one may",
        "Leave these rows out, or raise the campaign’s limit for each recipient.",
    ),
    "internal_error": Message(
        "Something went wrong on our side",
        "Retry. If it happens again, tell support the job's number. Nothing was charged.",
    ),
}


#: Codes that mean another thing while a person must look.
IN_REVIEW: Mapping[str, Message] = {
    "duplicate_card": Message(
        "The supplier sent a card that is known already",
        "The card is kept back. A person is looking into it.",
    ),
}


def message_of(code: str | None, state: str | None = None) -> Message:
    """The words for a code of an item in `state`; unknown codes have a message too."""
    if code is None:
        return UNKNOWN
    if state == ItemState.NEEDS_REVIEW and code in IN_REVIEW:
        return IN_REVIEW[code]
    return CATALOGUE.get(code, UNKNOWN)
