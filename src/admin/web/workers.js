// Workers: who is alive, and how much each has in hand.
import { badge, h, meter, number, plural, rate, time } from "./dom.js";
import { live } from "./live.js";
import { table } from "./table.js";

const kinds = { running: "good", draining: "warn", "cut off": "bad" };

const draw = (rows) => table({
	name: "workers", caption: `${plural(rows.length, "worker")} alive`, rows, key: (w) => w.id,
	empty: h("p", { class: "bad" }, "No worker is alive. What comes in is kept; nothing is handled."),
	columns: [
		{ title: "Worker", cell: (w) => h("code", {}, w.id), by: (w) => w.id },
		{ title: "State", cell: (w) => badge(w.state, kinds[w.state]), by: (w) => w.state },
		{ title: "In hand", cell: (w) => h("span", { class: "load" }, `${number(w.in_flight)} of ${number(w.in_flight_max)}`,
			meter(w.in_flight, w.in_flight_max, w.in_flight >= w.in_flight_max ? "bad" : "")), kind: "number", by: (w) => w.in_flight },
		{ title: "A second", cell: (w) => rate(w.per_second), kind: "number", by: (w) => w.per_second },
		{ title: "Done", cell: (w) => number(w.done), kind: "number", by: (w) => w.done },
		{ title: "Host", cell: (w) => `${w.host ?? "–"}, process ${w.pid ?? "–"}`, by: (w) => w.host },
		{ title: "Started", cell: (w) => time(w.started_at), by: (w) => w.started_at },
		{ title: "Version", cell: (w) => h("code", {}, w.version ?? "–") },
	],
});

export async function workers(view) {
	const box = h("section", { class: "card" });
	view.append(h("h1", {}, "Workers"), box);
	return (await live(box, 2, () => "workers", draw)).end;
}
