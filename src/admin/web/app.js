// Signing in, the sections, the state of the stream.
import { api, onSignedOut, token } from "./api.js";
import { caches } from "./caches.js";
import { changes } from "./changes.js";
import { codes } from "./codes.js";
import { dead } from "./dead.js";
import { action, h, number } from "./dom.js";
import { latency } from "./latency.js";
import { overview } from "./overview.js";
import { people } from "./people.js";
import { queue } from "./queue.js";
import { now, onChange, watch } from "./stream.js";
import { workers } from "./workers.js";

const $ = (id) => document.getElementById(id);
const sections = [["now", "Now", overview], ["queue", "Queue", queue], ["dead", "Dead letters", dead], ["workers", "Workers", workers],
	["latency", "Latency", latency], ["caches", "Caches", caches], ["codes", "Start codes", codes], ["people", "People", people],
	["changes", "Changes", changes]];
const states = { live: "Live", waiting: "Connecting…", paused: "Paused" };
let session = null, leave = null, stop = null, turn = 0;

const section = () => sections.find(([name]) => `#${name}` === location.hash) ?? sections[0];

function mark() {
	const [name, title] = section();

	document.title = `${title} · Shoal`;
	$("where").textContent = title;
	for (const a of $("tabs").querySelectorAll("a")) {
		if (a.hash === `#${name}`)
			a.setAttribute("aria-current", "page");
		else
			a.removeAttribute("aria-current");
	}
	menu(false);
}

function menu(open) {
	$("menu").setAttribute("aria-expanded", String(open));
	$("frame").classList.toggle("open", open);
}

async function open(focus = true) {
	const [, title, show] = section(), view = $("view"), fresh = h("div", { "aria-busy": "true" }), mine = ++turn;

	leave?.();
	leave = null;
	mark();
	if (focus)
		view.replaceChildren(h("h1", {}, title), h("p", { class: "loading soft", role: "status" }, "Loading…"));
	try {
		const end = await show(fresh, session);
		if (mine !== turn)
			return end?.();
		leave = end ?? null;
	} catch (error) {
		if (mine !== turn || error.status === 401)
			return undefined;
		fresh.replaceChildren(h("h1", {}, title), h("section", { class: "card wrong" },
			h("h2", {}, "This cannot be shown now"), h("p", { role: "alert" }, `${error.message}.`), action("Try again", () => open(false), "primary")));
	}
	fresh.removeAttribute("aria-busy");
	view.replaceChildren(fresh);
	if (focus) {
		view.focus({ preventScroll: true });
		scrollTo(0, 0);
	}
	return undefined;
}

function signOut(why = "") {
	token.forget();
	stop?.();
	leave?.();
	stop = leave = null;
	turn++;
	$("view").replaceChildren();
	$("frame").hidden = true;
	$("login").hidden = false;
	$("login-error").textContent = why;
	$("token").value = "";
	$("token").focus();
}

async function signIn() {
	const { role, bots } = await api("GET", "session");

	session = { admin: role === "admin", bots };
	$("login").hidden = true;
	$("frame").hidden = false;
	$("who").textContent = session.admin ? "All rights" : "Looking only";
	stop?.();
	stop = watch();
	await open();
}

$("tabs").append(...sections.map(([name, title]) => h("li", {}, h("a", { href: `#${name}` }, title, name === "dead" && h("span", { id: "dead-count", class: "count", hidden: true })))));
onChange(() => {
	const letters = now.state === "live" ? now.tick?.queue?.dead ?? 0 : 0;
	$("live").textContent = states[now.state];
	$("live").className = now.state;
	$("dead-count").hidden = !letters;
	$("dead-count").textContent = number(letters);
});
$("menu").addEventListener("click", () => menu($("menu").getAttribute("aria-expanded") !== "true"));
addEventListener("keydown", (event) => {
	if (event.key === "Escape" && $("menu").getAttribute("aria-expanded") === "true") {
		menu(false);
		$("menu").focus();
	}
});
$("sign-out").addEventListener("click", () => signOut());
addEventListener("hashchange", () => $("frame").hidden || open());
onSignedOut(() => signOut("This token is not the right one."));
$("login-form").addEventListener("submit", async (event) => {
	event.preventDefault();
	const button = event.target.querySelector("button");
	token.set($("token").value.trim());
	$("login-error").textContent = "";
	button.disabled = true;
	try {
		await signIn();
	} catch (error) {
		if (error.status !== 401)
			signOut(error.after ? `${error.message}: again in ${error.after} s.` : `${error.message}.`);
	}
	button.disabled = false;
});
if (token.get())
	signIn().catch((error) => error.status === 401 || signOut(error.message));
else
	signOut();
