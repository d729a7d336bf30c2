"""When looking for codes that nobody has is guessing: one caller's, and everybody's (EC-029, SEC-19)."""

from collections.abc import Sequence
from statistics import median

from pipelines.access.rate_policies import HOUR, MINUTE, Rule, Subject

#: Who missed oftener than the policy `miss` allows gets no answer for so long.
BLOCK = Rule("miss-block", Subject.CALLER, 1, 15 * MINUTE)
#: A credential speaks for many people: a code that it asks for again is no new miss.
SEEN = Rule("miss-seen", Subject.CALLER, 1, HOUR)
#: After so many misses in an hour a door that is not worth a gift asks for a person.
DOUBT_FROM = 10
#: An hour with so many times the misses of a usual one is an attack from many places.
UNUSUAL_TIMES = 5
#: Fewer than this are none, however quiet the house was.
UNUSUAL_FROM = 250
#: How long the alarm lasts after the miss that raised it.
ALARM_SECONDS = HOUR


def is_unusual(this_hour: int, earlier: Sequence[int]) -> bool:
    """Whether this hour's misses stand out from the earlier hours'.

    The median is compared with, so that the attack's own hours do not soon become the usual ones.
    """
    return this_hour > max(UNUSUAL_FROM, UNUSUAL_TIMES * median(earlier))
