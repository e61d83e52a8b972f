// Tables: sorted by their heads, renewed without moving under somebody's hand.
import { h } from "./dom.js";

const orders = new Map(); // of each table by its name: [column, "ascending" | "descending"]

/* columns: { title, cell: (row) => content, kind: class, by: (row) => what it is sorted by, head: content instead of the
 * title }. On a phone each row is a card, its cells named by the titles. key: (row) => what it is known by. */
export function table({ name, caption, columns, rows, empty, key }) {
	const box = h("div", { class: "wide scroll", "data-table": name });

	function draw() {
		const [chosen, order] = orders.get(name) ?? [];
		const column = columns.find((c) => c.title === chosen), sorted = [...rows];

		if (column) {
			const up = order === "ascending" ? 1 : -1;
			sorted.sort((a, b) => {
				const x = column.by(a), y = column.by(b);
				return x === y ? 0 : x === null || x === undefined ? 1 : y === null || y === undefined ? -1 : x < y ? -up : up;
			});
		}
		box.replaceChildren(h("table", {},
			h("caption", {}, caption),
			h("thead", {}, h("tr", {}, columns.map((c) => h("th", { scope: "col", class: c.kind, "aria-sort": c === column ? order : undefined },
				c.by ? head(c, c === column ? order : undefined) : c.head ?? c.title)))),
			h("tbody", {}, sorted.map((row) => h("tr", { "data-key": key?.(row) }, columns.map((c) =>
				h("td", { "data-label": c.title, class: c.kind }, c.cell(row))))))));
	}

	function head(column, order) {
		return h("button", { type: "button", class: "sort", onclick: () => {
			orders.set(name, [column.title, order === "descending" ? "ascending" : "descending"]);
			draw();
			[...box.querySelectorAll(".sort")].find((b) => b.textContent.startsWith(column.title))?.focus();
		} }, column.title, h("span", { "aria-hidden": "true" }, order ? order === "ascending" ? " ▲" : " ▼" : ""));
	}

	if (rows.length === 0)
		return h("div", { class: "empty", "data-table": name }, empty);
	draw();
	return box;
}

const keysOf = (node) => [...node.querySelectorAll("tr[data-key]")].map((tr) => tr.dataset.key);

/* Puts what is new into the place of what is there. Rows that say the same stay as they are; the focus, too. */
export function renew(box, fresh) {
	const old = box.firstElementChild;

	if (old?.outerHTML === fresh.outerHTML)
		return;
	const focus = box.contains(document.activeElement) ? document.activeElement : null;
	const named = focus && (focus.getAttribute("aria-label") ?? focus.textContent);
	if (old && keysOf(old).length && keysOf(old).join() === keysOf(fresh).join() && old.querySelector("thead").outerHTML === fresh.querySelector("thead")?.outerHTML) {
		const rows = [...fresh.querySelectorAll("tr[data-key]")];
		[...old.querySelectorAll("tr[data-key]")].forEach((tr, i) => tr.outerHTML === rows[i].outerHTML || tr.replaceWith(rows[i]));
		old.querySelector("caption").replaceWith(fresh.querySelector("caption"));
	} else {
		box.replaceChildren(fresh);
	}
	if (named && !box.contains(document.activeElement))
		[...box.querySelectorAll("button, a")].find((b) => (b.getAttribute("aria-label") ?? b.textContent) === named)?.focus();
}
