// Dead letters: why, and what to do with them, one by one or many at once.
import { api, part, query } from "./api.js";
import { action, ask, badge, closing, confirm, h, number, plural, spoken, time, toast } from "./dom.js";
import { live } from "./live.js";
import { table } from "./table.js";

const most = 500, atOnce = 4;

async function show(letter) {
	const l = await api("GET", `dead/${part(letter.id)}`);
	const facts = [["Error", l.error], ["Died", time(l.died_at, true)], ["Came in", time(l.received_at, true)], ["Bot", l.bot], ["Lane", l.lane],
		["Key", l.key], ["Tries", `${plural(l.retries, "retry", "retries")}, ${plural(l.takeovers, "takeover")}`], ["Replies sent", number(l.sent)],
		["Changes", l.maybe_applied ? "may have been made" : "none"], ["Worker", l.worker],
		["Trace", l.trace_id && h("code", {}, l.trace_id)]];
	const body = l.body !== null ? JSON.stringify(l.body, null, 2) : l.body_text ?? l.body_base64 ?? "";

	await ask(`Dead letter ${l.id}`, [
		h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value ?? "–")])),
		h("pre", { tabindex: 0, "aria-label": "Body" }, body)], [closing("Close", "", "primary")]);
}

const retryPath = (id) => `dead/${part(id)}/retry`;

async function retry(letter) {
	try {
		await api("POST", retryPath(letter.id), {});
	} catch (error) {
		if (error.code !== "may_repeat")
			throw error;
		if (!await confirm("Retry all the same?", error.message.split("; {")[0] + ".", "Retry"))
			return false;
		await api("POST", retryPath(letter.id), { force: true });
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

/* --- many at once: one request a letter, each noted for itself; what dies anew comes before the cursor, and is not met again */

const deeds = {
	retry: { word: "Retry", done: "retried", danger: false, fn: (id) => api("POST", retryPath(id), {}) },
	drop: { word: "Drop", done: "dropped", danger: true, fn: (id) => api("DELETE", `dead/${part(id)}`) },
};

async function* pages(ids, bot) {
	let cursor = null;

	if (ids) {
		yield ids;
		return;
	}
	do {
		const said = await api("GET", `dead${query({ limit: most, bot, cursor })}`);
		cursor = said.next_cursor;
		yield said.letters.map((l) => l.id);
	} while (cursor);
}

/* Goes on after a refusal of one letter, not where the servers do not answer. */
async function each(deed, ids, bot, told, stopped) {
	const result = { done: 0, gone: 0, refused: [] };

	async function one(id) {
		try {
			await deed.fn(id);
			result.done++;
		} catch (error) {
			if (error.status === 404)
				result.gone++;
			else if (error.status === 409)
				result.refused.push(error.message.split("; {")[0]);
			else
				throw error;
		}
		told(result);
	}

	for await (const page of pages(ids, bot)) {
		const left = [...page];
		await Promise.all(Array.from({ length: atOnce }, async () => {
			while (left.length && !stopped())
				await one(left.shift());
		}));
		if (stopped())
			break;
	}
	return result;
}

async function many(name, ids, bot, count) {
	const deed = deeds[name], what = ids ? plural(ids.length, "letter") : `all ${bot ? `letters of ${bot}` : plural(count, "letter")}`;
	const why = name === "drop" ? "Their updates are then never handled. This cannot be undone." : "They go to the end of the queue. What may have been done already is left where it is.";

	if (!await confirm(`${deed.word} ${what}?`, why, deed.word, deed.danger))
		return false;
	let over = false;
	const bar = h("progress", { max: (ids ? ids.length : count) || 1, value: 0, "aria-label": "Done" }), said = h("p", { role: "status" }, "Beginning…");
	const closed = ask(`${deed.word} ${what}`, [bar, said], [closing("Stop", "")]).then(() => { over = true; });
	const dialog = bar.closest("dialog");
	let text;
	try {
		const r = await each(deed, ids, bot, (so) => {
			bar.value = so.done + so.gone + so.refused.length;
			said.textContent = `${number(so.done)} ${deed.done}`;
		}, () => over);
		text = `${over ? "Stopped. " : ""}${plural(r.done, "letter")} ${deed.done}${r.gone ? `, ${number(r.gone)} were gone` : ""}${r.refused.length ? `, ${number(r.refused.length)} refused: ${r.refused[0]}` : ""}.`;
	} finally {
		dialog.close();
		await closed;
	}
	toast(text);
	return true;
}

/* --- the list */

export async function dead(view, { admin, bots }) {
	const box = h("section", { class: "card" }), more = h("div", { class: "bar" }), bar = h("div", { class: "bar" });
	const chosen = new Set(), known = new Set(bots);
	const who = h("select", { id: "dead-bot" });
	let size = 50, rows = [], total = 0;

	const change = async (fn) => {
		if (await fn())
			chosen.clear();
		await list.again();
	};
	const bulk = (name, kind) => action("", () => change(() => many(name, chosen.size ? [...chosen] : null, who.value, total)), kind);
	const buttons = admin ? { retry: bulk("retry"), drop: bulk("drop", "danger") } : {};

	function offer() {
		for (const [name, button] of Object.entries(buttons)) {
			button.textContent = `${deeds[name].word} ${chosen.size ? `${number(chosen.size)} chosen` : "all"}…`;
			button.hidden = rows.length === 0;
		}
	}

	function choose(l) {
		return h("input", { type: "checkbox", "aria-label": `Choose ${l.id}`, checked: chosen.has(l.id), onchange: (e) => {
			chosen[e.target.checked ? "add" : "delete"](l.id);
			e.target.toggleAttribute("checked", e.target.checked);
			offer();
		} });
	}

	function chooseAll() {
		return h("input", { type: "checkbox", "aria-label": "Choose all that are shown", checked: rows.length > 0 && chosen.size === rows.length, onchange: (e) => {
			rows.forEach((l) => chosen[e.target.checked ? "add" : "delete"](l.id));
			box.querySelectorAll("td.pick input").forEach((i) => { i.checked = e.target.checked; i.toggleAttribute("checked", i.checked); });
			e.target.toggleAttribute("checked", e.target.checked);
			offer();
		} });
	}

	const columns = () => [
		...admin ? [{ title: "", head: chooseAll(), cell: choose, kind: "pick" }] : [],
		{ title: "Died", cell: (l) => time(l.died_at, true), by: (l) => l.died_at },
		{ title: "Bot", cell: (l) => l.bot ?? "–", by: (l) => l.bot },
		{ title: "Error", cell: (l) => [h("span", { class: "bad" }, l.error ?? "–"), l.retried && [" ", badge("retried before", "warn")], l.maybe_applied && [" ", badge("may have been done", "warn")]], by: (l) => l.error },
		{ title: "Lane", cell: (l) => h("code", {}, l.lane ?? "–"), by: (l) => l.lane },
		{ title: "Retries", cell: (l) => number(l.retries), kind: "number", by: (l) => l.retries },
		{ title: "", head: spoken("Actions"), kind: "whole", cell: (l) => h("div", { class: "actions" }, action("Show", () => show(l), undefined, `Show ${l.id}`),
			admin && action("Retry", () => change(() => retry(l)), undefined, `Retry ${l.id}`),
			admin && action("Drop", () => change(() => drop(l)), "danger", `Drop ${l.id}`)) },
	];

	function draw(said) {
		rows = said.letters;
		total = said.total;
		rows.forEach((l) => l.bot && known.add(l.bot));
		if (who.options.length !== known.size + 1) {
			const value = who.value;
			who.replaceChildren(h("option", { value: "" }, "all bots"), ...[...known].sort().map((b) => h("option", { value: b }, b)));
			who.value = value;
		}
		const there = new Set(rows.map((l) => l.id));
		chosen.forEach((id) => there.has(id) || chosen.delete(id));
		offer();
		more.replaceChildren(...!said.next_cursor ? [] : size < most
			? [action("Show more", () => { size = Math.min(size * 3, most); return list.again(); })]
			: [h("p", { class: "soft" }, `These are the last ${number(most)}.`)]);
		return table({
			name: "dead", rows, key: (l) => l.id, columns: columns(),
			caption: who.value ? `${plural(rows.length, "letter")} of ${who.value}${said.next_cursor ? ", and more" : ""}; ${number(total)} in all`
				: rows.length < total ? `${number(rows.length)} of ${plural(total, "dead letter")}` : plural(total, "dead letter"),
			empty: h("p", {}, who.value ? `There are no dead letters of ${who.value}.` : "There are no dead letters. All is well."),
		});
	}

	who.append(h("option", { value: "" }, "all bots"));
	who.addEventListener("change", () => {
		chosen.clear();
		list.again().catch((error) => toast(error.message, "wrong"));
	});
	bar.append(h("div", {}, h("label", { for: "dead-bot" }, "Bot"), who), ...Object.values(buttons));
	view.append(h("h1", {}, "Dead letters"), bar, box, more);
	const list = await live(box, 5, () => `dead${query({ limit: size, bot: who.value })}`, draw);
	return list.end;
}
