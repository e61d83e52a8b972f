// Signing in, the sections, the live stream.
import { api, onSignedOut, token, watch } from "./api.js";
import { caches } from "./caches.js";
import { codes } from "./codes.js";
import { dead } from "./dead.js";
import { action, h } from "./dom.js";
import { latency, onTick, overview, workers } from "./live.js";
import { people } from "./people.js";

const $ = (id) => document.getElementById(id);
const sections = [["now", "Now", overview], ["codes", "Start codes", codes], ["people", "People", people], ["caches", "Caches", caches],
	["workers", "Workers", workers], ["latency", "Latency", latency], ["dead", "Dead letters", dead]];
const states = { live: "● live", waiting: "○ connecting…", paused: "○ paused" };
let admin = false, leave = null, stop = null, turn = 0;

async function open(focus = true) {
	const [name, title, show] = sections.find(([n]) => `#${n}` === location.hash) ?? sections[0];
	const view = $("view"), fresh = h("div", { "aria-busy": "true" }), mine = ++turn;

	leave?.();
	leave = null;
	document.title = `${title} · Shoal`;
	for (const a of $("tabs").querySelectorAll("a"))
		a.toggleAttribute("aria-current", a.hash === `#${name}`);
	for (const a of $("tabs").querySelectorAll("a[aria-current]"))
		a.setAttribute("aria-current", "page");
	if (focus)
		view.replaceChildren(h("p", { class: "soft" }, "Loading…"));
	try {
		const end = await show(fresh, { admin, refresh: () => open(false) });
		if (mine !== turn)
			return end?.();
		leave = end ?? null;
	} catch (error) {
		if (mine !== turn || error.status === 401)
			return undefined;
		fresh.replaceChildren(h("h1", {}, title), h("section", { class: "card" },
			h("p", { class: "bad", role: "alert" }, error.message), action("Try again", () => open(false))));
	}
	fresh.removeAttribute("aria-busy");
	view.replaceChildren(fresh);
	if (focus)
		view.focus({ preventScroll: true });
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
	admin = (await api("GET", "session")).role === "admin";
	$("login").hidden = true;
	$("frame").hidden = false;
	$("who").textContent = admin ? "all rights" : "looking only";
	stop?.();
	stop = watch(onTick, (state) => { $("live").textContent = states[state]; });
	await open();
}

$("tabs").append(...sections.map(([name, title]) => h("li", {}, h("a", { href: `#${name}` }, title))));
$("sign-out").addEventListener("click", () => signOut());
addEventListener("hashchange", () => $("frame").hidden || open());
onSignedOut(() => signOut("This token is not the right one."));
$("login-form").addEventListener("submit", async (event) => {
	event.preventDefault();
	token.set($("token").value.trim());
	$("login-error").textContent = "";
	try {
		await signIn();
	} catch (error) {
		if (error.status !== 401)
			signOut(error.message);
	}
});
if (token.get())
	signIn().catch((error) => error.status === 401 || signOut(error.message));
else
	signOut();
