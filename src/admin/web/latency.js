// Latency: of each bot over time, of each command and stage over the last minutes.
import { Chart, range, scale, span } from "./chart.js";
import { h, ms, number, plural } from "./dom.js";
import { live } from "./live.js";
import { now, onChange } from "./stream.js";
import { table } from "./table.js";

function lines(p, key, title) {
	const rows = p[`${key}s`].filter((r) => r.count > 0), ends = rows.length ? span(rows) : null;

	return table({
		name: key, caption: [title, h("span", { class: "soft" }, " from p50 over p95 (broad) to p99 (narrow)")], rows, key: (r) => `${r.bot} ${r[key]}`,
		empty: h("p", {}, "Nothing was handled lately."),
		columns: [
			{ title: "Bot", cell: (r) => r.bot, by: (r) => r.bot },
			{ title: key[0].toUpperCase() + key.slice(1), cell: (r) => h("code", {}, r[key]), by: (r) => r[key] },
			{ title: "Updates", cell: (r) => number(r.count), kind: "number", by: (r) => r.count },
			{ title: "Range", head: ends && scale(ends), cell: (r) => range(r, ends), kind: "wide-cell" },
			...["p50", "p95", "p99"].map((q) => ({ title: q, cell: (r) => ms(r[`${q}_ms`]), kind: "number", by: (r) => r[`${q}_ms`] })),
		],
	});
}

const draw = (p) => h("div", {},
	h("p", { class: "soft" }, `${plural(p.count, "update")} of ${plural(p.workers, "worker")} in the last ${Math.round(p.window_seconds / 60) || 5} minutes.`),
	h("section", { class: "card" }, lines(p, "command", "By command")), h("section", { class: "card" }, lines(p, "stage", "By stage")));

export async function latency(view, { bots }) {
	const chart = new Chart("p99 by bot", bots.map((b) => ({ name: b, value: (p) => p.bots?.[b] ?? null })), ms), box = h("div");
	const look = () => chart.set(now.points, 5, now.points.at(-1)?.t);

	view.append(h("h1", {}, "Latency"), h("div", { class: "charts one" }, chart.element), box);
	const { end } = await live(box, 5, () => "performance", draw);
	const leave = onChange(look);
	look();
	return () => {
		end();
		leave();
		chart.close();
	};
}
