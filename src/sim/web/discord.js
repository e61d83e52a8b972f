// Two players of the ladder side by side: what each sees of the channel, and what each does.
import { get, post } from "/api.js";
import { element, menu, modalLine, optionLine } from "/discord_form.js";
import { markdown } from "/discord_text.js";

const longPollMs = 25000;
const lookAgainMs = 3000;
const LOADING = 128; // flag of a message that says that the bot is thinking
const firstNames = ["Ann", "Ben"];

let app = null;
const players = [];

function stored(key, fallback) {
	try {
		return JSON.parse(localStorage.getItem(key)) ?? fallback;
	} catch {
		return fallback;
	}
}

function pause(ms) {
	return new Promise((resolve) => setTimeout(resolve, ms));
}

function milliseconds(ms) {
	return ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function nameOf(id) {
	return players.find((p) => p.person?.id === id)?.person.name ?? known.get(id);
}

const known = new Map(); // names of all who were seen

/* --- one of the two */

class Player {
	constructor(place) {
		this.place = place;
		this.node = document.getElementById("player").content.firstElementChild.cloneNode(true);
		this.node.setAttribute("aria-label", `Player ${place + 1}`);
		this.shown = new Map(); // message id -> <li>
		this.$(".name-form").addEventListener("submit", (event) => {
			event.preventDefault();
			this.$(".name").blur();
		});
		this.$(".name").addEventListener("change", () => this.attempt(() => this.rename(this.$(".name").value.trim())));
		this.$(".another").addEventListener("click", () => this.attempt(() => this.become({ name: `Player ${Math.floor(Math.random() * 9000) + 1000}` })));
		this.$(".line").addEventListener("submit", (event) => {
			event.preventDefault();
			this.attempt(() => this.type(this.$(".typed").value));
		});
		this.$(".overlay").addEventListener("keydown", (event) => event.key === "Escape" && this.close());
		this.$(".scroll").setAttribute("aria-label", `What player ${place + 1} sees`);
		document.getElementById("players").append(this.node);
	}

	$(selector) {
		return this.node.querySelector(selector);
	}

	/* What goes wrong is told where the person looks. */
	async attempt(deed) {
		const where = this.$(".overlay").hidden ? ".foot .error" : ".overlay .error";
		this.$(".foot .error").textContent = "";
		try {
			return await deed();
		} catch (error) {
			(this.$(where) ?? this.$(".foot .error")).textContent = error.message;
			return null;
		}
	}

	/* --- who it is: remembered by the browser */

	async become(person) {
		const user = await post("/sim/discord/users", person);
		this.person = { id: user.id, name: user.name };
		const all = stored("discord-players", []);
		all[this.place] = this.person;
		localStorage.setItem("discord-players", JSON.stringify(all));
		known.set(user.id, user.name);
		this.$(".name").value = user.name;
		this.$(".id").textContent = `id ${user.id}`;
		this.$(".face").textContent = [...user.name][0].toUpperCase();
		this.$(".face").className = `face h${this.place * 3}`;
		this.forget();
		this.close();
		this.follow();
	}

	async rename(name) {
		if (name)
			await this.become({ id: this.person.id, name });
		else
			this.$(".name").value = this.person.name;
	}

	/* --- what it sees */

	forget() {
		this.polling?.abort();
		this.seq = 0;
		this.epoch = null;
		this.shown.clear();
		this.$(".log").replaceChildren();
		this.$(".empty").hidden = false;
	}

	async follow() {
		const polling = this.polling = new AbortController();
		while (!polling.signal.aborted) {
			try {
				const feed = await get("/sim/discord/feed", { user_id: this.person.id, after: this.seq, wait: longPollMs }, polling.signal);
				document.getElementById("offline").hidden = true;
				if (this.epoch !== null && feed.epoch !== this.epoch) {
					await this.become(this.person);
					return;
				}
				this.take(feed);
			} catch (error) {
				if (error.name === "AbortError")
					return;
				document.getElementById("offline").hidden = false;
				await pause(lookAgainMs);
				if (!polling.signal.aborted && !/no answer|does not answer/.test(error.message)) {
					await this.attempt(() => this.become(this.person)); // the simulator began anew
					return;
				}
			}
		}
	}

	take(feed) {
		const scroll = this.$(".scroll");
		const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
		this.epoch = feed.epoch;
		for (const m of feed.messages)
			this.show(m, this.seq > 0);
		this.seq = feed.seq;
		this.$(".empty").hidden = this.shown.size > 0;
		if (atEnd)
			scroll.scrollTop = scroll.scrollHeight;
	}

	show(m, fresh) {
		const before = this.shown.get(m.id);
		if (m.deleted) {
			before?.remove();
			this.shown.delete(m.id);
			return;
		}
		const li = this.message(m);
		if (before)
			before.replaceWith(li);
		else
			this.$(".log").append(li);
		li.classList.toggle("fresh", fresh && !before);
		this.shown.set(m.id, li);
	}

	message(m) {
		const li = element("li", "entry");
		const user = m.interaction_metadata?.user;
		const text = element("div", "text");
		li.dataset.message = m.id;
		if (user) {
			known.set(user.id, user.global_name);
			const command = m.interaction_metadata.name;
			li.append(element("small", "origin", command ? `${user.global_name} used /${command}` : `to ${user.global_name}`));
		}
		for (const told of m.mentions)
			known.set(told.id, told.global_name);
		li.classList.toggle("alone", m.ephemeral || m.private);
		li.classList.toggle("told", m.mention_everyone || m.mentions.some((u) => u.id === this.person.id));
		li.classList.toggle("notice", Boolean(m.notice));
		if (m.notice)
			text.textContent = m.notice;
		else if (m.flags & LOADING)
			text.append(element("span", "thinking", `${app.name} is thinking…`));
		else
			markdown(text, m.content, nameOf);
		li.append(text, ...m.embeds.map((e) => this.embed(e)), ...m.components.map((row) => this.row(m, row)), this.meta(m));
		return li;
	}

	embed(e) {
		const node = element("div", "embed");
		const part = (name, content) => {
			const piece = element(name);
			markdown(piece, content, nameOf);
			return piece;
		};
		if (e.title)
			node.append(part("strong", e.title));
		if (e.description)
			node.append(part("div", e.description));
		if (e.fields?.length) {
			const list = element("dl");
			for (const f of e.fields)
				list.append(part("dt", f.name), part("dd", f.value));
			node.append(list);
		}
		if (e.footer)
			node.append(element("small", "", e.footer.text));
		return node;
	}

	meta(m) {
		const line = element("div", "meta");
		if (m.worker)
			line.append(element("span", "who", m.worker));
		if (m.ephemeral || m.private)
			line.append(element("span", "", m.private ? "in private" : "only you can see this"));
		if (m.latency_ms !== undefined && !m.notice)
			line.append(element("span", "", milliseconds(m.latency_ms)));
		line.append(element("time", "", new Date(m.edited_timestamp ?? m.timestamp).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })));
		return line;
	}

	/* --- what it does */

	/* How the bot answered, once it has; a form that it opens is shown. */
	async act(what, body) {
		const done = await post(`/sim/discord/${what}`, { user_id: this.person.id, ...body });
		if (done.answer_type === 9 && done.state === "answered")
			this.openModal(done);
		return done;
	}

	row(m, row) {
		const node = element("div", "button-row");
		node.append(...row.components.map((c) => c.type === 2 ? this.button(m, c) : this.select(m, c)));
		return node;
	}

	button(m, c) {
		const label = `${c.emoji?.name ?? ""} ${c.label ?? ""}`.trim();
		if (c.style === 5) {
			const link = element("a", "inline", label);
			link.href = c.url;
			link.target = "_blank";
			link.rel = "noopener noreferrer";
			return link;
		}
		const button = element("button", `inline style-${c.style}`, label);
		button.type = "button";
		button.disabled = c.disabled === true;
		button.addEventListener("click", () => this.press(button, m, c)); // twice is twice: the bot has to bear that
		return button;
	}

	select(m, c) {
		const most = c.max_values ?? 1;
		const choices = c.type === 3 ? c.options.map((o) => [o.label, o.value, o.default === true]) : [...known].map(([id, name]) => [name, id]);
		const select = menu(choices, true, most);
		const box = element("div", "row");
		const values = () => [...select.selectedOptions].map((o) => o.value).filter((v) => v !== "");
		select.disabled = c.disabled === true;
		select.setAttribute("aria-label", c.placeholder ?? "Choose");
		box.append(select);
		if (most > 1) {
			const send = element("button", "", "Send");
			send.type = "button";
			send.disabled = select.disabled;
			send.addEventListener("click", () => this.press(select, m, c, values()));
			box.append(send);
		} else {
			select.addEventListener("change", () => values().length && this.press(select, m, c, values()));
		}
		return box;
	}

	async press(node, m, c, values) {
		node.setAttribute("aria-busy", "true");
		const pressed = { message_id: m.id, custom_id: c.custom_id, ...(values ? { values } : {}) };
		await this.attempt(() => this.act("press", { ...pressed, force: true })); // it could be pressed when it was shown
		node.removeAttribute("aria-busy");
	}

	/* --- commands */

	showCommands() {
		this.$(".commands").replaceChildren(...app.commands.filter((c) => c.type === 1).map((c) => {
			const button = element("button", "", `/${c.name}`);
			button.type = "button";
			button.title = c.description;
			button.addEventListener("click", () => this.attempt(() => this.begin(c)));
			return button;
		}));
	}

	async begin(command) {
		if (!command.options?.length)
			return this.act("command", { name: command.name });
		const people = await get("/sim/discord/users");
		const lines = [];
		const values = () => Object.fromEntries(lines.map((l, i) => [command.options[i].name, l.read()]).filter(([, v]) => v !== undefined));
		for (const o of command.options)
			lines.push(optionLine(command, o, this.person, people, values));
		this.open(`/${command.name}`, lines, () => this.act("command", { name: command.name, options: values() }));
		return null;
	}

	/* A typed command: /name option:value, where a value ends with the next option. */
	async type(line) {
		const m = /^\/?([^\s]+)\s*(.*)$/.exec(line.trim());
		if (!m)
			return;
		const command = app.commands.find((c) => c.name === m[1]);
		const options = {};
		for (const [, name, value] of m[2].matchAll(/([a-z0-9_-]+):\s*(.*?)(?=\s+[a-z0-9_-]+:|$)/g)) {
			const type = command?.options?.find((o) => o.name === name)?.type;
			options[name] = type === 4 || type === 10 ? Number(value) : type === 5 ? value === "true" : value;
		}
		await this.act("command", { name: m[1], options });
		this.$(".typed").value = "";
	}

	openModal(opened) {
		const lines = opened.answer.components.map(modalLine).filter(Boolean);
		this.open(opened.answer.title, lines, () => {
			const fields = Object.fromEntries(lines.map((l) => [l.name, l.read()]).filter(([, v]) => v.length > 0));
			return this.act("submit", { interaction_id: opened.id, fields });
		});
	}

	open(title, lines, send) {
		const form = element("form", "card");
		const fields = element("div", "fields");
		const actions = element("div", "actions");
		const cancel = element("button", "quiet", "Cancel");
		const submit = element("button", "primary", "Send");
		const heading = element("h2", "", title);
		heading.id = `title-${this.place}`;
		form.setAttribute("role", "dialog");
		form.setAttribute("aria-labelledby", heading.id);
		cancel.type = "button";
		cancel.addEventListener("click", () => this.close());
		form.addEventListener("submit", async (event) => {
			event.preventDefault();
			submit.disabled = true;
			if (await this.attempt(send) && form.isConnected) // else another one took its place
				this.close();
			submit.disabled = false;
		});
		fields.append(...lines.map((l) => l.node));
		actions.append(cancel, submit);
		form.append(heading, fields, element("p", "error"), actions);
		this.$(".overlay").replaceChildren(form);
		this.cover(true);
		lines[0]?.field.focus();
	}

	cover(covered) {
		this.$(".overlay").hidden = !covered;
		for (const below of [".top", ".scroll", ".foot"])
			this.$(below).inert = covered;
	}

	close() {
		this.cover(false);
		this.$(".overlay").replaceChildren();
	}
}

/* --- the commands that are registered change while the page is open */

async function look() {
	const before = JSON.stringify(app?.commands);
	try {
		app = await get("/sim/discord/app");
	} catch (error) {
		document.getElementById("about").textContent = error.message;
		return;
	}
	const listens = app.interactions_endpoint_url ? "" : " No gateway is registered yet.";
	const menu = app.commands.length ? "" : " No commands are registered: type one, such as /help.";
	document.getElementById("about").textContent = `#${app.channel}: each sees what all see, and what is meant for them alone.${listens}${menu}`;
	if (JSON.stringify(app.commands) !== before)
		players.forEach((p) => p.showCommands());
}

await look();
if (app) {
	const remembered = stored("discord-players", []);
	for (const [place, name] of firstNames.entries()) {
		const player = new Player(place);
		players.push(player);
		player.showCommands();
		await player.attempt(() => player.become(remembered[place] ?? { name }));
	}
	setInterval(look, lookAgainMs);
}
