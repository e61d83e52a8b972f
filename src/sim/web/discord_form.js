// Fields: the options of a command, and what a modal asks for.
import { post } from "/api.js";

let numbers = 0;

export function element(name, className, text) {
	const node = document.createElement(name);
	if (className)
		node.className = className;
	if (text !== undefined)
		node.textContent = text;
	return node;
}

function choice(label, value) {
	const node = element("option", "", label);
	node.value = value;
	return node;
}

// A menu; an empty first line where nothing has to be chosen, or where nothing is chosen yet.
function menu(choices, required, most = 1) {
	const node = document.createElement("select");
	if (most > 1) {
		node.multiple = true;
		node.size = Math.min(choices.length, 5);
	} else {
		node.append(choice("Choose…", ""));
	}
	node.append(...choices.map(([label, value, chosen]) => {
		const line = choice(label, value);
		line.selected = chosen === true;
		return line;
	}));
	node.required = required;
	return node;
}

// An input that asks the bot what could be meant while one types.
function suggesting(input, ask) {
	const box = element("div", "suggest");
	const list = element("ul", "choices");
	let shown = [], active = -1, asked = 0, waiting = 0;
	list.id = `choices-${++numbers}`;
	list.setAttribute("role", "listbox");
	list.hidden = true;
	input.setAttribute("role", "combobox");
	input.setAttribute("aria-controls", list.id);
	input.setAttribute("aria-autocomplete", "list");
	input.setAttribute("aria-expanded", "false");

	const show = (choices) => {
		shown = choices;
		active = -1;
		list.replaceChildren(...choices.map((c, i) => {
			const li = element("li", "", c.name);
			li.id = `${list.id}-${i}`;
			li.setAttribute("role", "option");
			li.addEventListener("pointerdown", (event) => {
				event.preventDefault();
				take(c);
			});
			return li;
		}));
		list.hidden = choices.length === 0;
		input.setAttribute("aria-expanded", String(!list.hidden));
		input.removeAttribute("aria-activedescendant");
	};
	const take = (c) => {
		clearTimeout(waiting);
		asked++;
		input.value = c.name;
		input.chosen = c;
		show([]);
	};
	const move = (by) => {
		active = (active + by + shown.length) % shown.length;
		[...list.children].forEach((li, i) => li.setAttribute("aria-selected", String(i === active)));
		list.children[active].scrollIntoView({ block: "nearest" });
		input.setAttribute("aria-activedescendant", list.children[active].id);
	};
	const question = async () => {
		const turn = ++asked;
		const choices = await ask(input.value).catch(() => []);
		if (turn === asked && document.activeElement === input)
			show(choices);
	};
	input.addEventListener("input", () => {
		input.chosen = null;
		clearTimeout(waiting);
		waiting = setTimeout(question, 120);
	});
	input.addEventListener("focus", question);
	input.addEventListener("blur", () => {
		asked++;
		show([]);
	});
	input.addEventListener("keydown", (event) => {
		if (list.hidden)
			return;
		if (event.key === "ArrowDown" || event.key === "ArrowUp")
			move(event.key === "ArrowDown" ? 1 : -1);
		else if (event.key === "Enter" && active >= 0)
			take(shown[active]);
		else if (event.key === "Escape")
			show([]);
		else
			return;
		event.preventDefault();
		event.stopPropagation();
	});
	box.append(input, list);
	return box;
}

const optionInputs = {
	4: () => Object.assign(document.createElement("input"), { type: "number", step: "1" }),
	5: (o) => menu([["True", "true"], ["False", "false"]], o.required),
	10: () => Object.assign(document.createElement("input"), { type: "number", step: "any" }),
};

const optionValues = {
	4: Number,
	5: (text) => text === "true",
	10: Number,
};

function text(o) {
	const input = document.createElement("input");
	input.autocomplete = "off";
	if (o.min_length)
		input.minLength = o.min_length;
	if (o.max_length)
		input.maxLength = o.max_length;
	return input;
}

// A line of a form: its label, its control, and what is to be known of it. read() gives its value, undefined for none.
function line(label, control, hint, read) {
	const node = element("div");
	const name = element("label", "", label);
	const field = control.matches("input, textarea, select") ? control : control.querySelector("input");
	field.id = `field-${++numbers}`;
	name.htmlFor = field.id;
	node.append(name, control);
	if (hint)
		node.append(element("small", "", hint));
	return { node, field, read };
}

// people: [{ id, name }]; values: () => what the other options hold.
export function optionLine(command, o, person, people, values) {
	let input;
	if (o.choices?.length)
		input = menu(o.choices.map((c, i) => [c.name, String(i)]), o.required);
	else if (o.type === 6)
		input = menu(people.map((p) => [p.name, p.id]), o.required);
	else
		input = (optionInputs[o.type] ?? text)(o);
	input.required = o.required === true;
	const ask = async (typed) => {
		const options = { ...values(), [o.name]: typed };
		const body = { user_id: person.id, name: command.name, option: o.name, options };
		return (await post("/sim/discord/autocomplete", body)).answer?.choices ?? [];
	};
	return line(o.name, o.autocomplete ? suggesting(input, ask) : input, o.description, () => {
		if (input.value === "")
			return undefined;
		if (o.choices?.length)
			return o.choices[Number(input.value)].value;
		return input.chosen ? input.chosen.value : (optionValues[o.type] ?? String)(input.value);
	});
}

// A field of a modal; null for what only stands there.
export function modalLine(part) {
	const field = part.component ?? part.components?.[0];
	if (!field)
		return null;
	const required = field.required !== false;
	if (field.type === 3) {
		const select = menu(field.options.map((o) => [o.label, o.value, o.default === true]), required, field.max_values ?? 1);
		return { name: field.custom_id, ...line(part.label, select, part.description, () =>
			[...select.selectedOptions].map((o) => o.value).filter((v) => v !== "")) };
	}
	const input = field.style === 2 ? Object.assign(document.createElement("textarea"), { rows: 3 }) : text(field);
	input.required = required;
	input.placeholder = field.placeholder ?? "";
	input.value = field.value ?? "";
	return { name: field.custom_id, ...line(part.label ?? field.label, input, part.description, () => input.value) };
}

export { menu };
