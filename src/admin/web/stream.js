// What goes on: the stream of the server, while the page is seen, and what it kept of the last hour.
import { ask } from "./api.js";

const hour = 3600000;
const silence = 10000; // a tick comes every second, some seconds late where a server hangs: after this nothing is current

export const now = {
	points: [], // of the last hour, the oldest first: { t, and the columns of /api/history, and bots: { name: p99 } }
	tick: null, // the last one
	state: "waiting", // "live", "waiting" (for the server), "paused" (nobody looks)
	since: 0, // when it became so
};

const listeners = new Set();
/* fn comes with every tick, and with every change of the state. Returns how to end that. */
export function onChange(fn) {
	listeners.add(fn);
	return () => listeners.delete(fn);
}

function tell(state) {
	if (state !== now.state)
		now.since = Date.now();
	now.state = state;
	listeners.forEach((fn) => fn());
}

function point({ at, queue: q, workers: w, latency: l }) {
	return {
		t: Date.parse(at), per_second: w?.per_second ?? null, in_flight: w?.in_flight ?? null, length: q?.length ?? null,
		waiting: q?.waiting ?? null, oldest_seconds: q ? q.oldest_seconds ?? 0 : null, dead: q?.dead ?? null,
		p50_ms: l?.p50_ms ?? null, p95_ms: l?.p95_ms ?? null, p99_ms: l?.p99_ms ?? null,
		bots: Object.fromEntries((l?.bots ?? []).map((b) => [b.bot, b.p99_ms])),
	};
}

function add(tick) {
	now.tick = tick;
	now.points.push(point(tick));
	if (now.points[0].t < Date.parse(tick.at) - hour)
		now.points.shift();
}

/* Fills what was missed, also while nobody looked. */
async function fill(signal) {
	const { columns, rows } = await (await ask("GET", "history", { signal })).json();
	const told = rows.map((row) => Object.fromEntries(columns.map((name, i) => name === "at" ? ["t", Date.parse(row[i])] : [name, row[i]])));
	const seen = now.points.filter((p) => p.bots);
	const missing = told.filter((p) => !seen.some((s) => Math.abs(s.t - p.t) < 2500));

	now.points = missing.concat(seen).sort((a, b) => a.t - b.t);
}

/* Ends by itself when nothing is heard: a browser may leave what waits for the body of an aborted answer waiting. */
async function read(signal) {
	const guard = new AbortController();
	const stop = () => guard.abort(signal.reason);
	let timer, fail;
	const silent = new Promise((_, reject) => { fail = reject; });
	const heard = () => {
		clearTimeout(timer);
		timer = setTimeout(() => fail(new DOMException("no tick came", "TimeoutError")), silence);
	};

	heard();
	signal.addEventListener("abort", stop);
	try {
		await Promise.race([listen(guard.signal, heard), silent]);
	} finally {
		signal.removeEventListener("abort", stop);
		guard.abort();
		clearTimeout(timer);
	}
}

async function listen(signal, heard) {
	const answer = await ask("GET", "events", { signal });
	const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
	let text = "", told = false;

	for (;;) {
		const { value, done } = await reader.read();
		if (done || signal.aborted)
			return;
		heard();
		text += value;
		const events = text.split("\n\n");
		text = events.pop();
		for (const event of events) {
			const data = event.split("\n").find((line) => line.startsWith("data: "));
			if (data)
				add(JSON.parse(data.slice(6)));
			if (!told)
				await fill(signal).catch(() => {});
			if (signal.aborted)
				return;
			told = true;
			tell("live");
		}
	}
}

/* Watches until the function that it returns is called, or somebody has to sign in. */
export function watch() {
	let stop = new AbortController();

	async function go(signal) {
		let pause = 1000;

		while (!signal.aborted) {
			try {
				await read(signal);
			} catch (error) {
				if (error.name === "AbortError" || error.status === 401)
					return;
			}
			if (signal.aborted)
				return;
			if (now.state === "live")
				pause = 1000;
			tell("waiting");
			await new Promise((resolve) => setTimeout(resolve, pause));
			pause = Math.min(pause * 2, 15000);
		}
	}

	function seen() {
		stop.abort();
		stop = new AbortController();
		if (document.hidden)
			tell("paused");
		else
			go(stop.signal);
	}

	document.addEventListener("visibilitychange", seen);
	seen();
	return () => {
		document.removeEventListener("visibilitychange", seen);
		stop.abort();
		Object.assign(now, { points: [], tick: null, state: "waiting" });
	};
}
