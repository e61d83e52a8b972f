// Caches: what is in them, how often they could answer, and making the fleet forget.
import { api, part } from "./api.js";
import { action, ask, bytes, closing, confirm, h, meter, number, percent, plural, spoken, time, toast } from "./dom.js";
import { live } from "./live.js";
import { table } from "./table.js";

const answered = (c) => c.hit_rate_pct === null ? "–"
	: h("span", { class: "load" }, percent(c.hit_rate_pct), meter(c.hit_rate_pct, 100));
const heard = (a) => `${a.values === null ? "All values" : plural(a.values, "value")} forgotten; ${plural(a.heard, "program has", "programs have")} heard${a.silent ? `, ${a.silent} said nothing` : ""}.`;

async function forget(cache) {
	const input = h("input", { id: "cache-keys", autocapitalize: "off", spellcheck: "false", "aria-describedby": "cache-keys-hint" });
	const form = h("form", { id: "cache-form" }, h("label", { for: "cache-keys" }, "Keys, separated by blanks"), input,
		h("p", { id: "cache-keys-hint", class: "soft" }, `Keys of ${cache.cache} are ${cache.keys}. Leave it empty to forget all.`));
	form.addEventListener("submit", (e) => { e.preventDefault(); e.target.closest("dialog").close("yes"); });
	const said = await ask(`Forget of ${cache.cache}`, form, [closing("Cancel", ""), h("button", { class: "danger", form: "cache-form" }, "Forget")]);
	const keys = input.value.trim().split(/\s+/).filter(Boolean);
	if (said !== "yes")
		return false;
	toast(heard(await api("POST", `cache/${part(cache.cache)}/invalidate`, keys.length ? { keys } : { all: true })));
	return true;
}

async function reload(cache) {
	if (!await confirm(`Load ${cache.cache} anew?`, "The whole fleet forgets it, and it is read again from PostgreSQL.", "Load anew", false))
		return false;
	toast(heard(await api("POST", `cache/${part(cache.cache)}/reload`)));
	return true;
}

export async function caches(view, { admin }) {
	const box = h("section", { class: "card" });
	const change = async (fn) => await fn() && await again();
	const columns = [
		{ title: "Cache", cell: (c) => h("strong", {}, c.cache), by: (c) => c.cache },
		{ title: "Values", cell: (c) => (c.all_counted ? "" : "over ") + number(c.entries), kind: "number", by: (c) => c.entries },
		{ title: "Size", cell: (c) => bytes(c.bytes), kind: "number", by: (c) => c.bytes },
		{ title: "Answered", cell: answered, kind: "number", by: (c) => c.hit_rate_pct },
		{ title: "By memory", cell: (c) => percent(c.layers.memory.hit_rate_pct), kind: "number", by: (c) => c.layers.memory.hit_rate_pct },
		{ title: "By Redis", cell: (c) => percent(c.layers.redis.hit_rate_pct), kind: "number", by: (c) => c.layers.redis.hit_rate_pct },
		{ title: "Misses", cell: (c) => number(c.misses), kind: "number", by: (c) => c.misses },
		{ title: "Kept", cell: (c) => c.ttl_seconds ? `${number(c.ttl_seconds)} s` : "until changed" },
		{ title: "Loaded", cell: (c) => c.loaded === "whole" ? time(c.last_loaded) : c.loaded === "no" ? "not now" : c.loaded },
	];

	if (admin)
		columns.push({ title: "", head: spoken("Actions"), kind: "whole", cell: (c) => h("div", { class: "actions" },
			action("Forget…", () => change(() => forget(c)), undefined, `Forget of ${c.cache}`),
			action("Load anew", () => change(() => reload(c)), undefined, `Load anew: ${c.cache}`)) });
	view.append(h("h1", {}, "Caches"), box);
	const { again, end } = await live(box, 10, () => "cache", (rows) => table({
		name: "caches", caption: ["What they could answer", h("span", { class: "soft" }, " since the workers began")], columns, rows,
		key: (c) => c.cache, empty: h("p", {}, "There are no caches.") }));
	return end;
}
