// Now: whether all is well, and what has become of it lately.
import { Chart } from "./chart.js";
import { age, h, ms, number, plural, rate } from "./dom.js";
import { now, onChange } from "./stream.js";

let minutes = 5; // that the charts show

const figures = [
	["Updates a second", [["updates a second", (p) => p.per_second]], rate],
	["Latency", [["p50", (p) => p.p50_ms], ["p95", (p) => p.p95_ms], ["p99", (p) => p.p99_ms]], ms],
	["In the queue", [["all", (p) => p.length], ["behind others", (p) => p.waiting]], (v) => number(Math.round(v))],
	["Age of the oldest", [["oldest", (p) => p.oldest_seconds]], age],
];

/* What is wrong, the worst first: [how bad, what, where to look]. */
function troubles({ queue: q, workers: w, postgres, foreign }) {
	const found = [];

	if (postgres === false)
		found.push(["bad", "PostgreSQL cannot be reached: what comes in is kept until it is back.", "queue"]);
	if (foreign)
		found.push(["bad", `This server has another list of shards than the workers: ${foreign}.`, "queue"]);
	else if (!w || !q)
		found.push(["bad", "Redis cannot be reached: what is in the queue and who works is not known.", "queue"]);
	if (w?.alive === 0)
		found.push(["bad", "No worker is alive: nothing is handled.", "workers"]);
	if (w?.cut_off)
		found.push(["bad", `${plural(w.cut_off, "worker is", "workers are")} cut off from what they need.`, "workers"]);
	if (q?.oldest_seconds > 60)
		found.push(["bad", `The oldest update has waited for ${age(q.oldest_seconds)}.`, "queue"]);
	if (q?.dead)
		found.push(["warn", `${plural(q.dead, "dead letter")} to look at.`, "dead"]);
	if (q?.paused)
		found.push(["warn", `Paused: ${q.paused === "all" ? "all bots" : q.paused.replaceAll(",", ", ")}.`, "queue"]);
	if (w?.alive && w.in_flight >= w.in_flight_max)
		found.push(["warn", "All workers have their hands full.", "workers"]);
	return found;
}

function state() {
	const news = new Date(now.points.at(-1)?.t ?? now.since).toLocaleTimeString("en-GB");

	if (now.state !== "live")
		return h("div", { class: "state warn" }, h("p", {}, now.tick ? `Not current: the last news is of ${news}.` : "Waiting for the first numbers…"));
	const found = troubles(now.tick);
	if (!found.length)
		return h("div", { class: "state good" }, h("p", {}, "All is well."));
	return h("ul", { class: `state ${found[0][0]}` }, found.map(([, what, where]) => h("li", {}, `${what} `, h("a", { href: `#${where}` }, "Look"))));
}

const tile = (title, value, more, kind) => h("div", { class: "tile" }, h("dt", {}, title), h("dd", { class: kind }, value), h("dd", { class: "soft" }, more));

function tiles({ queue: q, workers: w, latency: l }) {
	const unknown = "–";

	return [
		tile("Updates a second", rate(w?.per_second), w && `${number(w.done)} so far`),
		tile("Latency, p99", ms(l?.p99_ms), l && `half within ${ms(l.p50_ms)}`),
		tile("In the queue", q ? number(q.length) : unknown, q && `oldest ${q.oldest_seconds === null ? "–" : age(q.oldest_seconds)}`, q?.oldest_seconds > 60 ? "bad" : undefined),
		tile("Behind others", q ? number(q.waiting) : unknown, q && `${number(q.due)} to come again`),
		tile("Workers", w ? `${w.running} of ${w.alive}` : unknown, w && `${number(w.in_flight)} of ${number(w.in_flight_max)} in hand`, w && (!w.alive || w.cut_off) ? "bad" : undefined),
		tile("Dead letters", q ? number(q.dead) : unknown, q && (q.dead ? "to be looked at" : "none"), q?.dead ? "bad" : undefined),
	];
}

/* Buttons of which one is chosen. */
export function choice(label, names, chosen, fn) {
	const group = h("div", { class: "choice", role: "group", "aria-label": label }, names.map(([value, name]) =>
		h("button", { type: "button", "aria-pressed": String(value === chosen), onclick: (e) => {
			group.querySelectorAll("button").forEach((b) => b.setAttribute("aria-pressed", String(b === e.currentTarget)));
			fn(value);
		} }, name)));
	return group;
}

export function overview(view) {
	const said = h("div", { role: "status" }), list = h("dl", { class: "tiles" });
	const charts = figures.map(([title, lines, show]) => new Chart(title, lines.map(([name, value]) => ({ name, value })), show));
	let drawn = "";

	function draw() {
		const fresh = state();
		if (fresh.outerHTML !== drawn)
			said.replaceChildren(fresh);
		drawn = fresh.outerHTML;
		view.classList.toggle("old", now.state !== "live" && now.tick !== null);
		if (now.tick)
			list.replaceChildren(...tiles(now.tick));
		charts.forEach((c) => c.set(now.points, minutes, now.points.at(-1)?.t));
	}

	view.append(h("div", { class: "head" }, h("h1", {}, "Now"), choice("Time that the charts show", [[5, "5 min"], [15, "15 min"], [60, "1 hour"]], minutes, (m) => {
		minutes = m;
		draw();
	})), said, list, h("div", { class: "charts" }, charts.map((c) => c.element)));
	draw();
	const end = onChange(draw);
	return () => {
		end();
		charts.forEach((c) => c.close());
	};
}
