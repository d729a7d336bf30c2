"""Reloadly's pages: asked for from 1, shown from 0."""

from collections.abc import Mapping
from typing import Any

from ops.sandbox.reloadly_door import invalid


def report_page(
    content: list[dict[str, Any]], *, total: int, number: int, size: int
) -> dict[str, Any]:
    """Write one page; pages are asked for from 1 and shown from 0."""
    pages = -(-total // size)
    sort = {"sorted": True, "unsorted": False, "empty": False}
    return {
        "content": content,
        "pageable": {
            "sort": sort,
            "pageNumber": number,
            "pageSize": size,
            "offset": number * size,
            "unpaged": False,
            "paged": True,
        },
        "totalElements": total,
        "totalPages": pages,
        "last": number + 1 >= pages,
        "first": number == 0,
        "sort": sort,
        "numberOfElements": len(content),
        "size": size,
        "number": number,
        "empty": not content,
    }


def page_asked(arguments: Mapping[str, str], *, size_max: int) -> tuple[int, int]:
    """Return the page's number from 0 and its size; page 0 and page 1 are the same page."""
    number = whole(arguments.get("page", "1"), "page")
    size = whole(arguments.get("size", str(size_max)), "size")
    return max(number - 1, 0), min(max(size, 1), size_max)


def whole(text: str, name: str) -> int:
    if not text.isdecimal():
        raise invalid(name)
    return int(text)
