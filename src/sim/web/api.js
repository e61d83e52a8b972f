// Requests to the simulator. Every failure is an Error whose message is for people.

async function request(path, options) {
	let response;
	try {
		response = await fetch(path, options);
	} catch (cause) {
		if (cause.name === "AbortError")
			throw cause;
		throw new Error("The simulator does not answer.", { cause });
	}
	const body = await response.json().catch(() => null);
	if (!response.ok)
		throw new Error(body?.error?.message ?? `The simulator answered ${response.status}.`);
	return body;
}

export function get(path, parameters = {}, signal = undefined) {
	const query = new URLSearchParams(parameters).toString();
	return request(query ? `${path}?${query}` : path, { signal });
}

export function post(path, body) {
	return request(path, {
		method: "POST",
		headers: { "Content-Type": "application/json" },
		body: JSON.stringify(body),
	});
}
