// Caches: what is in them, how often they could answer, and making the fleet forget.
import { api, part } from "./api.js";
import { action, ask, bytes, confirm, h, number, table, time, toast } from "./dom.js";

const rate = (r) => r.hit_rate_pct === null ? "–" : `${number(r.hit_rate_pct, 1)} %`;
const heard = (a) => `${a.values === null ? "All" : number(a.values)} values forgotten; ${a.heard} programs have heard${a.silent ? `, ${a.silent} said nothing` : ""}.`;

async function forget(cache) {
	const input = h("input", { id: "cache-keys", autocapitalize: "off", spellcheck: "false", "aria-describedby": "cache-keys-hint" });
	const form = h("form", { id: "cache-form" }, h("label", { for: "cache-keys" }, "Keys, separated by blanks"), input,
		h("p", { id: "cache-keys-hint", class: "soft" }, `Keys of ${cache.cache} are ${cache.keys}. Leave it empty to forget all.`));
	form.addEventListener("submit", (e) => { e.preventDefault(); e.target.closest("dialog").close("yes"); });
	const said = await ask(`Forget of ${cache.cache}`, form, [
		h("button", { type: "button", onclick: (e) => e.target.closest("dialog").close("") }, "Cancel"),
		h("button", { class: "danger", form: "cache-form" }, "Forget"),
	]);
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

export async function caches(view, { admin, refresh }) {
	const rows = await api("GET", "cache");
	const columns = [
		["Cache", (c) => h("strong", {}, c.cache)],
		["Values", (c) => (c.all_counted ? "" : "over ") + number(c.entries), "number"],
		["Size", (c) => bytes(c.bytes), "number"],
		["Answered", rate, "number"],
		["By memory", (c) => rate(c.layers.memory), "number"],
		["By Redis", (c) => rate(c.layers.redis), "number"],
		["Asked of PostgreSQL", (c) => number(c.misses), "number"],
		["Kept", (c) => c.ttl_seconds ? `${number(c.ttl_seconds)} s` : "until changed"],
		["Loaded", (c) => c.loaded === "whole" ? time(c.last_loaded) : c.loaded],
	];
	const change = async (fn) => await fn() && await refresh();

	if (admin)
		columns.push(["", (c) => h("div", { class: "actions" },
			action("Forget…", () => change(() => forget(c)), undefined, `Forget of ${c.cache}`),
			action("Load anew", () => change(() => reload(c)), undefined, `Load anew: ${c.cache}`)), "whole"]);
	view.append(h("h1", {}, "Caches"), h("div", { class: "bar" }, action("Look again", refresh)),
		h("section", { class: "card" }, table("Since the workers began", columns, rows, "There are no caches.")));
}
