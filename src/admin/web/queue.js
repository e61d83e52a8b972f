// The queue: its shards, the lanes in which somebody waits, and pauses.
import { api } from "./api.js";
import { action, age, badge, confirm, h, number, toast } from "./dom.js";
import { live } from "./live.js";
import { table } from "./table.js";

const states = { in_hand: ["in hand", "good"], due: ["comes again", "warn"], paused: ["paused", "warn"], waiting: ["waiting", ""], unread: ["not read yet", ""], stray: ["stray", "bad"] };

function trouble(s) {
	return [!s.reachable && "out of reach", s.imbalance && `imbalance ${s.imbalance}`].filter(Boolean);
}

function shards(q) {
	return table({
		name: "shards", caption: q.shards.length === 1 ? "The queue" : `${q.shards.length} shards`, rows: q.shards, key: (s) => s.shard,
		columns: [
			{ title: "Shard", cell: (s) => [number(s.shard), trouble(s).map((t) => [" ", badge(t, "bad")])] },
			{ title: "All", cell: (s) => number(s.length), kind: "number" },
			{ title: "Lanes in hand", cell: (s) => number(s.lanes), kind: "number" },
			{ title: "Behind others", cell: (s) => number(s.waiting), kind: "number" },
			{ title: "To come again", cell: (s) => number(s.due), kind: "number" },
			{ title: "Tried before", cell: (s) => number(s.retrying), kind: "number" },
			{ title: "Oldest", cell: (s) => s.reachable && s.oldest_seconds === null ? "–" : age(s.oldest_seconds), kind: "number" },
			{ title: "Dead", cell: (s) => number(s.dead), kind: "number" },
		],
	});
}

function lanes(said) {
	return table({
		name: "lanes", rows: said.lanes, key: (l) => `${l.shard} ${l.lane}`,
		caption: `${said.all_counted ? "" : "at least "}${number(said.total)} busy lanes${said.total > said.lanes.length ? `, the ${said.lanes.length} with most waiting` : ""}`,
		empty: h("p", {}, said.all_counted ? "No lane is busy: nobody waits." : "No busy lane was found, but not every shard told all."),
		columns: [
			{ title: "Lane", cell: (l) => h("code", {}, l.lane) },
			{ title: "Waiting", cell: (l) => number(l.waiting), kind: "number", by: (l) => l.waiting },
			{ title: "Oldest", cell: (l) => age(l.oldest_seconds), kind: "number", by: (l) => l.oldest_seconds },
			{ title: "State", cell: (l) => [badge(...states[l.state] ?? [l.state, ""]), l.due_in_ms > 0 ? ` in ${age(l.due_in_ms / 1000)}` : null] },
			{ title: "Worker", cell: (l) => l.worker ? h("code", {}, l.worker) : "–" },
			{ title: "Retries", cell: (l) => number(l.retries), kind: "number", by: (l) => l.retries },
		],
	});
}

/* Which is paused is said beside the buttons that change it. */
function pauses(bots, again) {
	const who = h("select", { id: "pause-bot" }, h("option", { value: "" }, "all bots"), bots.map((b) => h("option", { value: b }, b)));
	const name = () => who.value || "all bots";

	async function change(what) {
		if (what === "pause" && !await confirm(`Pause ${name()}?`, "What comes in is kept, in order, and handled when they go on.", "Pause", false))
			return;
		const said = await api("POST", `queue/${what}`, who.value ? { bot: who.value } : {});
		toast(`${said.changed ? "Done" : "It was so already"}: ${said.paused ? `paused is ${said.paused}` : "nothing is paused"}.${said.noted === false ? " It could not be noted in the audit." : ""}`);
		await again();
	}

	return h("div", { class: "bar" }, h("div", {}, h("label", { for: "pause-bot" }, "Bot"), who),
		action("Pause", () => change("pause")), action("Let go on", () => change("resume")));
}

export async function queue(view, { admin, bots }) {
	const paused = h("p", { class: "state warn", role: "status", hidden: true }), controls = h("div"), books = h("section", { class: "card" }), busy = h("section", { class: "card" });
	const first = await live(books, 2, () => "queue", (q) => {
		paused.hidden = !q.paused;
		paused.textContent = q.paused ? `Paused: ${q.paused === "all" ? "all bots" : q.paused.replaceAll(",", ", ")}` : "";
		return shards(q);
	});
	let second;

	try {
		second = await live(busy, 2, () => "queue/lanes?limit=20", lanes);
	} catch (error) {
		first.end();
		throw error;
	}
	if (admin)
		controls.append(pauses(bots, first.again));
	view.append(h("h1", {}, "Queue"), paused, controls, books, busy);
	return () => {
		first.end();
		second.end();
	};
}
