// Start codes: who came by which, and making, changing and removing them.
import { api, part, query } from "./api.js";
import { action, ask, badge, closing, confirm, h, meter, number, plural, spoken, time, toast } from "./dom.js";
import { live } from "./live.js";
import { choice } from "./overview.js";
import { table } from "./table.js";

const path = "analytics/start-codes";

const fields = [
	["code", "Code", { required: true, maxlength: 64, pattern: "[A-Za-z0-9_\\-]{1,64}", autocapitalize: "off", spellcheck: "false" },
		"Letters, digits, _ and -; it becomes the end of a link."],
	["persona", "Persona", { maxlength: 64, autocapitalize: "off", spellcheck: "false" }, "Its key. Without one: the default persona."],
	["description", "Description", { maxlength: 1000 }],
	["max_uses", "Most uses", { type: "number", min: 1, step: 1 }, "Without: as many as come."],
	["expires_at", "Ends at", { type: "datetime-local" }, "Without: never."],
];

const local = (text) => {
	const d = new Date(text);
	return new Date(d - d.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
};

function shown(name, value) {
	return value === null || value === undefined ? "" : name === "expires_at" ? local(value) : String(value);
}

function read(form) {
	const value = (name) => form.elements[name].value.trim() || null;

	return {
		persona: value("persona"), description: value("description"), active: form.elements.active.checked,
		max_uses: value("max_uses") && Number(value("max_uses")),
		expires_at: value("expires_at") && new Date(value("expires_at")).toISOString(),
	};
}

/* What the form says otherwise than it did when it was opened: what somebody else changed meanwhile stays, as do the seconds
 * of a time that the form shows without them. */
const changed = (before, after) => Object.fromEntries(Object.entries(after).filter(([name, value]) => value !== before[name]));

/* Makes a code, or changes one. */
async function edit(code) {
	const why = h("p", { class: "bad", role: "alert" });
	const form = h("form", { id: "code-form" }, fields.map(([name, title, props, hint]) => [
		h("label", { for: `code-${name}` }, title),
		h("input", { id: `code-${name}`, name, ...props, value: shown(name, code?.[name]), readonly: code && name === "code",
			"aria-describedby": hint && `code-${name}-hint` }),
		hint && h("p", { id: `code-${name}-hint`, class: "soft" }, hint),
	]), h("label", { class: "check" }, h("input", { type: "checkbox", name: "active", checked: code?.active ?? true }), "Active"), why);

	const before = read(form);

	async function save(event) {
		event.preventDefault();
		const button = form.closest("dialog").querySelector(".primary");
		button.disabled = true;
		why.textContent = "";
		for (const input of form.elements)
			input.removeAttribute("aria-invalid");
		try {
			if (code)
				await api("PUT", `${path}/${part(code.code)}`, changed(before, read(form)));
			else
				await api("POST", path, { code: form.elements.code.value.trim(), ...read(form) });
			form.closest("dialog").close(form.elements.code.value.trim());
		} catch (error) {
			why.textContent = error.message;
			const input = form.elements[error.field];
			input?.setAttribute("aria-invalid", "true");
			input?.focus();
		}
		button.disabled = false;
	}

	form.addEventListener("submit", save);
	return ask(code ? `Start code ${code.code}` : "New start code", form, [
		closing("Cancel", ""),
		h("button", { class: "primary", form: "code-form" }, code ? "Save" : "Make it"),
	]);
}

async function remove(code) {
	const one = `${path}/${part(code.code)}`;

	if (!await confirm(`Remove ${code.code}?`, "Links with it then lead to the default persona.", "Remove"))
		return false;
	try {
		await api("DELETE", one);
	} catch (error) {
		if (error.code !== "in_use")
			throw error;
		if (!await confirm(`Remove ${code.code} with its count?`, `${plural(code.user_count, "person", "people")} came by it, and would be counted no more. To keep the count, make it inactive instead.`, "Remove both"))
			return false;
		await api("DELETE", `${one}?force=true`);
	}
	toast(`${code.code} is removed.`);
	return true;
}

function state(code) {
	if (!code.active)
		return badge("inactive");
	if (code.expires_at && new Date(code.expires_at) <= new Date())
		return badge("ended", "warn");
	if (code.max_uses !== null && code.user_count >= code.max_uses)
		return badge("used up", "warn");
	return badge("active", "good");
}

const wanted = { size: 100, order: "users", q: "" };
const most = 1000;

export async function codes(view, { admin }) {
	const box = h("section", { class: "card" }), more = h("div", { class: "bar" });
	const input = h("input", { id: "codes-q", type: "search", value: wanted.q, maxlength: 100, autocapitalize: "off", spellcheck: "false" });

	async function change(fn, text) {
		const done = await fn();
		if (!done)
			return;
		if (text)
			toast(text(done));
		await list.again();
	}

	const columns = (top) => [
		{ title: "Code", cell: (c) => h("code", {}, c.code) },
		{ title: "Persona", cell: (c) => c.persona ?? "default" },
		{ title: "Description", cell: (c) => c.description ?? "–", kind: "words" },
		{ title: "State", cell: state },
		{ title: "People", kind: "number", cell: (c) => h("span", { class: "load" },
			number(c.user_count) + (c.max_uses === null ? "" : ` of ${number(c.max_uses)}`), meter(c.user_count, top)) },
		{ title: "Ends", cell: (c) => c.expires_at ? time(c.expires_at) : "never" },
		{ title: "Made", cell: (c) => time(c.created_at) },
		...admin ? [{ title: "", head: spoken("Actions"), kind: "whole", cell: (c) => h("div", { class: "actions" },
			action("Change", () => change(() => edit(c), (code) => `${code} is changed.`), undefined, `Change ${c.code}`),
			action("Remove", () => change(() => remove(c)), "danger", `Remove ${c.code}`)) }] : [],
	];

	function draw(rows, headers) {
		const total = Number(headers.get("X-Total-Count")), people = Number(headers.get("X-Total-Users"));
		more.replaceChildren(...rows.length >= total ? [] : wanted.size < most
			? [action("Show more", () => { wanted.size = Math.min(wanted.size * 3, most); return list.again(); })]
			: [h("p", { class: "soft" }, `These are the first ${number(most)}. Search for the others.`)]);
		return table({
			name: "codes", rows, key: (c) => c.code, columns: columns(Math.max(...rows.map((c) => c.user_count), 1)),
			caption: `${rows.length < total ? `${number(rows.length)} of ` : ""}${plural(total, "code")}, ${plural(people, "person", "people")}`,
			empty: wanted.q ? h("p", {}, "No code is called so.") : [h("p", {}, "There are no start codes yet."),
				admin && h("p", { class: "soft" }, "A start code is the end of a link: who opens it meets its persona, and is counted.")],
		});
	}

	const search = h("form", { role: "search", class: "grow" }, h("label", { for: "codes-q" }, "Part of a code, persona or description"), input);
	const seek = async () => {
		wanted.q = input.value.trim();
		wanted.size = 100;
		await list.again().catch((error) => toast(error.message, "wrong"));
	};
	search.addEventListener("submit", (e) => { e.preventDefault(); seek(); });
	input.addEventListener("search", seek);
	view.append(h("div", { class: "head" }, h("h1", {}, "Start codes"),
		admin && action("New code", () => change(() => edit(), (code) => `${code} is made, and works from now on.`), "primary")),
	h("div", { class: "bar" }, search, choice("Order", [["users", "Most people first"], ["code", "By name"]], wanted.order, (order) => {
		wanted.order = order;
		list.again().catch((error) => toast(error.message, "wrong"));
	})), box, more);
	const list = await live(box, 10, () => `${path}${query({ limit: wanted.size, order: wanted.order, q: wanted.q })}`, draw);
	return list.end;
}
