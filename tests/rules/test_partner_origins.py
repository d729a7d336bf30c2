"""Origins of partners' sites: as browsers write them, and nothing that is nearly one (EC-114)."""

import pytest

from pipelines.partners.origins import origin_errors, origin_fault

GOOD = (
    "https://shop.example",
    "https://www.shop.example",
    "https://shop.example:8443",
    "https://xn--bcher-kva.example",
    "https://a-b.c1.example",
)
AT_A_DESK = (
    "http://localhost:5000",
    "http://127.0.0.1:8100",
    "http://shop.example",
    "https://shop",
)
BAD = (
    "",
    "null",
    "*",
    "https://*.shop.example",
    "https://shop.example/",
    "https://shop.example/path",
    "https://shop.example?x=1",
    "https://shop.example#x",
    "https://SHOP.example",
    "https://shop.example:443",
    "https://shop.example:0",
    "https://shop.example:08443",
    "https://shop.example:99999",
    "https://shop.example:",
    "https://user@shop.example",
    "https://shop.example.",
    "https://-shop.example",
    "https://shop_1.example",
    "https://bücher.example",
    "https://",
    "https:///x",
    "https://[::1]",
    "ftp://shop.example",
    "javascript:alert(1)",
    "shop.example",
    "//shop.example",
    " https://shop.example",
    "https://shop.example\n",
    "https://a.example;script-src 'unsafe-inline'",
    "https://a.example https://b.example",
    f"https://{'a' * 250}.example",
)


@pytest.mark.parametrize("origin", GOOD)
def test_ec114_an_origin_as_browsers_write_it_is_good(origin: str) -> None:
    assert origin_fault(origin, anywhere=False) is None


@pytest.mark.parametrize("origin", AT_A_DESK)
def test_at_a_desk_an_origin_may_be_of_this_machine(origin: str) -> None:
    assert origin_fault(origin, anywhere=True) is None
    assert origin_fault(origin, anywhere=False) is not None


@pytest.mark.parametrize("origin", BAD)
@pytest.mark.parametrize("anywhere", [True, False])
def test_ec114_what_is_nearly_an_origin_is_refused(origin: str, *, anywhere: bool) -> None:
    assert origin_fault(origin, anywhere=anywhere) is not None


@pytest.mark.parametrize("origin", ["https://10.0.0.1", "https://127.1", "https://2130706433"])
def test_in_production_an_origin_has_a_name(origin: str) -> None:
    assert origin_fault(origin, anywhere=False) is not None


def test_each_fault_says_where_it_is() -> None:
    errors = origin_errors(
        ["https://a.example", "https://a.example", "https://B.example"], anywhere=False
    )

    assert [error.pointer for error in errors] == ["/origins/1", "/origins/2"]
