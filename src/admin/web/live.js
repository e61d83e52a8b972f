// Sections that stay current: asked again while the page is seen, and nobody is about to do something.
import { ask } from "./api.js";
import { h, isBusy, plural } from "./dom.js";
import { renew } from "./table.js";

const slowest = 4; // so many times its pace a section waits at most for what takes the server long

/* Asks path() again and again, and shows draw(answer) in the box. The first answer is waited for, and what goes wrong with
 * it is the caller's; later what was there last stays, and says so, as does what has not been asked for again in time.
 * Returns { again, end }. */
export async function live(box, seconds, path, draw) {
	const stale = h("p", { class: "stale", role: "status", hidden: true }), content = h("div"), old = h("p", { class: "soft", hidden: true });
	let seen = null, shown = null, since = Date.now(), timer = 0, clock = 0, over = false, turn = 0;

	function tellAge() {
		const passed = Date.now() - since;

		old.hidden = !stale.hidden || passed < 2000 * seconds;
		old.textContent = `As of ${plural(Math.round(passed / 1000), "second")} ago.`;
	}

	async function look(first) {
		const mine = ++turn, from = path(), began = performance.now();
		let pause = seconds * 1000;

		clearTimeout(timer);
		try {
			const answer = await ask("GET", from, { seen: shown === from ? seen : null });
			const said = answer.status === 304 ? null : await answer.json();
			if (mine !== turn || over)
				return;
			// what takes the server long is asked for less often
			pause = Math.min(Math.max(pause, 20 * (performance.now() - began)), slowest * pause);
			since = Date.now();
			stale.hidden = true;
			tellAge();
			content.classList.remove("old");
			if (said !== null) {
				seen = answer.headers.get("ETag");
				shown = from;
				renew(content, draw(said, answer.headers));
			}
		} catch (error) {
			if (first || error.status === 401)
				throw error;
			stale.hidden = false;
			stale.textContent = `Not current since ${new Date(since).toLocaleTimeString("en-GB")}: ${error.message}`;
			content.classList.add("old");
			tellAge();
		} finally {
			if (mine === turn && !over)
				timer = setTimeout(tick, pause);
		}
	}

	function tick() {
		if (document.hidden || isBusy())
			timer = setTimeout(tick, document.hidden ? seconds * 1000 : 500);
		else
			look(false).catch(() => {});
	}

	const back = () => document.hidden || tick();

	box.append(stale, content, old);
	try {
		await look(true);
	} catch (error) {
		over = true;
		clearTimeout(timer);
		throw error;
	}
	clock = setInterval(tellAge, 1000);
	document.addEventListener("visibilitychange", back);
	return {
		again: () => {
			seen = null;
			return look(true);
		},
		end: () => {
			over = true;
			clearTimeout(timer);
			clearInterval(clock);
			document.removeEventListener("visibilitychange", back);
		},
	};
}
