"""Every text of the frame by language; whoever speaks another reads English."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

DEFAULT = "en"


@dataclass(frozen=True, slots=True)
class Words:
    """What the frame says; `*_said` is spoken to who does not see the page."""

    title: str
    loading: str
    without_script: str
    offers: str
    offers_said: str
    more: str
    claim: str
    claiming: str
    until: str
    faster: str
    own: str
    claimed: str
    claimed_said: str
    already: str
    already_said: str
    next_one: str
    redeemed: str
    void: str
    withdrawn: str
    withdrawn_text: str
    code_label: str
    copy: str
    copied: str
    copied_said: str
    copy_by_hand: str
    none: str
    none_text: str
    look_again: str
    renewing_said: str
    unknown: str
    unknown_text: str
    not_now_text: str
    foreign: str
    foreign_text: str
    away: str
    away_text: str
    away_claim_text: str
    try_again: str
    limited: str
    limited_text: str
    limited_over: str
    failed: str
    failed_text: str
    reference: str


ENGLISH = Words(
    title="Your coupon of the month",
    loading="Looking for your coupons…",
    without_script="Coupons are shown by a script. Please allow scripts on this page.",
    offers="Choose one coupon this month.",
    offers_said="Your offers are here. Choose one.",
    more="Show more offers",
    claim="Claim",
    claiming="Claiming…",
    until="Good until",
    faster="Somebody was faster, and this coupon is taken. These are left:",
    own="Your code",
    claimed="It is yours. Keep the code; you find it here until the next one.",
    claimed_said="Claimed. Your code is shown.",
    already="You have claimed this month's coupon.",
    already_said="You have a coupon this month. Your code is shown.",
    next_one="The next one from",
    redeemed="It has been redeemed.",
    void="It is not good any more. Please ask this website.",
    withdrawn="Your coupon was taken back",
    withdrawn_text="The coupon that you claimed this month is yours no more. Please ask this website.",
    code_label="Code",
    copy="Copy the code",
    copied="Copied",
    copied_said="The code is copied.",
    copy_by_hand="Your browser does not let us copy. The code is selected: copy it yourself.",
    none="No coupon to choose",
    none_text="There are no coupons here just now. Look again later.",
    look_again="Look again",
    renewing_said="One moment, we confirm again who you are.",
    unknown="We do not know who you are",
    unknown_text="Please sign in on this website, then try again.",
    not_now_text="The coupons cannot be shown just now.",
    foreign="Not to be shown here",
    foreign_text="These coupons cannot be shown on this website.",
    away="No answer",
    away_text="Your connection may be down, or we are slow. Nothing was changed.",
    away_claim_text="Your connection may be down. Try again: you cannot be given two by that.",
    try_again="Try again",
    limited="A moment, please",
    limited_text="That was too often. Try again in {seconds} s.",
    limited_over="You can try again now.",
    failed="This did not work",
    failed_text="Something went wrong on our side. Try again in a moment.",
    reference="Reference",
)
GERMAN = Words(
    title="Ihr Gutschein des Monats",
    loading="Ihre Gutscheine werden gesucht…",
    without_script="Gutscheine zeigt ein Skript. Bitte erlauben Sie Skripte auf dieser Seite.",
    offers="Wählen Sie einen Gutschein in diesem Monat.",
    offers_said="Ihre Angebote sind da. Wählen Sie eines.",
    more="Mehr Angebote zeigen",
    claim="Holen",
    claiming="Wird geholt…",
    until="Gültig bis",
    faster="Jemand war schneller, und dieser Gutschein ist vergeben. Diese sind noch da:",
    own="Ihr Code",
    claimed="Er gehört Ihnen. Sie finden den Code hier, bis es den nächsten gibt.",
    claimed_said="Geholt. Ihr Code wird angezeigt.",
    already="Den Gutschein dieses Monats haben Sie schon.",
    already_said="Sie haben in diesem Monat einen Gutschein. Ihr Code wird angezeigt.",
    next_one="Den nächsten gibt es ab",
    redeemed="Er wurde eingelöst.",
    void="Er gilt nicht mehr. Bitte fragen Sie diese Website.",
    withdrawn="Ihr Gutschein wurde zurückgenommen",
    withdrawn_text="Der Gutschein dieses Monats gehört Ihnen nicht mehr. Bitte fragen Sie diese Website.",
    code_label="Code",
    copy="Code kopieren",
    copied="Kopiert",
    copied_said="Der Code ist kopiert.",
    copy_by_hand="Ihr Browser lässt uns nicht kopieren. Der Code ist markiert: kopieren Sie ihn selbst.",
    none="Kein Gutschein zur Wahl",
    none_text="Hier gibt es zurzeit keine Gutscheine. Sehen Sie später wieder nach.",
    look_again="Wieder nachsehen",
    renewing_said="Einen Moment, wir fragen noch einmal, wer Sie sind.",
    unknown="Wir wissen nicht, wer Sie sind",
    unknown_text="Bitte melden Sie sich auf dieser Website an, dann versuchen Sie es wieder.",
    not_now_text="Die Gutscheine können gerade nicht gezeigt werden.",
    foreign="Hier nicht zu zeigen",
    foreign_text="Diese Gutscheine können auf dieser Website nicht gezeigt werden.",
    away="Keine Antwort",
    away_text="Vielleicht fehlt die Verbindung, oder wir sind langsam. Geändert wurde nichts.",
    away_claim_text="Vielleicht fehlt die Verbindung. Versuchen Sie es wieder: zwei werden es dadurch nicht.",
    try_again="Wieder versuchen",
    limited="Einen Moment, bitte",
    limited_text="Das war zu oft. Versuchen Sie es in {seconds} s wieder.",
    limited_over="Sie können es jetzt wieder versuchen.",
    failed="Das ging nicht",
    failed_text="Bei uns ist etwas schiefgegangen. Versuchen Sie es gleich wieder.",
    reference="Referenz",
)
WORDS: Mapping[str, Words] = {"en": ENGLISH, "de": GERMAN}


def language_of(asked: str, accepted: Iterable[str]) -> str:
    """The language that was asked for, else the first that the browser takes, else English."""
    for tag in (asked, *accepted):
        language = tag.replace("_", "-").partition("-")[0].lower()
        if language in WORDS:
            return language
    return DEFAULT
