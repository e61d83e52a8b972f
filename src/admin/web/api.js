// Asking the server. The token is kept for this tab, and sent with every question.
const key = "shoal-token";

export const token = {
	get: () => sessionStorage.getItem(key),
	set: (value) => sessionStorage.setItem(key, value),
	forget: () => sessionStorage.removeItem(key),
};

export class Refusal extends Error {
	constructor(status, error = {}, after = 0) {
		super(error.message ?? (status ? `the server answers ${status}` : "the server cannot be reached"));
		Object.assign(this, { status, code: error.code, field: error.field, after });
	}
}

const signedOut = new EventTarget();
export const onSignedOut = (fn) => signedOut.addEventListener("out", fn);

async function ask(method, path, body, signal) {
	let answer;
	try {
		answer = await fetch(`/api/${path}`, {
			method,
			signal,
			cache: "no-store",
			credentials: "omit",
			headers: { Authorization: `Bearer ${token.get() ?? ""}` },
			body: body === undefined ? undefined : JSON.stringify(body),
		});
	} catch (error) {
		if (error.name === "AbortError")
			throw error;
		throw new Refusal(0);
	}
	if (answer.ok)
		return answer;
	const said = await answer.json().catch(() => ({}));
	if (answer.status === 401)
		signedOut.dispatchEvent(new Event("out"));
	throw new Refusal(answer.status, said.error, Number(answer.headers.get("Retry-After")));
}

export async function api(method, path, body, signal) {
	const answer = await ask(method, path, body, signal);
	return answer.status === 204 ? undefined : answer.json();
}

export const part = encodeURIComponent;

/* The live stream, while the page is seen. fn gets each tick; told gets "live", "waiting" or "paused". */
export function watch(fn, told) {
	let stop = new AbortController(), over = false, pause = 1000;

	async function read() {
		const answer = await ask("GET", "events", undefined, stop.signal);
		const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
		let text = "";

		for (;;) {
			const { value, done } = await reader.read();
			if (done)
				return;
			text += value;
			const events = text.split("\n\n");
			text = events.pop();
			for (const event of events) {
				const data = event.split("\n").find((line) => line.startsWith("data: "));
				pause = 1000;
				told("live");
				if (data)
					fn(JSON.parse(data.slice(6)));
			}
		}
	}

	async function go() {
		while (!over && !document.hidden) {
			try {
				await read();
			} catch (error) {
				if (error.name === "AbortError" || error.status === 401)
					return;
			}
			told("waiting");
			await new Promise((resolve) => setTimeout(resolve, pause));
			pause = Math.min(pause * 2, 15000);
		}
	}

	function seen() {
		stop.abort();
		stop = new AbortController();
		if (document.hidden)
			told("paused");
		else
			go();
	}

	document.addEventListener("visibilitychange", seen);
	go();
	return () => {
		over = true;
		document.removeEventListener("visibilitychange", seen);
		stop.abort();
	};
}
