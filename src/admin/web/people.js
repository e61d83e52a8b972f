// People, the newest first, page by page.
import { api, query } from "./api.js";
import { sparkline } from "./chart.js";
import { action, h, number, time, toast } from "./dom.js";
import { table } from "./table.js";

let sought = "";

const columns = [
	{ title: "Name", cell: (u) => u.first_name ?? "–" },
	{ title: "User name", cell: (u) => u.username ? `@${u.username}` : "–" },
	{ title: "Telegram id", cell: (u) => h("code", {}, u.telegram_id ?? "–") },
	{ title: "Came by", cell: (u) => u.acquisition_source ? h("code", {}, u.acquisition_source) : "–" },
	{ title: "Last 14 days", cell: (u) => sparkline(u.sparkline) },
	{ title: "Days in a row", cell: (u) => number(u.streak_days), kind: "number" },
	{ title: "First seen", cell: (u) => time(u.created_at) },
	{ title: "Last seen", cell: (u) => time(u.last_seen_at) },
];

export async function people(view) {
	const found = h("section", { class: "card" }), more = h("div", { class: "bar" });
	const input = h("input", { id: "people-q", type: "search", value: sought, maxlength: 100, autocapitalize: "off", spellcheck: "false" });
	let rows = [], turn = 0;

	async function load(cursor) {
		const mine = ++turn, said = await api("GET", `analytics/users${query({ limit: 50, q: sought, cursor })}`);
		if (mine !== turn)
			return;
		rows = cursor ? rows.concat(said.users) : said.users;
		const total = `${said.total_is_exact ? "" : sought ? "over " : "about "}${number(said.total)}`;
		found.replaceChildren(table({ name: "people", columns, rows, key: (u) => u.id,
			caption: rows.length === said.total ? `${number(rows.length)} ${rows.length === 1 ? "person" : "people"}` : `${number(rows.length)} of ${total} people`,
			empty: h("p", {}, sought ? "Nobody is called so." : "Nobody has come yet.") }));
		more.replaceChildren(...said.next_cursor ? [action("Show more", () => load(said.next_cursor))] : []);
	}

	const seek = async () => {
		sought = input.value.trim();
		await load(null).catch((error) => toast(error.message, "wrong"));
	};
	const form = h("form", { class: "bar", role: "search" },
		h("div", { class: "grow" }, h("label", { for: "people-q" }, "Name, user name, code or Telegram id begins with"), input),
		h("button", { class: "primary" }, "Search"));
	form.addEventListener("submit", (e) => { e.preventDefault(); seek(); });
	view.append(h("h1", {}, "People"), form, found, more);
	await load(null);
}
