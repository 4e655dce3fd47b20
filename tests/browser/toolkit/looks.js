// How a page looks, as far as it can be measured: nothing sticks out, everything can be read and hit, and has a name.

/** What of the page is wrong to look at; nothing in the best case. */
export async function faults(page) {
  const found = await Promise.all([page.evaluate(overflowing), page.evaluate(unreadable), page.evaluate(tiny)]);
  return [...found.flat(), ...await nameless(page)];
}

/** Elements that reach beyond the window or are cut off at their sides. */
function overflowing() {
  const told = (node) => `${node.tagName.toLowerCase()}${node.id && `#${node.id}`} "${node.textContent.trim().slice(0, 40)}"`;
  const root = document.documentElement;
  const found = [];
  if (root.scrollWidth > root.clientWidth) found.push(`the page is ${root.scrollWidth} px wide in ${root.clientWidth}`);
  for (const node of document.body.querySelectorAll("*")) {
    if (!node.checkVisibility({ visibilityProperty: true })) continue;
    const { left, right, width } = node.getBoundingClientRect();
    if (width > 0 && (right > root.clientWidth + 0.5 || left < -0.5)) found.push(`sticks out: ${told(node)}`);
    const isText = !["INPUT", "TEXTAREA"].includes(node.tagName) && getComputedStyle(node).display !== "inline";
    if (isText && node.clientWidth > 0 && node.scrollWidth > node.clientWidth + 1) found.push(`is cut off: ${told(node)}`);
  }
  return found;
}

/** Text and edges of fields whose contrast is under that of WCAG 2.2, 1.4.3 and 1.4.11 at level AA. */
function unreadable() {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const parts = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
    return { rgb: [red, green, blue], alpha: alpha / 255 };
  };
  const over = ({ rgb, alpha }, ground) => rgb.map((value, index) => value * alpha + ground[index] * (1 - alpha));
  const chain = (node) => (node === null ? [] : [...chain(node.parentElement), node]);
  const ground = (node) => chain(node).reduce(
    (below, each) => over(parts(getComputedStyle(each).backgroundColor), below),
    parts(getComputedStyle(document.documentElement).colorScheme.includes("dark") && matchMedia("(prefers-color-scheme: dark)").matches ? "#121212" : "#fff").rgb,
  );
  const faded = (node) => chain(node).reduce((product, each) => product * Number(getComputedStyle(each).opacity), 1);
  const luminance = (rgb) => {
    const [red, green, blue] = rgb.map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (a, b) => {
    const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (light + 0.05) / (dark + 0.05);
  };
  const found = [];
  const check = (node, color, below, least, what) => {
    const { rgb, alpha } = parts(color);
    const ratio = contrast(over({ rgb, alpha: alpha * faded(node) }, below), below);
    if (ratio < least) found.push(`contrast ${ratio.toFixed(2)} of ${least}: ${what}`);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim();
    const node = walker.currentNode.parentElement;
    if (text === "" || !node.checkVisibility({ visibilityProperty: true })) continue;
    const { color, fontSize, fontWeight } = getComputedStyle(node);
    const size = parseFloat(fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(fontWeight) >= 700);
    check(node, color, ground(node), isLarge ? 3 : 4.5, `"${text.slice(0, 40)}"`);
  }
  for (const field of document.querySelectorAll("input, textarea")) {
    if (!field.checkVisibility()) continue;
    const { color, borderTopColor } = getComputedStyle(field);
    check(field, color, ground(field), 4.5, `what stands in #${field.id}`);
    check(field, borderTopColor, ground(field.parentElement), 3, `the edge of #${field.id}`);
  }
  return found;
}

/** Controls that are too small to hit, by WCAG 2.2, 2.5.8: 24 by 24 pixels, links within text aside. */
function tiny() {
  const controls = [...document.querySelectorAll("button, input, textarea, summary, a")];
  const seen = controls.filter((node) => node.checkVisibility() && getComputedStyle(node).display !== "inline");
  return seen.flatMap((node) => {
    const { width, height } = node.getBoundingClientRect();
    const name = node.textContent.trim() || node.id;
    return width < 24 || height < 24 ? [`${Math.round(width)} x ${Math.round(height)} px is hard to hit: ${name}`] : [];
  });
}

const NAMED = ["button", "link", "textbox", "dialog", "table", "region", "columnheader", "navigation"];

/** What a screen reader meets without a name. */
async function nameless(page) {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send("Accessibility.getFullAXTree");
  await session.detach();
  const met = nodes.filter(({ ignored, role }) => !ignored && NAMED.includes(role?.value));
  return met.filter(({ name }) => !name?.value).map(({ role }) => `a ${role.value} has no name`);
}
