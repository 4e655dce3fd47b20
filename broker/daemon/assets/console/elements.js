// What the parts of the page are made of. Text is only ever text: nothing here reads markup.

/** The element with this id, which the page has. */
export const byId = (id) => document.getElementById(id);

/** An element with a class and a text. */
export function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

/** A link within the page. */
export function link(hash, text, className = "") {
  const made = element("a", className, text);
  made.href = hash;
  return made;
}

/** A button that does one thing. */
export function button(text, className, pressed) {
  const made = element("button", className, text);
  made.type = "button";
  made.addEventListener("click", pressed);
  return made;
}

/** Sets a text; one that stays the same is left alone, so that a selection survives and nothing is read out twice. */
export function tell(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Shows a text in a place that is hidden while there is none. */
export function trouble(node, text = "") {
  tell(node, text);
  node.hidden = text === "";
}

/** Fills the head of a table with its columns' names. */
export function head(table, columns) {
  const made = columns.map(({ label, className = "" }) => {
    const cell = element("th", className, label);
    cell.scope = "col";
    cell.setAttribute("role", "columnheader");
    return cell;
  });
  table.tHead.rows[0].replaceChildren(...made);
}

/** A row of a table with a cell for each column; on a phone each cell shows its column's name. */
export function tableRow(columns) {
  const row = element("tr");
  row.setAttribute("role", "row");
  const cells = columns.map(({ label, className = "" }) => {
    const cell = element("td", className);
    cell.dataset.label = label;
    cell.setAttribute("role", "cell");
    return cell;
  });
  row.append(...cells);
  return { row, cells };
}

/** A list of rows that is brought up to date row by row, so that focus and selection stay where they are. */
export class Rows {
  #rows = new Map();

  /** `make(key)` gives a row and what brings it up to date. */
  constructor(parent, make) {
    this.parent = parent;
    this.make = make;
  }

  show(items, keyOf) {
    const keys = new Set(items.map(keyOf));
    for (const [key, { row }] of this.#rows) {
      if (keys.has(key)) continue;
      row.remove();
      this.#rows.delete(key);
    }
    let place = this.parent.firstElementChild;
    for (const item of items) {
      const key = keyOf(item);
      if (!this.#rows.has(key)) this.#rows.set(key, this.make(key, item));
      const { row, update } = this.#rows.get(key);
      update?.(item);
      if (row === place) place = place.nextElementSibling;
      else this.parent.insertBefore(row, place);
    }
  }
}
