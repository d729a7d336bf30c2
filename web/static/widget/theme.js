// Let in the colours and shapes of a partner: known names, values that can be nothing else.

const ONE = "(#[0-9a-f]{3,8}|(rgb|rgba|hsl|hsla|oklch|oklab|lab|lch)\\([-+.%/ ,0-9a-z]{1,60}\\)|[a-z]{3,24})";
const COLOUR = new RegExp(`^(${ONE}|light-dark\\( *${ONE} *, *${ONE} *\\))$`, "i");
const isColour = (value) => COLOUR.test(value) && CSS.supports("color", value);
const isRadius = (value) => /^\d{1,2}(\.\d{1,3})?(px|rem|em)?$/.test(value);
const isFont = (value) => /^[\w "',-]{1,160}$/.test(value) && CSS.supports("font-family", value);

const KNOWN = {
  "--largesse-accent": isColour,
  "--largesse-on-accent": isColour,
  "--largesse-ground": isColour,
  "--largesse-surface": isColour,
  "--largesse-ink": isColour,
  "--largesse-ink-soft": isColour,
  "--largesse-line": isColour,
  "--largesse-radius": isRadius,
  "--largesse-font": isFont,
};

export function dress(root, theme) {
  const given = theme && typeof theme === "object" ? theme : {};
  for (const [name, isFit] of Object.entries(KNOWN)) {
    const value = given[name];
    if (typeof value === "string" && isFit(value)) root.style.setProperty(name, value);
    else root.style.removeProperty(name);
  }
  const scheme = given["--largesse-scheme"];
  if (scheme === "light" || scheme === "dark") root.dataset.scheme = scheme;
  else delete root.dataset.scheme;
  if (root.style.getPropertyValue("--largesse-accent") && !given["--largesse-on-accent"]) {
    root.style.setProperty("--largesse-on-accent", readableOn(root));
  }
}

// Black or white, whichever stands out more from the accent.
function readableOn(root) {
  const probe = root.appendChild(document.createElement("span"));
  probe.style.color = "var(--largesse-accent)";
  const painter = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  painter.fillStyle = getComputedStyle(probe).color;
  probe.remove();
  painter.fillRect(0, 0, 1, 1);
  const [red, green, blue] = [...painter.getImageData(0, 0, 1, 1).data].slice(0, 3).map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  const light = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  return light > 0.179 ? "#000000" : "#ffffff";
}
