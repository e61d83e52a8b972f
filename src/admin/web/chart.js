// Charts in SVG: lines over time, ranges of latency, bars of the last days.
import { h } from "./dom.js";

const height = 176, top = 10, bottom = 22, right = 8, gap = 12000; // px, px, px, px, ms without news

/* 1, 2 or 5 times a power of ten, so that some three of them reach the most. */
function step(most) {
	const rough = most / 3, ten = 10 ** Math.floor(Math.log10(rough));
	return ten * [1, 2, 5, 10].find((n) => n * ten >= rough);
}

const clock = (t) => new Date(t).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });

/* Of the points in one column of pixels the highest of each line: a peak is what one looks for. */
function columns(points, lines, from, until, count) {
	const all = [];
	for (const p of points) {
		if (p.t < from || p.t > until)
			continue;
		const at = Math.floor((p.t - from) / (until - from) * count), last = all.at(-1);
		const values = lines.map((l) => l.value(p) ?? null);
		if (last?.at === at)
			last.values = last.values.map((v, i) => v === null ? values[i] : Math.max(v, values[i] ?? v));
		else
			all.push({ at, t: p.t, values });
	}
	return all;
}

/* lines: { name, value: (point) => number or null }; show: (number) => text. */
export class Chart {
	constructor(title, lines, show) {
		Object.assign(this, { lines, show, points: [], minutes: 5 });
		this.figures = lines.map(() => h("strong", {}, "–"));
		this.svg = h("svg", { class: "plot", role: "img", height });
		this.tip = h("div", { class: "tip", hidden: true });
		this.element = h("section", { class: "card chart" },
			h("h2", {}, title),
			h("ul", { class: "legend" }, lines.map((l, i) => h("li", { class: `line-${i}` }, lines.length > 1 && h("span", {}, l.name), this.figures[i]))),
			h("div", { class: "plot-box" }, this.svg, this.tip));
		this.title = title;
		this.svg.addEventListener("pointermove", (e) => this.point(e));
		this.svg.addEventListener("pointerleave", () => this.leave());
		this.sizes = new ResizeObserver(() => this.draw());
		this.sizes.observe(this.svg);
	}

	close() {
		this.sizes.disconnect();
	}

	set(points, minutes, until) {
		Object.assign(this, { points, minutes, until });
		const last = points.at(-1);
		this.lines.forEach((l, i) => {
			const v = last ? l.value(last) ?? null : null;
			this.figures[i].textContent = v === null ? "–" : this.show(v);
		});
		this.draw();
	}

	draw() {
		const width = Math.round(this.svg.clientWidth);
		if (!width)
			return;
		const until = this.until ?? Date.now(), from = until - this.minutes * 60000;
		const some = columns(this.points, this.lines, from, until, Math.min(300, Math.floor(width / 2)));
		const most = Math.max(0, ...some.flatMap((c) => c.values)), one = step(most || 1), roof = Math.max(one, Math.ceil(most / one) * one);
		const left = Math.max(...[0, roof].map((v) => this.show(v).length)) * 6.6 + 10;
		const x = (t) => left + (t - from) / (until - from) * (width - left - right), y = (v) => height - bottom - v / roof * (height - top - bottom);

		this.scale = { some, x, y, width, left };
		this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
		this.svg.setAttribute("aria-label", this.words(some, from, until));
		const grid = [];
		for (let v = 0; v <= roof + one / 2; v += one) {
			grid.push(h("line", { class: "grid", x1: left, x2: width - right, y1: y(v), y2: y(v) }),
				h("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, v === 0 ? "0" : this.show(v)));
		}
		for (const part of [0, 0.5, 1]) {
			grid.push(h("text", { x: x(from + part * (until - from)), y: height - 5, "text-anchor": ["start", "middle", "end"][part * 2] },
				part === 1 ? "now" : clock(from + part * (until - from))));
		}
		this.cursor = h("line", { class: "cursor", y1: top, y2: height - bottom, visibility: "hidden" });
		this.svg.replaceChildren(...grid, ...this.lines.flatMap((l, i) => this.paths(some, i, x, y)), this.cursor);
	}

	/* A line, and the ground below it where it is the only one; both end where nothing is known. */
	paths(some, i, x, y) {
		let line = "", area = "", open = null, last = null;
		const end = () => {
			if (open !== null && this.lines.length === 1)
				area += `L${x(last).toFixed(1)} ${y(0)}L${x(open).toFixed(1)} ${y(0)}Z`;
			open = null;
		};

		for (const { t, values } of some) {
			const v = values[i];
			if (v === null || (last !== null && t - last > gap))
				end();
			if (v === null)
				continue;
			const at = `${x(t).toFixed(1)} ${y(v).toFixed(1)}`;
			line += `${open === null ? "M" : "L"}${at}`;
			area += `${open === null ? "M" : "L"}${at}`;
			open ??= t;
			last = t;
		}
		end();
		return [this.lines.length === 1 && line && h("path", { class: "area", d: area }), h("path", { class: `line line-${i}`, d: line })].filter(Boolean);
	}

	words(some, from, until) {
		const said = this.lines.map((l, i) => {
			const values = some.map((c) => c.values[i]).filter((v) => v !== null);
			return values.length ? `${l.name}: ${this.show(values.at(-1))} now, ${this.show(Math.max(...values))} at most` : `${l.name}: not known`;
		});
		return `${this.title} from ${clock(from)} to ${clock(until)}. ${said.join("; ")}.`;
	}

	point(event) {
		const { some, x, width } = this.scale ?? {};
		if (!some?.length)
			return;
		const at = event.clientX - this.svg.getBoundingClientRect().left;
		const near = some.reduce((best, c) => Math.abs(x(c.t) - at) < Math.abs(x(best.t) - at) ? c : best);
		this.cursor.setAttribute("x1", x(near.t));
		this.cursor.setAttribute("x2", x(near.t));
		this.cursor.setAttribute("visibility", "visible");
		this.tip.replaceChildren(h("span", { class: "soft" }, new Date(near.t).toLocaleTimeString("en-GB")),
			...this.lines.map((l, i) => h("span", { class: `line-${i}` }, `${l.name} `, h("strong", {}, near.values[i] === null ? "–" : this.show(near.values[i])))));
		this.tip.hidden = false;
		const beside = x(near.t) > width / 2 ? x(near.t) - this.tip.offsetWidth - 10 : x(near.t) + 10;
		this.tip.style.left = `${Math.max(beside, 0)}px`;
	}

	leave() {
		this.tip.hidden = true;
		this.cursor?.setAttribute("visibility", "hidden");
	}
}

/* --- ranges: from the half to 99 of 100, on a scale where each step is ten times the one before */

const decades = [0.1, 1, 10, 100, 1000, 10000, 100000];

/* The decades that hold all of the rows. */
export function span(rows) {
	const low = Math.min(...rows.map((r) => r.p50_ms)), high = Math.max(...rows.map((r) => r.p99_ms));
	return [decades.findLast((d) => d <= low) ?? decades[0], decades.find((d) => d >= high) ?? decades.at(-1)];
}

function placer([low, high]) {
	return (v) => 100 * Math.log(Math.min(Math.max(v, low), high) / low) / Math.log(Math.max(high, low * 10) / low);
}

export function range(row, ends) {
	const at = placer(ends), inner = decades.filter((d) => d > ends[0] && d < ends[1]);

	return h("svg", { class: "range", viewBox: "0 0 100 20", preserveAspectRatio: "none", "aria-hidden": "true" },
		inner.map((d) => h("line", { class: "grid", x1: at(d), x2: at(d), y1: 0, y2: 20 })),
		h("rect", { class: "tail", x: at(row.p95_ms), y: 7, width: Math.max(0.6, at(row.p99_ms) - at(row.p95_ms)), height: 6 }),
		h("rect", { class: "most", x: at(row.p50_ms), y: 5, width: Math.max(0.6, at(row.p95_ms) - at(row.p50_ms)), height: 10 }));
}

/* What the lines of the ranges mean, for the head of their column. */
export const scale = ([low, high]) => h("span", { class: "scale" }, decades.filter((d) => d >= low && d <= high)
	.map((d) => h("span", {}, d < 1000 ? `${d} ms` : `${d / 1000} s`)));

/* --- bars of the last days */

export function sparkline(counts) {
	const most = Math.max(...counts, 1), total = counts.reduce((a, b) => a + b, 0);

	return h("svg", { class: "spark", viewBox: "0 0 140 32", role: "img", "aria-label": `${total} messages in 14 days: ${counts.join(", ")}` },
		counts.map((n, i) => {
			const tall = n ? Math.max(3, 30 * n / most) : 2;
			return h("rect", { class: n ? undefined : "none", x: i * 10 + 1, y: 32 - tall, width: 8, height: tall, rx: 1 });
		}));
}
