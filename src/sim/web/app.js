// The chat page: who one is, the chat with one bot, and who answered.
import { get, post } from "/api.js";
import { render } from "/text.js";

const $ = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
// kind, label, outline in a box of 24
const media = [
	["photo", "Photo", "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9h.01"],
	["sticker", "Sticker", "M3 12c4-6 10-6 14 0l4-3v6l-4-3c-4 6-10 6-14 0zM8 11h.01"],
	["voice", "Voice message", "M12 4a2.5 2.5 0 0 1 2.5 2.5v5a2.5 2.5 0 0 1-5 0v-5A2.5 2.5 0 0 1 12 4zM6 11a6 6 0 0 0 12 0M12 17v3"],
	["document", "Document", "M7 3h7l4 4v14H7zM14 3v4h4M10 12h5M10 16h5"],
	["location", "Location", "M12 21c-4-5-6-8-6-11a6 6 0 0 1 12 0c0 3-2 6-6 11zM12 10h.01"],
];
const longPollMs = 25000;

let me = null; // { id, first_name }
let bots = [];
let bot = null;
let code = validCode(asked.get("start")) ? asked.get("start") : null;
let chat = { seq: 0, epoch: 0, exists: false, blocked: false };
let started = false; // the start button was pressed, its message is not here yet
let polling = null; // AbortController of the chat that is shown
const shown = new Map(); // message_id -> <li>
const pressed = new Map(); // message_id -> the button that waits for its answer
const answers = new Map(); // message_id -> { worker, latency } of the bot's messages as they are now

function validCode(text) {
	return typeof text === "string" && /^[A-Za-z0-9_-]{1,64}$/.test(text);
}

function element(name, className, text) {
	const node = document.createElement(name);
	if (className)
		node.className = className;
	if (text !== undefined)
		node.textContent = text;
	return node;
}

function icon(path) {
	const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
	const line = document.createElementNS(svg.namespaceURI, "path");
	svg.setAttribute("viewBox", "0 0 24 24");
	svg.setAttribute("aria-hidden", "true");
	line.setAttribute("d", path);
	svg.append(line);
	return svg;
}

function stored(storage, key, fallback) {
	try {
		return JSON.parse(storage.getItem(key)) ?? fallback;
	} catch {
		return fallback;
	}
}

function hue(text) {
	let sum = 0;
	for (const c of text)
		sum = (sum * 31 + c.codePointAt(0)) % 997;
	return `h${sum % 8}`;
}

function face(node, name, key) {
	node.textContent = [...name.trim()][0]?.toUpperCase() ?? "?";
	node.className = node.className.replace(/ ?\bh\d\b/, "") + ` ${hue(key)}`;
}

function milliseconds(ms) {
	return ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/* --- who one is: people are remembered by the browser, the choice by the tab */

function people() {
	return stored(localStorage, "people", []).filter((p) => Number.isInteger(p.id) && typeof p.first_name === "string");
}

async function become(person) {
	const user = await post("/sim/users", person);
	me = { id: user.id, first_name: user.first_name };
	localStorage.setItem("people", JSON.stringify([me, ...people().filter((p) => p.id !== me.id)].slice(0, 12)));
	sessionStorage.setItem("me", JSON.stringify(me));
	$("me-name").textContent = me.first_name;
	$("me-id").textContent = `id ${me.id}`;
	face($("me-face"), me.first_name, String(me.id));
	$("welcome").hidden = true;
	$("app").hidden = false;
	await openBot(bots.find((b) => b.name === asked.get("bot")) ?? bot ?? bots[0]);
}

async function tryBecome(person) {
	try {
		await become(person);
	} catch (error) {
		askWho();
		$("welcome-error").textContent = error.message;
	}
}

function askWho() {
	polling?.abort();
	sessionStorage.removeItem("me");
	$("app").hidden = true;
	$("welcome").hidden = false;
	$("welcome-error").textContent = "";
	$("known").hidden = people().length === 0;
	$("people").replaceChildren(...people().map((p) => {
		const button = element("button", "person");
		const picture = element("span", "face");
		face(picture, p.first_name, String(p.id));
		button.type = "button";
		button.append(picture, p.first_name);
		button.addEventListener("click", () => tryBecome(p));
		const li = element("li");
		li.append(button);
		return li;
	}));
	$("person-name").focus();
}

/* --- bots */

function showBots() {
	$("bots").replaceChildren(...bots.map((b) => {
		const button = element("button", "bot-line");
		const picture = element("span", "face bot");
		const words = element("span", "me-text");
		face(picture, b.first_name, b.name);
		words.append(element("strong", "", b.first_name), element("small", "", `@${b.username}`));
		button.type = "button";
		button.append(picture, words);
		if (b === bot)
			button.setAttribute("aria-current", "true");
		button.addEventListener("click", () => openBot(b));
		const li = element("li");
		li.append(button);
		return li;
	}));
}

async function openBot(b) {
	polling?.abort();
	polling = new AbortController();
	bot = b;
	clearChat();
	closeMenu();
	showBots();
	$("bot-name").textContent = bot.first_name;
	face($("bot-face"), bot.first_name, bot.name);
	document.title = `${bot.first_name} · ${me.first_name}`;
	$("bot-about").textContent = bot.description || `This is the beginning of your chat with ${bot.first_name}. Press Start to say hello.`;
	$("bot-commands").replaceChildren(...bot.commands.map((c) => {
		const li = element("li");
		const button = element("button", "command", `/${c.command}`);
		button.type = "button";
		button.addEventListener("click", () => send({ text: `/${c.command}` }));
		li.append(button, ` ${c.description}`);
		return li;
	}));
	follow(polling.signal);
}

function clearChat() {
	chat = { seq: 0, epoch: 0, exists: false, blocked: false };
	shown.clear();
	pressed.clear();
	answers.clear();
	started = false;
	setTyping(false);
	$("log").replaceChildren();
	showWorkers();
	showState();
}

/* --- following the chat */

function pause(ms, signal) {
	return new Promise((resolve) => {
		const timer = setTimeout(resolve, ms);
		signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
	});
}

async function follow(signal) {
	while (!signal.aborted) {
		try {
			const wait = chat.exists ? longPollMs : 0;
			const news = await get("/sim/chat", { bot: bot.name, chat_id: me.id, after: chat.seq, wait }, signal);
			if (signal.aborted)
				return;
			$("offline").hidden = true;
			if (chat.epoch && news.epoch !== chat.epoch) {
				clearChat();
				await post("/sim/users", me);
				continue;
			}
			take(news);
			if (!chat.exists)
				await pause(1000, signal);
		} catch (error) {
			if (signal.aborted || error.name === "AbortError")
				return;
			$("offline").hidden = false;
			await pause(1500, signal);
		}
	}
}

function take(news) {
	const scroll = $("scroll");
	const first = chat.seq === 0;
	const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;

	chat.epoch = news.epoch;
	if (!news.chat) {
		showState();
		return;
	}
	chat.exists = true;
	chat.seq = news.seq;
	if (chat.blocked !== news.blocked) {
		chat.blocked = news.blocked;
		setTyping(false);
	}
	for (const message of news.messages)
		takeMessage(message, first);
	for (const note of news.notes)
		takeNote(note);
	showWorkers();
	showKeyboard(news.reply_keyboard);
	showState();
	if (atEnd || first)
		scroll.scrollTop = scroll.scrollHeight;
}

/* --- messages */

function takeMessage(message, old) {
	const before = shown.get(message.message_id);

	if (message.deleted) {
		before?.remove();
		shown.delete(message.message_id);
		answers.delete(message.message_id);
		return;
	}
	const li = before ?? element("li");
	fillMessage(li, message, !before && !old);
	if (!before) {
		addDay(message.date);
		$("log").append(li);
		shown.set(message.message_id, li);
	} else {
		pressed.delete(message.message_id);
	}
	if (message.from.is_bot) {
		setTyping(false);
		if (message.worker)
			answers.set(message.message_id, { worker: message.worker, latency: message.latency_ms });
	}
}

function addDay(date) {
	const day = new Date(date * 1000).toLocaleDateString(undefined, { weekday: "long", day: "numeric", month: "long" });
	const log = $("log");
	if (log.dataset.day === day && log.children.length)
		return;
	log.dataset.day = day;
	log.append(element("li", "day", day));
}

function fillMessage(li, message, fresh) {
	const mine = !message.from.is_bot;
	const focused = [...li.querySelectorAll(".inline")].indexOf(document.activeElement);
	const bubble = element("div", "bubble");
	const context = { bots, send: (text) => send({ text }) };

	li.className = `message ${mine ? "mine" : "theirs"}${fresh ? " fresh" : ""}`;
	if (message.reply_to_message)
		bubble.append(element("div", "quote", summary(message.reply_to_message)));
	const kind = media.find(([name]) => name in message);
	if (kind)
		bubble.append(mediaBox(kind));
	const text = message.text ?? message.caption ?? "";
	if (text) {
		const body = element("div", "text");
		render(body, text, message.entities ?? message.caption_entities, context);
		bubble.append(body);
	}
	bubble.append(metaLine(message, mine));
	li.replaceChildren(bubble);
	const rows = message.reply_markup?.inline_keyboard;
	if (rows)
		li.append(buttonRows(rows, message.message_id));
	if (focused >= 0)
		(li.querySelectorAll(".inline")[focused] ?? resting()).focus({ preventScroll: true });
}

function mediaBox([name, label, path]) {
	const box = element("div", `media ${name}`);
	box.append(icon(path), element("span", "", label));
	return box;
}

function summary(message) {
	const kind = media.find(([name]) => name in message);
	return message.text ?? message.caption ?? (kind ? kind[1] : "Message");
}

function metaLine(message, mine) {
	const meta = element("div", "meta");
	const date = new Date((message.edit_date ?? message.date) * 1000);
	const time = element("time", "", date.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" }));

	time.dateTime = date.toISOString();
	if (message.worker) {
		const who = element("span", `who ${hue(message.worker)}`, message.worker);
		meta.append(who);
		meta.title = `Message ${message.message_id}, made by worker ${message.worker}`;
	}
	if (!mine && message.latency_ms !== undefined)
		meta.append(element("span", "", milliseconds(message.latency_ms)));
	if (message.edit_date)
		meta.append(element("span", "", "edited"));
	meta.append(time);
	return meta;
}

/* Where the focus goes when its control is gone; a touch screen is not to raise its keyboard unasked. */
function resting() {
	return matchMedia("(pointer: coarse)").matches || $("composer").hidden ? $("scroll") : $("text");
}

/* --- buttons under messages */

function buttonRows(rows, messageId) {
	const box = element("div", "buttons");
	for (const row of rows) {
		const line = element("div", "button-row");
		line.append(...row.map((b) => inlineButton(b, messageId)));
		box.append(line);
	}
	return box;
}

function inlineButton(spec, messageId) {
	if (spec.url) {
		const holder = element("span");
		render(holder, spec.url, [{ type: "url", offset: 0, length: spec.url.length }], { bots, send });
		const a = holder.querySelector("a") ?? element("span");
		a.className = "inline";
		a.textContent = `${spec.text} ↗`;
		return a;
	}
	const button = element("button", `inline ${["danger", "success", "primary"].includes(spec.style) ? spec.style : ""}`, spec.text);
	button.type = "button";
	if (spec.callback_data !== undefined)
		button.addEventListener("click", () => press(button, messageId, spec.callback_data));
	else if (spec.copy_text)
		button.addEventListener("click", () => copy(spec.copy_text.text));
	else
		button.disabled = true;
	return button;
}

async function copy(text) {
	try {
		await navigator.clipboard.writeText(text);
		toast("Copied");
	} catch {
		toast("The browser does not allow copying here");
	}
}

async function press(button, messageId, data) {
	button.setAttribute("aria-busy", "true");
	pressed.set(messageId, button);
	setTimeout(() => button.removeAttribute("aria-busy"), 15000);
	try {
		await post("/sim/press", { bot: bot.name, user_id: me.id, message_id: messageId, data });
	} catch (error) {
		button.removeAttribute("aria-busy");
		toast(error.message);
	}
}

/* --- notes: toasts, alerts, typing */

let toastTimer = 0;
let typingTimer = 0;

function toast(text, detail) {
	const box = $("toast");
	box.replaceChildren(text);
	if (detail)
		box.append(element("small", "", detail));
	box.hidden = false;
	clearTimeout(toastTimer);
	toastTimer = setTimeout(() => { box.hidden = true; }, 3500);
}

function takeNote(note) {
	switch (note.kind) {
	case "toast":
	case "alert":
		pressed.get(note.message_id)?.removeAttribute("aria-busy");
		pressed.delete(note.message_id);
		if (note.text && note.kind === "alert")
			showAlert(note.text);
		else if (note.text)
			toast(note.text, note.latency_ms === undefined ? "" : `answered in ${milliseconds(note.latency_ms)}`);
		break;
	case "action":
		setTyping(true, note.text);
		break;
	}
}

function showAlert(text) {
	$("alert-text").textContent = text;
	if (!$("alert").open)
		$("alert").showModal();
}

function setTyping(on, action) {
	clearTimeout(typingTimer);
	$("bot-state").classList.toggle("typing", on);
	$("bot-state").textContent = on ? `${(action ?? "typing").replaceAll("_", " ")}…`
		: chat.blocked ? "blocked by you" : "bot";
	if (on)
		typingTimer = setTimeout(() => setTyping(false), 5000);
}

/* --- who answered */

function countWorkers() {
	const workers = new Map();
	for (const { worker, latency } of answers.values()) {
		const w = workers.get(worker) ?? { replies: 0, timed: 0, total: 0 };
		w.replies++;
		if (latency !== undefined) {
			w.timed++;
			w.total += latency;
		}
		workers.set(worker, w);
	}
	return [...workers].sort(([a], [b]) => a.localeCompare(b));
}

function showWorkers() {
	$("workers-none").hidden = answers.size > 0;
	$("workers").replaceChildren(...countWorkers().map(([name, w]) => {
		const li = element("li");
		const count = `${w.replies} ${w.replies === 1 ? "reply" : "replies"}`;
		const each = w.replies === 1 ? "" : " each";
		li.append(element("span", `dot ${hue(name)}`), element("strong", "", name),
			element("small", "", w.timed ? `${count}, ${milliseconds(w.total / w.timed)}${each}` : count));
		return li;
	}));
}

/* --- what one does */

function showState() {
	const nothing = shown.size === 0;
	$("empty").hidden = !nothing;
	$("begin").hidden = !(nothing || code) || chat.blocked;
	$("begin").textContent = code ? `Start with “${code}”` : "Start";
	$("unblock").hidden = !chat.blocked;
	$("composer").hidden = chat.blocked || !$("begin").hidden;
	if (started && !$("composer").hidden) {
		started = false;
		resting().focus({ preventScroll: true });
	}
	$("block").hidden = chat.blocked || !chat.exists;
	if (chat.blocked)
		$("keyboard").hidden = true;
}

function showKeyboard(markup) {
	const box = $("keyboard");
	const text = JSON.stringify(markup);
	box.hidden = !markup || chat.blocked;
	if (box.dataset.shown === text)
		return;
	box.dataset.shown = text;
	box.replaceChildren(...(markup?.keyboard ?? []).map((row) => {
		const line = element("div", "button-row");
		line.append(...row.map((key) => {
			const button = element("button", "key", key.text);
			button.type = "button";
			button.addEventListener("click", () => send(key.request_contact ? { kind: "contact" }
				: key.request_location ? { kind: "location" } : { text: key.text }));
			return button;
		}));
		return line;
	}));
}

async function send(content) {
	try {
		await post("/sim/message", { bot: bot.name, user_id: me.id, first_name: me.first_name, ...content });
		if (!chat.exists) {
			polling?.abort();
			polling = new AbortController();
			follow(polling.signal);
		}
		$("scroll").scrollTop = $("scroll").scrollHeight;
		return true;
	} catch (error) {
		toast(error.message);
		return false;
	}
}

async function start() {
	const text = code ? `/start ${code}` : "/start";
	if (!await send({ text }))
		return;
	code = null;
	history.replaceState(null, "", `/?${new URLSearchParams({ bot: bot.name })}`);
	started = true;
	showState();
}

async function setBlocked(block) {
	try {
		await post(block ? "/sim/block" : "/sim/unblock", { bot: bot.name, user_id: me.id });
		$("scroll").focus({ preventScroll: true });
	} catch (error) {
		toast(error.message);
	}
}

/* --- menus and keys */

/* On a narrow window the side is a drawer over the chat. */
function toggleMenu(open) {
	const was = $("side").classList.contains("open");
	$("side").classList.toggle("open", open);
	$("chat").inert = open;
	$("menu").setAttribute("aria-expanded", String(open));
	if (open !== was)
		$(open ? "close-menu" : "menu").focus();
}

function closeMenu() {
	toggleMenu(false);
}

function toggleAttach(open) {
	$("attach-menu").hidden = !open;
	$("attach").setAttribute("aria-expanded", String(open));
	if (open)
		$("attach-menu").querySelector("button").focus();
}

function fitText() {
	const text = $("text");
	text.style.height = "auto";
	text.style.height = `${Math.min(text.scrollHeight + 2, 160)}px`; // 2: its border
}

function listen() {
	$("new-person").addEventListener("submit", (event) => {
		event.preventDefault();
		const name = $("person-name").value.trim();
		if (name)
			tryBecome({ first_name: name, language_code: navigator.language.slice(0, 2) });
	});
	$("switch-person").addEventListener("click", askWho);
	$("code-form").addEventListener("submit", (event) => {
		event.preventDefault();
		if (!validCode($("code").value))
			return;
		code = $("code").value;
		$("code").value = "";
		closeMenu();
		start();
	});
	$("begin").addEventListener("click", start);
	$("block").addEventListener("click", () => setBlocked(true));
	$("unblock").addEventListener("click", () => setBlocked(false));
	$("composer").addEventListener("submit", async (event) => {
		event.preventDefault();
		const text = $("text").value;
		if (!text.trim())
			return;
		$("text").value = "";
		fitText();
		if (!await send({ text }))
			$("text").value = text;
	});
	$("text").addEventListener("input", fitText);
	$("text").addEventListener("keydown", (event) => {
		if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
			event.preventDefault();
			$("composer").requestSubmit();
		}
	});
	$("menu").addEventListener("click", () => toggleMenu(true));
	$("close-menu").addEventListener("click", closeMenu);
	matchMedia("(max-width: 50rem)").addEventListener("change", closeMenu);
	$("attach").addEventListener("click", () => toggleAttach($("attach-menu").hidden));
	document.addEventListener("keydown", (event) => {
		if (event.key !== "Escape")
			return;
		toggleAttach(false);
		closeMenu();
	});
	document.addEventListener("click", (event) => {
		if (!event.target.closest(".attach"))
			toggleAttach(false);
		if (!event.target.closest(".side, #menu"))
			closeMenu();
	});
	$("attach-menu").append(...media.map(([kind, label, path]) => {
		const li = element("li");
		const button = element("button");
		button.append(icon(path), label);
		button.type = "button";
		button.addEventListener("click", () => {
			const caption = kind === "photo" || kind === "document" ? $("text").value.trim() : "";
			toggleAttach(false);
			send({ kind, caption });
			if (caption)
				$("text").value = "";
		});
		li.append(button);
		return li;
	}));
}

async function main() {
	listen();
	try {
		bots = await get("/sim/bots");
	} catch {
		setTimeout(() => location.reload(), 2000);
		document.body.append(element("p", "offline", "The simulator does not answer. Trying again…"));
		return;
	}
	const before = stored(sessionStorage, "me", null);
	setTyping(false);
	if (before && Number.isInteger(before.id))
		tryBecome(before);
	else
		askWho();
}

main();
