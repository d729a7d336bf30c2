"""axe-core in a page of the browser: what it breaks of WCAG 2.1 A and AA, in words."""

from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

__all__ = ["AXE_SCRIPT", "faults"]

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
#: Everything but contrast, whose cost is nine tenths of all.
WHOLE = {
    "runOnly": TAGS,
    "rules": {"color-contrast": {"enabled": False}},
    "resultTypes": ["violations"],
    "selectors": False,
}
#: Contrast hangs on these alone: texts that look like one judged before are not judged again.
#: Text in a chart and on a card's picture (white on greens, 6:1 at least) lies where axe cannot tell.
FRESH = """known => {
  const seen = new Set(known), fresh = [], looks = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    const field = element.matches("input:not([type=hidden]), select, textarea");
    if (!(own || field) || !element.checkVisibility() || element.closest("svg, .gift")) continue;
    const style = getComputedStyle(element);
    const look = [style.color, style.fontSize, style.fontWeight];
    for (let at = element; at; at = at.parentElement) {
      const ground = getComputedStyle(at);
      const painted = [ground.backgroundColor, ground.backgroundImage, ground.opacity].join(" ");
      if (painted !== "rgba(0, 0, 0, 0) none 1") look.push(painted);
    }
    const key = look.join("|");
    if (!seen.has(key)) { seen.add(key); looks.push(key); fresh.push(element); }
  }
  window.fresh = fresh;
  return looks;
}"""
CONTRAST = """() => axe.run({include: window.fresh}, {
  runOnly: {type: "rule", values: ["color-contrast"]}, selectors: false,
  resultTypes: ["violations", "incomplete"]})"""


def faults(page: Page, looks: set[str]) -> list[str]:
    """Address, rule and markup of each violation in the page; `looks` remembers judged texts.

    The page's context must have `AXE_SCRIPT` as an init script: no page's policy forbids that.
    """
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    found = page.evaluate("options => axe.run(options)", WHOLE)["violations"]
    if fresh := page.evaluate(FRESH, sorted(looks)):
        judged = page.evaluate(CONTRAST)
        found += judged["violations"] + judged["incomplete"]
        looks.update(fresh)
    return [line for one in found for line in _lines(page.url, one)]


def _lines(url: str, violation: dict[str, Any]) -> list[str]:
    return [
        f"{url}: {violation['id']}: {node['html']} {node['failureSummary']}"
        for node in violation["nodes"]
    ]
