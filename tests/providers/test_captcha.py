"""Whether a person is there, asked of the sandbox over real HTTP (S2-048)."""

import secrets

import pytest

from pipelines.providers import captcha
from pipelines.providers.captcha import CaptchaVerifier, Verdict
from pipelines.providers.transport import VendorTransport


@pytest.fixture(params=["turnstile", "hcaptcha"])
def url(request, sandbox) -> str:
    return f"{sandbox.url}/captcha/{request.param}/siteverify"


def verifier(url: str, secret: str = "sandbox") -> CaptchaVerifier:
    return CaptchaVerifier(VendorTransport(), url=url, secret=secret)


def person() -> str:
    return f"human-{secrets.token_hex(8)}"


def test_a_person_is_a_person_once(url):
    response = person()

    assert verifier(url).verify(response) is Verdict.HUMAN
    assert verifier(url).verify(response) is Verdict.REFUSED


@pytest.mark.parametrize("response", ["robot", "human x", "é", "\ud800", "human-" + "x" * 16_384])
def test_whatever_else_is_sent_is_no_person(url, response):
    assert verifier(url).verify(response) is Verdict.REFUSED


@pytest.mark.parametrize("fault", ["error_500", "internal_error", "html_502", "garbage", "drop"])
def test_a_company_in_trouble_says_nothing_about_who_asks(sandbox, url, fault):
    sandbox.control("PUT", "/captcha/faults", {fault: {"always": True}})

    assert verifier(url).verify(person()) is Verdict.AWAY


def test_a_slow_company_is_not_waited_for(sandbox, url, monkeypatch):
    monkeypatch.setattr(captcha, "DEADLINE_SECONDS", 0.2)
    sandbox.control("PUT", "/captcha/faults", {"slow": {"always": True, "seconds": 30}})

    assert verifier(url).verify(person()) is Verdict.AWAY


def test_a_company_that_is_not_there_is_away():
    assert verifier("http://127.0.0.1:1/siteverify").verify(person()) is Verdict.AWAY


def test_a_wrong_secret_of_ours_locks_nobody_out(url):
    assert verifier(url, secret="other").verify(person()) is Verdict.AWAY
