"""What a page must be for everybody, computed from the page as the browser made it.

Names: every control and link has one. Headings: one of the first level, none skips a level. Contrast: text stands out by
4.5:1 from what is painted behind it, 3:1 where it is large (WCAG 2.2, 1.4.3). Width: nothing is wider than the screen.
"""

from __future__ import annotations

from playwright.sync_api import Page

_LOOK = r"""
() => {
  const found = [];
  const shown = (e) => e.checkVisibility({visibilityProperty: true, opacityProperty: true});
  const told = (e) => e.outerHTML.slice(0, 120).replace(/\s+/g, " ");
  const nameOf = (e) => {
    const by = (e.getAttribute("aria-labelledby") || "").split(/\s+/).map((id) => document.getElementById(id));
    const label = e.id && document.querySelector(`label[for="${e.id}"]`);
    const text = [e.getAttribute("aria-label"), ...by.map((one) => one && one.textContent), label && label.textContent,
                  e.closest("label") && e.closest("label").textContent, e.tagName === "INPUT" ? "" : e.textContent, e.title];
    return text.find((one) => one && one.trim()) || "";
  };
  for (const e of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")) {
    if (!nameOf(e)) found.push(`no name: ${told(e)}`);
    if (e.tabIndex < 0) found.push(`not reached by keyboard: ${told(e)}`);
  }
  let level = 0;
  const heads = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter(shown);
  for (const e of heads) {
    const now = Number(e.tagName[1]);
    if (now > level + 1) found.push(`heading skips from ${level}: ${told(e)}`);
    level = now;
  }
  if (heads.filter((e) => e.tagName === "H1").length !== 1) found.push("not one h1");
  if (!document.documentElement.lang) found.push("no language");
  if (!document.title) found.push("no title");
  if (!document.querySelector("main")) found.push("no main");
  for (const e of document.querySelectorAll("th:not([scope])")) found.push(`no scope: ${told(e)}`);

  const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const rgba = (text) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const behind = (e) => {
    const layers = [];
    for (let one = e; one; one = one.parentElement) layers.push(rgba(getComputedStyle(one).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]);
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let texts = 0;
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !shown(e) || e.closest("script, style, .skip")) continue;
    texts += 1;
    const style = getComputedStyle(e), ground = behind(e), ink = over(rgba(style.color), ground);
    const [a, b] = [light(ink), light(ground)].sort((m, n) => n - m);
    const ratio = (a + 0.05) / (b + 0.05), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) found.push(`contrast ${ratio.toFixed(2)}: ${told(e)}`);
  }
  if (!texts) found.push("no text");
  if (document.documentElement.scrollWidth > document.documentElement.clientWidth) found.push("wider than the screen");
  return found;
}
"""


def faults(page: Page) -> list[str]:
    """What is wrong with the page that is shown now."""
    found: list[str] = page.evaluate(_LOOK)
    return found
