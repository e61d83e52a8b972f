// What is going on now: tiles and charts, fed by the live stream; and what each command and stage takes.
import { api } from "./api.js";
import { Line } from "./chart.js";
import { action, age, confirm, h, ms, number, table } from "./dom.js";

/* The charts go on while another section is looked at. */
const charts = [
	["Updates a second", (t) => t.workers?.per_second ?? null, (v) => number(v, 1)],
	["Latency, p99", (t) => t.latency?.p99_ms ?? null, ms],
	["In the queue", (t) => t.queue?.length ?? null, (v) => number(v)],
	["Age of the oldest", (t) => t.queue ? t.queue.oldest_seconds ?? 0 : null, age],
].map(([title, value, show]) => ({ line: new Line(title, show), value }));
let last = null, shown = null;

export function onTick(tick) {
	last = tick;
	for (const { line, value } of charts)
		line.add(value(tick));
	shown?.(tick);
}

const tile = (title, value, kind) => h("div", { class: "tile" }, h("dt", {}, title), h("dd", { class: kind }, value));

function tiles({ queue: q, workers: w, latency: l }) {
	const unknown = "–";

	return [
		tile("Workers", w ? `${w.running} of ${w.alive}` : unknown, w && w.running < w.alive ? "warn" : w?.alive ? undefined : "bad"),
		tile("In hand", w ? `${number(w.in_flight)} of ${number(w.in_flight_max)}` : unknown),
		tile("Updates a second", w ? number(w.per_second, 1) : unknown),
		tile("In the queue", q ? number(q.length) : unknown),
		tile("Waiting behind others", q ? number(q.waiting) : unknown),
		tile("To come again", q ? number(q.due) : unknown),
		tile("Oldest", q ? age(q.oldest_seconds) : unknown, q?.oldest_seconds > 60 ? "bad" : undefined),
		tile("Dead letters", q ? number(q.dead) : unknown, q?.dead ? "bad" : undefined),
		tile("Half of all within", ms(l?.p50_ms)),
		tile("99 of 100 within", ms(l?.p99_ms)),
	];
}

export function overview(view, { admin }) {
	const list = h("dl", { class: "tiles" }), paused = h("span", {}), controls = h("div", { class: "bar" });

	async function pause(what) {
		if (what === "pause" && !await confirm("Pause all bots?", "What comes in is kept, in order, and handled when they go on.", "Pause", false))
			return;
		await api("POST", `queue/${what}`, {});
	}

	shown = (tick) => {
		list.replaceChildren(...tiles(tick));
		paused.textContent = tick.queue?.paused ? `Paused: ${tick.queue.paused}` : "";
	};
	if (admin)
		controls.append(action("Pause the bots", () => pause("pause")), action("Let them go on", () => pause("resume")));
	controls.append(h("p", { class: "warn", role: "status" }, paused));
	view.append(h("h1", {}, "Now"), controls, list, h("div", { class: "charts" }, charts.map((c) => c.line.element)));
	if (last)
		shown(last);
	else
		list.append(h("p", { class: "soft" }, "Waiting for the first numbers…"));
	return () => { shown = null; };
}

export async function latency(view, { refresh }) {
	const p = await api("GET", "performance");
	const took = [["p50", (r) => ms(r.p50_ms), "number"], ["p95", (r) => ms(r.p95_ms), "number"], ["p99", (r) => ms(r.p99_ms), "number"]];
	const lines = (name, key, rows) => h("section", { class: "card" }, table(name, [
		["Bot", (r) => r.bot], [key[0].toUpperCase() + key.slice(1), (r) => h("code", {}, r[key])],
		["Updates", (r) => number(r.count), "number"], ...took], rows, "Nothing was handled lately."));

	view.append(h("h1", {}, "Latency"),
		h("p", { class: "soft" }, `${number(p.count)} updates of ${p.workers} workers in the last ${Math.round(p.window_seconds / 60) || 5} minutes.`),
		h("div", { class: "bar" }, action("Look again", refresh)),
		lines("By command", "command", p.commands), lines("By stage", "stage", p.stages));
}

export async function workers(view, { refresh }) {
	const rows = await api("GET", "workers");
	const states = { running: "good", draining: "warn", "cut off": "bad" };

	view.append(h("h1", {}, "Workers"), h("div", { class: "bar" }, action("Look again", refresh)),
		h("section", { class: "card" }, table(`${rows.length} alive`, [
			["Worker", (w) => h("code", {}, w.id)],
			["Host", (w) => `${w.host}, process ${w.pid}`],
			["State", (w) => h("span", { class: states[w.state] }, w.state)],
			["In hand", (w) => `${number(w.in_flight)} of ${number(w.in_flight_max)}`, "number"],
			["A second", (w) => number(w.per_second, 1), "number"],
			["Done", (w) => number(w.done), "number"],
			["Started", (w) => w.started_at ? new Date(w.started_at).toLocaleString("en-GB") : "–"],
			["Version", (w) => w.version ?? "–"],
		], rows, "No worker is alive.")));
}
