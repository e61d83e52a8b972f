// Dead letters: why, and what to do with them.
import { api, part } from "./api.js";
import { action, ask, confirm, h, number, table, time, toast } from "./dom.js";

async function show(letter) {
	const l = await api("GET", `dead/${part(letter.id)}`);
	const facts = [["Error", l.error], ["Died", time(l.died_at)], ["Came in", time(l.received_at)], ["Bot", l.bot], ["Lane", l.lane],
		["Key", l.key], ["Tries", `${l.retries} retries, ${l.takeovers} takeovers`], ["Replies sent", number(l.sent)],
		["Changes", l.maybe_applied ? "may have been made" : "none"], ["Worker", l.worker], ["Trace", h("code", {}, l.trace_id)]];
	const body = l.body !== null ? JSON.stringify(l.body, null, 2) : l.body_text ?? "";

	await ask(`Dead letter ${l.id}`, [
		h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value ?? "–")])),
		h("pre", { tabindex: 0, "aria-label": "Body" }, body)],
	[h("button", { type: "button", class: "primary", onclick: (e) => e.target.closest("dialog").close() }, "Close")]);
}

async function retry(letter) {
	const path = `dead/${part(letter.id)}/retry`;

	try {
		await api("POST", path, {});
	} catch (error) {
		if (error.code !== "may_repeat")
			throw error;
		if (!await confirm("Retry all the same?", error.message.split("; {")[0] + ".", "Retry"))
			return false;
		await api("POST", path, { force: true });
	}
	toast("It is in the queue again.");
	return true;
}

async function drop(letter) {
	if (!await confirm("Drop this letter?", "Its update is then never handled. This cannot be undone.", "Drop"))
		return false;
	await api("DELETE", `dead/${part(letter.id)}`);
	toast("It is dropped.");
	return true;
}

export async function dead(view, { admin, refresh }) {
	const list = h("section", { class: "card" }), more = h("div", { class: "bar" });
	let rows = [];

	const change = async (fn) => await fn() && await refresh();

	async function load(cursor) {
		const said = await api("GET", `dead?limit=50&cursor=${part(cursor ?? "")}`);
		rows = cursor ? rows.concat(said.letters) : said.letters;
		list.replaceChildren(table(`${number(rows.length)} of ${number(said.total)} dead letters`, [
			["Died", (l) => time(l.died_at)],
			["Bot", (l) => l.bot ?? "–"],
			["Error", (l) => l.error ?? "–"],
			["Lane", (l) => h("code", {}, l.lane ?? "–")],
			["Retries", (l) => number(l.retries), "number"],
			["", (l) => h("div", { class: "actions" }, action("Show", () => show(l), undefined, `Show ${l.id}`),
				admin && action("Retry", () => change(() => retry(l)), undefined, `Retry ${l.id}`),
				admin && action("Drop", () => change(() => drop(l)), "danger", `Drop ${l.id}`)), "whole"],
		], rows, "There are no dead letters. All is well."));
		more.replaceChildren(...said.next_cursor ? [action("Show more", () => load(said.next_cursor))] : []);
	}

	view.append(h("h1", {}, "Dead letters"), h("div", { class: "bar" }, action("Look again", refresh)), list, more);
	await load(null);
}
