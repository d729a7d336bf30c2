"""SEC-17: who may lay a secret open, by file; a new place needs a reason here (decision 0030)."""

import ast

from tests.house.test_sizes import PRODUCT, ROOT, parsed

#: Call sites of `Secret.reveal` -> what becomes of the text there.
REVEALS = {
    "pipelines/sealing.py": "sealed, or made into an index",
    "pipelines/jobs/stored_input.py": "the parser's next bytes",
    "pipelines/erasure/erase.py": "the address to look for; it is erased with the rest",
    "pipelines/pools/import_cards.py": "sealed and indexed, in the import's transaction",
    "pipelines/books/coupon_export.py": "the file of who may open codes; `audit_export` comes before",
    "pipelines/mail/post.py": "address and values of a mail that is about to be sent",
    "pipelines/deliveries/resend.py": "compared with the address that is asked for",
    "pipelines/deliveries/send.py": "the address, to the mail server or the SMS company",
    "pipelines/provisioning/reveal_link.py": "compared with the digits that a recipient typed",
    "pipelines/mail/send.py": "the mail itself, to the mail server",
    "pipelines/access/invitations.py": "address and name, to those above and to make the user",
    "pipelines/erasure/account.py": "whose mail it is, compared with the client that asks",
    "pipelines/access/registration.py": "who registered, to make the user or to forget them",
    "pipelines/access/second_factor.py": "the seed, to prove a code and to enrol",
    "pipelines/providers/token_store.py": "a vendor's token, in a call to that vendor",
    "pipelines/partners/check_token.py": "a partner's key, to verify a token; never shown",
    "pipelines/partners/claims.py": "the answer to who claimed the coupon; `reveal_code` has audited it",
    "pipelines/partners/open_session.py": "a partner's key, to verify a token; never shown",
    "web/api/gift_cards.py": "the answer to who opened the card; `reveal` has audited it",
    "web/api/second_factor.py": "the answer to who enrols, once; the enrolment is audited",
    "web/console/second_factor.py": "the page of who enrols, once; the enrolment is audited",
    "web/api/user_coupons.py": "the answer to who holds the coupon; `reveal_own_code` has audited it",
    "web/console/my_coupons.py": "the page of who holds the coupon; `reveal_own_code` has audited it",
    "web/console/reveal.py": "the page of who opened the card; `reveal` has audited it",
}
#: Call sites of `Keyring.open_sealed` -> how the opening is accounted for.
OPENINGS = {
    "pipelines/jobs/stored_input.py": "a job reads its own upload",
    "pipelines/erasure/erase.py": "erasure.requested in the audit, with the request",
    "pipelines/books/coupon_export.py": "codes.exported in the audit, before the first page",
    "pipelines/mail/post.py": "outgoing_mails says what became of each mail",
    "pipelines/access/invitations.py": "invitation.made and .accepted in the audit",
    "pipelines/access/registration.py": "user.created or person.erased, in the same transaction",
    "pipelines/access/second_factor.py": "the seed never leaves it but at enrolment",
    "pipelines/providers/token_store.py": "used as it is in each call; opens no card",
    "pipelines/partners/secrets.py": "partner.secret_drawn and .secret_rotated; used to verify tokens",
    "pipelines/provisioning/deliveries.py": "deliveries say what became of each link",
    "pipelines/books/reveal_code.py": "coupon.revealed in the audit, in the same transaction",
    "pipelines/provisioning/reveal.py": "card.revealed in the audit, in the same transaction",
}


def callers(method: str) -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for path, tree in parsed(*PRODUCT)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == method
    }


def test_sec017_secrets_are_laid_open_in_these_places_alone() -> None:
    """SEC-17"""
    assert callers("reveal") == set(REVEALS)


def test_sec017_sealed_values_are_opened_where_it_is_accounted_for() -> None:
    """SEC-17: what a door shows has come through `reveal`, which audits before it opens."""
    assert callers("open_sealed") == set(OPENINGS)
