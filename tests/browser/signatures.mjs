// The signatures of interactions against the package discord-interactions: what it accepts and refuses, the simulator makes so,
// and the gateway sees it likewise.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { expect, play } from "./people.mjs";

const signatureHeader = "x-signature-ed25519", timestampHeader = "x-signature-timestamp";

export async function theSignatures(stack, verifyKey) {
	const sim = new URL(stack.page).origin;
	const token = readFileSync(join(stack.folder, ".shoal/secrets/ladder_token"), "utf8").trim();
	const got = []; // { body, signature, timestamp, good }
	let server, app;

	const ask = async (method, url, body, headers = {}) => {
		const answer = await fetch(url, { method, body, headers: { "Content-Type": "application/json", ...headers } });
		return { status: answer.status, body: await answer.text() };
	};
	const control = async (what, body) => JSON.parse((await ask("POST", `${sim}/sim/discord/${what}`, JSON.stringify({ user_id: "77", ...body }))).body);
	const setEndpoint = (url) => ask("PATCH", `${sim}/api/v10/applications/@me`, JSON.stringify({ interactions_endpoint_url: url }),
		{ Authorization: `Bot ${token}` });
	const judge = (one) => verifyKey(one.body, one.signature, one.timestamp, app.public_key).catch(() => false);
	const atTheGateway = async (one) => (await ask("POST", app.interactions_endpoint_url, one.body, {
		[signatureHeader]: one.signature,
		[timestampHeader]: one.timestamp,
	})).status;

	/* A bot as many are written: with that package, and a deferral for everything. */
	const receive = async (request, response) => {
		const parts = [];
		for await (const part of request)
			parts.push(part);
		const one = {
			body: Buffer.concat(parts).toString(),
			signature: request.headers[signatureHeader] ?? "",
			timestamp: request.headers[timestampHeader] ?? "",
		};
		one.good = await judge(one);
		const type = one.good ? JSON.parse(one.body).type : 0;
		got.push(one);
		response.writeHead(one.good ? 200 : 401, { "Content-Type": "application/json" });
		response.end(JSON.stringify({ 1: { type: 1 }, 4: { type: 8, data: { choices: [] } } }[type] ?? { type: 5 }));
	};

	await play("signatures", [
		["simulator_takes_a_bot_that_checks_them", async () => {
			app = JSON.parse((await ask("GET", `${sim}/sim/discord/app`)).body);
			server = createServer((request, response) => receive(request, response)).listen(0, "127.0.0.1");
			await once(server, "listening");
			const answer = await setEndpoint(`http://127.0.0.1:${server.address().port}/`);
			expect(answer.status === 200, `the endpoint was answered ${answer.status} ${answer.body}`);
			expect(got.length === 2 && got[0].good && !got[1].good, "a PING signed well and one signed badly were to come");
		}],
		["what_the_simulator_signs_is_signed", async () => {
			got.length = 0;
			for (const [what, body] of [["ping", {}], ["command", { name: "help" }], ["command", { name: "say", options: { text: "Grüße 🌊 \u0001\"\\" } }],
				["command", { name: "help", dm: true }], ["autocomplete", { name: "setcountry", option: "country", options: { country: "" } }],
				["raw", { body: "{ \"type\" : 1 }\n" }]])
				await control(what, body);
			expect(got.length === 6 && got.every((one) => one.good), `good of ${got.length}: ${got.map((one) => one.good)}`);
		}],
		["what_it_forges_is_not", async () => {
			const before = got.length;
			for (const forged of [{ other_key: true }, { signature: "" }, { signature: "00".repeat(64) }, { signature: "zz".repeat(64) }])
				await control("raw", { body: { type: 1 }, ...forged });
			const last = got.splice(before);
			expect(last.length === 4 && last.every((one) => !one.good), `good of ${last.length}: ${last.map((one) => one.good)}`);
		}],
		["gateway_takes_what_is_signed", async () => {
			const answer = await setEndpoint(app.interactions_endpoint_url);
			expect(answer.status === 200, `the gateway is no endpoint: ${answer.status} ${answer.body}`);
			for (const one of got) {
				const status = await atTheGateway(one);
				expect(status === 200, `${status} for ${one.body.slice(0, 60)}`);
			}
		}],
		["gateway_and_package_agree_on_what_is_not", async () => {
			let refused = 0;
			for (const one of got.slice(0, 4)) {
				const flipped = (one.signature[7] === "0" ? "1" : "0");
				const spoilt = [
					{ body: `${one.body} ` },
					{ body: one.body.replace("\"type\"", "\"tipe\"") },
					{ timestamp: String(Number(one.timestamp) + 1) },
					{ timestamp: `0${one.timestamp}` },
					{ signature: one.signature.slice(0, 7) + flipped + one.signature.slice(8) },
					{ signature: one.signature.slice(2) },
					{ signature: `${one.signature}00` },
					{ signature: got[4].signature },
					{ signature: one.signature.toUpperCase() },
				];
				for (const change of spoilt) {
					const changed = { ...one, ...change };
					const good = await judge(changed);
					const status = await atTheGateway(changed);
					refused += status === 401;
					expect(good === (status === 200), `the package says ${good}, the gateway ${status}: ${JSON.stringify(change).slice(0, 80)}`);
				}
			}
			expect(refused === 4 * 8, `${refused} were refused`);
		}],
	], () => []);
	server?.closeAllConnections();
	server?.close();
}
