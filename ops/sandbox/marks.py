"""What the sandbox's cards and tokens have in common, so that nobody takes them for real ones."""

#: Part of every card number, link and token.
MARK = "KANARIE"
#: Every card's PIN; it begins with a zero, which whoever reads it as a number loses.
PIN = "05041337"
#: How card numbers begin that are sent as JSON integers, the first digit not zero.
INTEGER_MARK = "8105041337"
#: The only key, password or secret that the sandbox's vendors do not take.
WRONG_SECRET = "wrong"
