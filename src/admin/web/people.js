// People, the newest first, page by page.
import { api, part } from "./api.js";
import { sparkline } from "./chart.js";
import { action, h, number, table, time, toast } from "./dom.js";

let sought = "";

export async function people(view) {
	const found = h("section", { class: "card" }), more = h("div", { class: "bar" });
	const input = h("input", { id: "people-q", type: "search", value: sought, maxlength: 100, autocapitalize: "off", spellcheck: "false" });
	let rows = [], cursor = null, turn = 0;

	async function load(after) {
		const mine = ++turn, said = await api("GET", `analytics/users?limit=50&q=${part(sought)}&cursor=${after ?? ""}`);
		if (mine !== turn)
			return;
		rows = after ? rows.concat(said.users) : said.users;
		cursor = said.next_cursor;
		const total = `${said.total_is_exact ? "" : sought ? "over " : "about "}${number(said.total)}`;
		found.replaceChildren(table(`${number(rows.length)} of ${total} people`, [
			["Name", (u) => u.first_name ?? "–"],
			["User name", (u) => u.username ? `@${u.username}` : "–"],
			["Telegram id", (u) => h("code", {}, u.telegram_id ?? "–")],
			["Came by", (u) => u.acquisition_source ? h("code", {}, u.acquisition_source) : "–"],
			["Last 14 days", (u) => sparkline(u.sparkline)],
			["Days in a row", (u) => number(u.streak_days), "number"],
			["First seen", (u) => time(u.created_at)],
			["Last seen", (u) => time(u.last_seen_at)],
		], rows, sought ? "Nobody is called so." : "Nobody has come yet."));
		more.replaceChildren(...cursor ? [action("Show more", () => load(cursor))] : []);
	}

	const form = h("form", { class: "bar", role: "search" },
		h("div", { class: "grow" }, h("label", { for: "people-q" }, "Name, user name, code or Telegram id begins with"), input),
		h("button", { class: "primary" }, "Search"));
	form.addEventListener("submit", async (event) => {
		event.preventDefault();
		sought = input.value.trim();
		try {
			await load(null);
		} catch (error) {
			toast(error.message);
		}
	});
	view.append(h("h1", {}, "People"), form, found, more);
	await load(null);
}
