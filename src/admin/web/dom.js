// Making elements. Texts become text nodes, never markup.
const svgNames = new Set(["svg", "path", "rect", "line", "text", "circle", "g"]);

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

/* --- values as people read them */

const locale = "en-GB";

export const number = (n, digits = 0) => n === null || n === undefined ? "–"
	: n.toLocaleString(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });
export const plural = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;
export const ms = (n) => n === null || n === undefined ? "–"
	: n >= 1000 ? `${number(n / 1000, n < 10000 ? 2 : 1)} s` : n > 0 && n < 0.005 ? "< 0.01 ms" : `${number(n, n === 0 ? 0 : n < 10 ? 2 : n < 100 ? 1 : 0)} ms`;
export const bytes = (n) => n < 10240 ? `${number(n)} B` : n < 10 << 20 ? `${number(n / 1024)} KiB` : `${number(n / (1 << 20))} MiB`;
export const rate = (n) => n === null || n === undefined ? "–" : number(n, n > 0 && n < 9.95 ? 1 : 0);
export const percent = (n) => n === null || n === undefined ? "–" : `${number(n, 1)} %`;

export function age(seconds) {
	if (seconds === null || seconds === undefined)
		return "–";
	if (seconds < 60)
		return `${number(seconds, seconds > 0 && seconds < 9.95 ? 1 : 0)} s`;
	return seconds < 3600 ? `${number(seconds / 60)} min` : seconds < 172800 ? `${number(seconds / 3600, 1)} h` : `${number(seconds / 86400)} days`;
}

/* The year only where it is not this one; seconds where one event is told from the next. */
export function time(text, fine = false) {
	if (!text)
		return "–";
	const d = new Date(text), year = d.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
	return h("time", { class: fine ? "fine" : undefined, datetime: text, title: text }, d.toLocaleString(locale,
		{ day: "numeric", month: "short", year, hour: "2-digit", minute: "2-digit", second: fine ? "2-digit" : undefined }));
}

/* For those who hear the page. */
export const spoken = (text) => h("span", { class: "spoken" }, text);

export const badge = (text, kind) => h("span", { class: `badge ${kind ?? ""}` }, text);

/* How much of most it is, for the eye: what it stands beside says it in words. */
export const meter = (value, most, kind) => h("svg", { class: `meter ${kind ?? ""}`, viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
	h("rect", { class: "all", width: 100, height: 8, rx: 2 }),
	h("rect", { width: most > 0 ? Math.min(100, Math.max(value > 0 ? 2 : 0, 100 * value / most)) : 0, height: 8, rx: 2 }));

/* --- telling and asking */

export function toast(text, kind) {
	const p = h("p", { class: kind }, text), list = document.getElementById("toasts");
	list.append(p);
	while (list.children.length > 3)
		list.firstChild.remove();
	setTimeout(() => p.remove(), kind === "wrong" ? 12000 : 6000);
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

/* Closes the dialog that it stands in. */
export const closing = (name, value, kind) =>
	h("button", { type: "button", class: kind, onclick: (e) => e.target.closest("dialog").close(value) }, name);

export async function confirm(title, text, word, danger = true) {
	return await ask(title, h("p", {}, text), [closing("Cancel", ""), closing(word, "yes", danger ? "danger" : "primary")]) === "yes";
}

/* --- doing */

let working = 0;
/* Whether somebody is about to do something, so that nothing should move. */
export const isBusy = () => working > 0 || document.querySelector("dialog[open]") !== null;

/* A button whose work is asynchronous: not to be pressed twice, and what goes wrong is told. */
export function action(name, fn, kind, label) {
	return h("button", { type: "button", class: kind, "aria-label": label, async onclick(e) {
		const button = e.currentTarget;
		button.disabled = true;
		working++;
		try {
			await fn();
		} catch (error) {
			if (error.status !== 401)
				toast(error.message, "wrong");
		}
		working--;
		button.disabled = false;
	} }, name);
}
