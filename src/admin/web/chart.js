// Small charts in SVG: a line of what has happened lately, bars of the last days.
import { h } from "./dom.js";

const kept = 180;

export class Line {
	constructor(title, show) {
		this.values = [];
		this.show = show;
		this.now = h("span", { class: "now" }, "–");
		this.area = h("path", { class: "area" });
		this.line = h("path", { class: "line" });
		this.most = h("span", { class: "soft" });
		this.element = h("section", { class: "card chart" }, h("h2", {}, this.now, title),
			h("svg", { viewBox: `0 0 ${kept - 1} 100`, preserveAspectRatio: "none", "aria-hidden": "true" }, this.area, this.line),
			this.most);
	}

	/* null: nothing is known, which leaves a gap. */
	add(value) {
		this.values.push(value);
		this.values = this.values.slice(-kept);
		this.now.textContent = value === null ? "–" : this.show(value);
		this.draw();
	}

	draw() {
		const most = Math.max(...this.values.filter((v) => v !== null), 0) || 1, from = kept - this.values.length;
		let line = "", area = "", open = false;

		this.values.forEach((v, i) => {
			const x = from + i, y = v === null ? 100 : (98 - 94 * v / most).toFixed(1);
			if (v !== null) {
				line += `${open ? "L" : "M"}${x} ${y}`;
				area += `${open ? "" : `M${x} 100`}L${x} ${y}`;
			} else if (open) {
				area += `L${x - 1} 100Z`;
			}
			open = v !== null;
		});
		if (open)
			area += `L${kept - 1} 100Z`;
		this.line.setAttribute("d", line);
		this.area.setAttribute("d", area);
		this.most.textContent = `the last ${Math.round(this.values.length / 60) || 1} min; highest ${this.show(Math.max(...this.values, 0))}`;
	}
}

export function sparkline(counts) {
	const most = Math.max(...counts, 1), total = counts.reduce((a, b) => a + b, 0);

	return h("svg", { class: "spark", viewBox: "0 0 140 32", role: "img", "aria-label": `${total} messages in 14 days: ${counts.join(", ")}` },
		counts.map((n, i) => {
			const tall = n ? Math.max(3, 30 * n / most) : 2;
			return h("rect", { class: n ? undefined : "none", x: i * 10 + 1, y: 32 - tall, width: 8, height: tall, rx: 1 });
		}));
}
