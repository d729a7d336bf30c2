"""Every mail in words: complete, escaped, and without a way for a value into a header (J22, B46)."""

import pytest
from jinja2 import UndefinedError

from pipelines.mail.templates import FOLDER, Template, render

VALUES = {
    "public_url": "https://gifts.example.com",
    "token": "t0k3n",
    "name": "Ann",
    "inviter": "Bob",
    "place": "Acme",
    "headline": "A pool is empty.",
    "lines": "Critical: one.\nWarning: two.",
    "sender": "Acme",
    "brand": "Shop",
    "amount": "$25.00",
    "book": "Summer Sale",
    "ending": "7Q2K",
    "at": "28 November 2026 at 09:30 UTC",
    "standing": "Your role is client viewer at Acme.",
    "left": "It can be redeemed 2 more times.",
}
WITHOUT_LINK = {"public_url", "name", "inviter", "place"}


@pytest.mark.parametrize("template", Template)
def test_each_mail_has_a_subject_a_text_and_a_page_with_the_same_links(template: Template):
    shown = render(template, VALUES)

    links = {word for word in shown.text.split() if word.startswith("https://")}
    assert shown.subject
    assert "\n" not in shown.subject
    assert links
    assert {link for link in links if link not in shown.html} == set()
    assert "{{" not in shown.text + shown.html


def test_the_folder_has_the_mails_of_the_catalogue_and_no_others():
    names = {path.stem for path in FOLDER.iterdir()} - {"base", "parts"}

    assert names == set(Template)
    assert {f"{name}.{kind}" for name in names for kind in ("txt", "html")} <= {
        path.name for path in FOLDER.iterdir()
    }


def test_a_value_that_is_missing_is_a_fault():
    with pytest.raises(UndefinedError):
        render(Template.PASSWORD_RESET, {"public_url": "https://gifts.example.com"})


def test_markup_in_a_value_is_text():
    shown = render(Template.INVITATION, VALUES | {"inviter": "<b>Bob</b> & co"})

    assert "&lt;b&gt;Bob&lt;/b&gt; &amp; co" in shown.html
    assert "<b>Bob</b> & co" in shown.text


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r", "\n\n", "\u2028", "\x0b", "\x85"])
def test_j22_a_line_end_in_a_value_does_not_leave_the_subject(ending: str):
    shown = render(Template.INVITATION, VALUES | {"inviter": f"Bob{ending}Bcc: eve@x.example"})

    assert shown.subject.splitlines() == [shown.subject]
