// Changes: who did what and when, here and by the command line.
import { api, query } from "./api.js";
import { action, ask, closing, h, spoken, time } from "./dom.js";
import { table } from "./table.js";

const short = (details) => details === null ? "" : JSON.stringify(details).slice(0, 200);

async function show(e) {
	const facts = [["When", time(e.at, true)], ["Who", e.actor], ["Did", e.action], ["To", e.target]];
	await ask(`Change ${e.id}`, [
		h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value ?? "–")])),
		h("pre", { tabindex: 0, "aria-label": "Details" }, JSON.stringify(e.details, null, 2))],
	[closing("Close", "", "primary")]);
}

export async function changes(view) {
	const list = h("section", { class: "card" }), more = h("div", { class: "bar" });
	let rows = [];

	async function load(cursor) {
		const said = await api("GET", `audit${query({ limit: 50, cursor })}`);
		rows = cursor ? rows.concat(said.entries) : said.entries;
		list.replaceChildren(table({
			name: "changes", caption: said.next_cursor ? `The last ${rows.length} changes` : `All ${rows.length} changes`, rows, key: (e) => e.id,
			empty: h("p", {}, "Nobody has changed anything yet."),
			columns: [
				{ title: "When", cell: (e) => time(e.at, true) },
				{ title: "Who", cell: (e) => h("code", {}, e.actor ?? "–") },
				{ title: "Did", cell: (e) => h("strong", {}, e.action ?? "–") },
				{ title: "To", cell: (e) => h("code", {}, e.target ?? "–") },
				{ title: "Details", cell: (e) => h("code", { class: "soft cut" }, short(e.details)), kind: "words" },
				{ title: "", head: spoken("Actions"), kind: "whole", cell: (e) => h("div", { class: "actions" }, action("Show", () => show(e), undefined, `Show change ${e.id}`)) },
			],
		}));
		more.replaceChildren(...said.next_cursor ? [action("Show more", () => load(said.next_cursor))] : []);
	}

	view.append(h("h1", {}, "Changes"), h("div", { class: "bar" }, action("Look again", () => load(null))), list, more);
	await load(null);
}
