// Making elements. Texts become text nodes, never markup.
const svgNames = new Set(["svg", "path", "rect", "title"]);

export function h(tag, props = {}, ...children) {
	const e = svgNames.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);

	for (const [name, value] of Object.entries(props)) {
		if (value === undefined || value === null || value === false)
			continue;
		if (name.startsWith("on"))
			e.addEventListener(name.slice(2), value);
		else
			e.setAttribute(name, value === true ? "" : value);
	}
	e.append(...children.flat(Infinity).filter((c) => c !== undefined && c !== null && c !== false));
	return e;
}

export const number = (n, digits = 0) => n === null || n === undefined ? "–"
	: n.toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits });
export const ms = (n) => n === null || n === undefined ? "–"
	: n >= 10000 ? `${number(n / 1000, 1)} s` : `${number(n, n < 10 ? 2 : n < 100 ? 1 : 0)} ms`;
export const bytes = (n) => n < 10240 ? `${number(n)} B` : n < 10 << 20 ? `${number(n / 1024)} KiB` : `${number(n / (1 << 20))} MiB`;
export const time = (text) => text ? h("time", { datetime: text, title: text }, new Date(text).toLocaleString("en-GB")) : "–";

export function age(seconds) {
	if (seconds === null || seconds === undefined)
		return "–";
	if (seconds < 60)
		return `${number(seconds, seconds < 10 ? 1 : 0)} s`;
	return seconds < 3600 ? `${number(seconds / 60)} min` : `${number(seconds / 3600, 1)} h`;
}

/* columns: [title, (row) => cell, class?]. On a phone each row is a card, its cells named by the titles. */
export function table(caption, columns, rows, empty) {
	if (rows.length === 0)
		return h("p", { class: "empty" }, empty);
	return h("div", { class: "wide" }, h("table", {},
		h("caption", {}, caption),
		h("thead", {}, h("tr", {}, columns.map(([title, , kind]) => h("th", { scope: "col", class: kind }, title)))),
		h("tbody", {}, rows.map((row) => h("tr", {}, columns.map(([title, cell, kind]) =>
			h("td", { "data-label": title, class: kind }, cell(row))))))));
}

export function toast(text) {
	const p = h("p", {}, text), list = document.getElementById("toasts");
	list.append(p);
	while (list.children.length > 3)
		list.firstChild.remove();
	setTimeout(() => p.remove(), 6000);
}

/* A modal dialog; resolves when it closes, with its return value. */
export function ask(title, content, buttons) {
	const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, h("h2", { id: "dialog-title" }, title), content,
		h("div", { class: "actions" }, buttons));
	document.body.append(dialog);
	dialog.showModal();
	return new Promise((resolve) => dialog.addEventListener("close", () => {
		dialog.remove();
		resolve(dialog.returnValue);
	}));
}

export async function confirm(title, text, word, danger = true) {
	const form = (name, kind, value) => h("button", { type: "button", class: kind, onclick: (e) => e.target.closest("dialog").close(value) }, name);
	return await ask(title, h("p", {}, text), [form("Cancel", undefined, ""), form(word, danger ? "danger" : "primary", "yes")]) === "yes";
}

/* A button whose work is asynchronous: not to be pressed twice, and what goes wrong is told. */
export function action(name, fn, kind, label) {
	return h("button", { type: "button", class: kind, "aria-label": label, async onclick(e) {
		const button = e.currentTarget;
		button.disabled = true;
		try {
			await fn();
		} catch (error) {
			if (error.status !== 401)
				toast(error.message);
		}
		button.disabled = false;
	} }, name);
}
