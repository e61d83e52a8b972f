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

const patience = 15000; // for what is read: a server that stands still breaks no connection, and would look well for ever

/* The answer as fetch has it; 304 where `seen` is the ETag of what the server would say. */
export async function ask(method, path, { body, signal, seen } = {}) {
	let answer;
	try {
		answer = await fetch(`/api/${path}`, {
			method,
			signal: signal ?? (method === "GET" ? AbortSignal.timeout(patience) : undefined),
			cache: "no-store",
			credentials: "omit",
			headers: { Authorization: `Bearer ${token.get() ?? ""}`, ...seen && { "If-None-Match": seen } },
			body: body === undefined ? undefined : JSON.stringify(body),
		});
	} catch (error) {
		if (error.name === "AbortError")
			throw error;
		throw new Refusal(0, error.name === "TimeoutError" ? { message: "the server does not answer" } : {});
	}
	if (answer.ok || answer.status === 304)
		return answer;
	const said = await answer.json().catch(() => ({}));
	if (answer.status === 401)
		signedOut.dispatchEvent(new Event("out"));
	throw new Refusal(answer.status, said.error, Number(answer.headers.get("Retry-After")));
}

export async function api(method, path, body) {
	const answer = await ask(method, path, { body });
	return answer.status === 204 ? undefined : answer.json();
}

export const part = encodeURIComponent;

export const query = (values) => {
	const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
	return given.length ? `?${new URLSearchParams(given)}` : "";
};
