// Start codes: who came by which, and making, changing and removing them.
import { api, part } from "./api.js";
import { action, ask, confirm, h, number, table, time, toast } from "./dom.js";

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

/* Makes a code, or changes one. */
async function edit(code) {
	const why = h("p", { class: "bad", role: "alert" });
	const form = h("form", { id: "code-form" }, fields.map(([name, title, props, hint]) => [
		h("label", { for: `code-${name}` }, title),
		h("input", { id: `code-${name}`, name, ...props, value: shown(name, code?.[name]), readonly: code && name === "code",
			"aria-describedby": hint && `code-${name}-hint` }),
		hint && h("p", { id: `code-${name}-hint`, class: "soft" }, hint),
	]), h("label", { class: "check" }, h("input", { type: "checkbox", name: "active", checked: code?.active ?? true }), "Active"), why);

	async function save(event) {
		event.preventDefault();
		const button = form.closest("dialog").querySelector(".primary");
		button.disabled = true;
		why.textContent = "";
		for (const input of form.elements)
			input.removeAttribute("aria-invalid");
		try {
			if (code)
				await api("PUT", `${path}/${part(code.code)}`, read(form));
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
		h("button", { type: "button", onclick: (e) => e.target.closest("dialog").close("") }, "Cancel"),
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
		if (!await confirm(`Remove ${code.code} with its count?`, `${number(code.user_count)} people came by it, and would be counted no more. To keep the count, make it inactive instead.`, "Remove both"))
			return false;
		await api("DELETE", `${one}?force=true`);
	}
	toast(`${code.code} is removed.`);
	return true;
}

function state(code) {
	if (!code.active)
		return h("span", { class: "soft" }, "inactive");
	if (code.expires_at && new Date(code.expires_at) <= new Date())
		return h("span", { class: "warn" }, "ended");
	if (code.max_uses !== null && code.user_count >= code.max_uses)
		return h("span", { class: "warn" }, "used up");
	return h("span", { class: "good" }, "active");
}

export async function codes(view, { admin, refresh }) {
	const rows = await api("GET", path);
	const columns = [
		["Code", (c) => h("code", {}, c.code)],
		["Persona", (c) => c.persona ?? "default"],
		["Description", (c) => c.description ?? "–"],
		["State", state],
		["People", (c) => number(c.user_count) + (c.max_uses === null ? "" : ` of ${number(c.max_uses)}`), "number"],
		["Ends", (c) => time(c.expires_at)],
		["Made", (c) => time(c.created_at)],
	];

	async function change(fn, text) {
		const done = await fn();
		if (!done)
			return;
		if (text)
			toast(text(done));
		await refresh();
	}
	if (admin)
		columns.push(["", (c) => h("div", { class: "actions" },
			action("Change", () => change(() => edit(c), (code) => `${code} is changed.`), undefined, `Change ${c.code}`),
			action("Remove", () => change(() => remove(c)), "danger", `Remove ${c.code}`)), "whole"]);
	view.append(h("h1", {}, "Start codes"),
		h("div", { class: "bar" }, admin && action("New code", () => change(() => edit(), (code) => `${code} is made, and works from now on.`), "primary"),
			action("Look again", refresh)),
		h("section", { class: "card" }, table(`${number(rows.length)} codes, ${number(rows.reduce((n, c) => n + c.user_count, 0))} people`,
			columns, rows, "There are no start codes yet.")));
}
