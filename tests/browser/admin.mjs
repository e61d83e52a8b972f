// The dashboard: an admin at a desk, with the mouse and by keyboard, and somebody who may only look, on a phone.
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Person, desk, expect, phone, play, until } from "./people.mjs";

const REDIS_CLI = ["redis-cli", "valkey-cli"].find((name) => spawnSync(name, ["--version"]).status === 0);
const sections = ["Now", "Queue", "Dead letters", "Workers", "Latency", "Caches", "Start codes", "People", "Changes"];
// that change nothing: what somebody who may only look is offered. Buttons that sort a table have the names of its columns
const harmless = /^(Look again|Search|Show more|Show|5 min|15 min|1 hour|Most people first|By name|Try again)$/;

export async function theDashboard(browser, stack, axe) {
	const said = stack.said();
	const where = { page: said.match(/Dashboard +(http:\S+)/)?.[1] ?? "http://nowhere/" };
	const tokens = { full: said.match(/with all rights +(\S+)/)?.[1], view: said.match(/to look only +(\S+)/)?.[1] };
	const redis = (...words) => execFileSync(REDIS_CLI, ["--no-auth-warning", "-u",
		readFileSync(join(stack.folder, ".shoal/secrets/redis_url"), "utf8").trim(), ...words], { encoding: "utf8" });
	const simulator = async (path, body) => (await fetch(`${stack.page}sim/${path}`, body && { method: "POST",
		headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) })).json();
	let ann, vic;

	const signIn = async (person, token) => {
		await person.page.getByLabel("Token").fill(token);
		await person.page.keyboard.press("Enter");
	};
	const goTo = async (person, title) => {
		if (await person.$("menu").isVisible())
			await person.$("menu").click();
		await person.page.locator("#tabs a").filter({ hasText: title }).click();
		await person.sees(person.page.getByRole("heading", { level: 1, name: title, exact: true }), title);
		await until(async () => !(await person.page.locator("[aria-busy]").count()), `${title} is there`);
	};
	const dialog = (person) => person.page.getByRole("dialog");
	const row = (person, text) => person.page.getByRole("row").filter({ hasText: text });
	const looksRight = async (person, name) => {
		await person.hasNoSidewaysScroll(name);
		await person.controlsAreFit(name);
		if (axe) {
			await person.page.evaluate(axe);
			const found = await person.page.evaluate(async () => (await window.axe.run(document, { resultTypes: ["violations"] })).violations
				.filter((v) => ["serious", "critical"].includes(v.impact)).map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 120)).join(" | ")}`));
			expect(!found.length, `${name}: ${found.join("\n")}`);
		}
	};
	const reads = (list) => list.map((m) => m.text ?? "").join("\n");

	await play("dashboard", [
		["asks_for_the_token", async () => {
			expect(tokens.full && tokens.view, "no tokens were printed");
			ann = await Person.at(browser, where, "Ann", desk);
			await ann.page.goto(where.page);
			await ann.focused("token");
			await looksRight(ann, "sign-in");
			await signIn(ann, "wrong");
			await ann.sees(ann.page.getByText("This token is not the right one."), "that the token is wrong");
			expect(ann.troubles.length > 0 && ann.troubles.every((t) => t.includes("401")), ann.troubles.join("\n"));
			ann.troubles.length = 0;
			await ann.picture("desk-light-dashboard-0-sign-in");
		}],
		["shows_what_goes_on", async () => {
			await signIn(ann, tokens.full);
			await ann.sees(ann.page.getByText("2 of 2", { exact: true }), "both workers");
			await ann.sees(ann.$("live").getByText("Live"), "that it is live");
			await ann.sees(ann.page.getByText("All is well."), "that all is well");
			await until(() => ann.page.locator(".plot .line").first().getAttribute("d"), "a line in the first chart");
			await looksRight(ann, "Now");
			await ann.reachesAllByKeyboard("Now");
		}],
		["charts_tell_what_was_before_one_came", async () => {
			const first = await ann.page.locator(".plot").first().getAttribute("aria-label");
			expect(/Updates a second from \d+:\d+ to \d+:\d+\. updates a second: .* now, .* at most/.test(first), first);
			await ann.button("1 hour").click();
			await until(async () => (await ann.page.locator(".plot").first().getAttribute("aria-label")) !== first, "another hour");
			await ann.page.locator(".plot").nth(1).hover();
			await ann.sees(ann.page.locator(".tip").nth(1).getByText("p99"), "what it was at that time");
			await ann.button("5 min").click();
		}],
		["nothing_is_asked_while_nobody_looks", async () => {
			const hide = (hidden) => ann.page.evaluate((h) => {
				Object.defineProperty(document, "hidden", { configurable: true, get: () => h });
				document.dispatchEvent(new Event("visibilitychange"));
			}, hidden);
			let asked = 0;
			await goTo(ann, "Workers");
			await hide(true);
			await ann.sees(ann.$("live").getByText("Paused"), "that it pauses");
			ann.page.on("request", () => asked++);
			await ann.page.waitForTimeout(3000);
			expect(asked === 0, `${asked} requests while hidden`);
			await hide(false);
			await ann.sees(ann.$("live").getByText("Live"), "that it goes on");
			await until(() => asked > 1, "that it asks again");
		}],
		["code_with_a_fault_is_refused_at_its_field", async () => {
			await goTo(ann, "Start codes");
			await ann.button("New code").click();
			await ann.page.getByLabel("Code", { exact: true }).fill("flyer-7");
			await ann.page.getByLabel("Persona", { exact: true }).fill("nobody");
			await ann.page.keyboard.press("Enter");
			await ann.sees(dialog(ann).getByRole("alert").filter({ hasText: "no such persona" }), "what is wrong");
			await ann.focused("code-persona");
			ann.troubles = ann.troubles.filter((t) => !t.includes("422"));
			await looksRight(ann, "a new code");
			await ann.picture("desk-light-dashboard-1-new-code");
		}],
		["code_is_made", async () => {
			await ann.page.getByLabel("Persona", { exact: true }).fill("luna");
			await ann.page.getByLabel("Description", { exact: true }).fill("Flyers <b>at</b> the fair");
			await ann.button("Make it").click();
			await ann.gone(dialog(ann), "the dialog");
			await ann.sees(row(ann, "flyer-7").filter({ hasText: "Flyers <b>at</b> the fair" }), "the new code");
		}],
		["code_works_in_a_chat_at_once", async () => {
			await simulator("message", { bot: "persona", user_id: 7007, text: "/start flyer-7" });
			const asked = await until(async () => (await simulator("chat?bot=persona&chat_id=7007")).messages?.find((m) => m.reply_markup), "the question of age");
			await simulator("press", { bot: "persona", user_id: 7007, chat_id: 7007, message_id: asked.message_id,
				data: asked.reply_markup.inline_keyboard[0][0].callback_data });
			await until(async () => /Luna/.test(reads((await simulator("chat?bot=persona&chat_id=7007")).messages)), "Luna answers");
			await ann.sees(row(ann, "flyer-7").getByText("1", { exact: true }), "that one came by it, by itself");
			await ann.page.getByLabel(/^Part of/).fill("FAIR");
			await ann.page.keyboard.press("Enter");
			await ann.sees(ann.page.getByText("1 code, 1 person"), "the one that is looked for");
			await ann.page.getByLabel(/^Part of/).fill("no such code");
			await ann.page.keyboard.press("Enter");
			await ann.sees(ann.page.getByText("No code is called so."), "none");
			await ann.page.getByLabel(/^Part of/).fill("");
			await ann.page.keyboard.press("Enter");
			await ann.sees(row(ann, "welcome"), "all of them");
			await looksRight(ann, "Start codes");
			await ann.picture("desk-light-dashboard-2-codes");
		}],
		["code_is_changed_and_kept_from_harm", async () => {
			const meanwhile = (body) => fetch(new URL("/api/analytics/start-codes/flyer-7", where.page), { method: "PUT",
				headers: { Authorization: `Bearer ${tokens.full}` }, body: JSON.stringify(body) }).then((said) => said.json());
			await meanwhile({ expires_at: "2199-12-31T23:59:59.500Z" });
			await ann.sees(row(ann, "flyer-7").getByText("2199"), "that it ends");
			await ann.button("Change flyer-7").click();
			await meanwhile({ description: "by somebody else" });
			await ann.page.getByLabel("Active").uncheck();
			await ann.button("Save").click();
			await ann.sees(row(ann, "flyer-7").getByText("inactive"), "that it is inactive");
			await ann.sees(row(ann, "flyer-7").getByText("by somebody else"), "what somebody else changed meanwhile");
			const { expires_at: ends } = await meanwhile({});
			expect(ends === "2199-12-31T23:59:59.500Z", `it ends at ${ends}: the form shows no seconds, and must not take them away`);
			await ann.button("Remove flyer-7").click();
			await dialog(ann).getByRole("button", { name: "Remove" }).click();
			await ann.sees(dialog(ann).getByText("1 person came by it"), "that somebody came by it");
			ann.troubles = ann.troubles.filter((t) => !t.includes("409"));
			await dialog(ann).getByRole("button", { name: "Cancel" }).click();
			await ann.sees(row(ann, "flyer-7"), "that it stays");
		}],
		["people_are_found", async () => {
			await goTo(ann, "People");
			await ann.page.getByLabel(/begins with/).fill("7007");
			await ann.page.keyboard.press("Enter");
			await ann.sees(row(ann, "7007").filter({ hasText: "flyer-7" }), "who came by the code");
			await ann.page.getByLabel(/begins with/).fill("nobody is called so");
			await ann.page.keyboard.press("Enter");
			await ann.sees(ann.page.getByText("Nobody is called so."), "nobody");
			await ann.page.getByLabel(/begins with/).fill("");
			await ann.page.keyboard.press("Enter");
			await ann.sees(row(ann, "7007"), "all of them");
			await looksRight(ann, "People");
			await ann.picture("desk-light-dashboard-3-people");
		}],
		["cache_is_forgotten", async () => {
			await goTo(ann, "Caches");
			await looksRight(ann, "Caches");
			await ann.button("Forget of persona").click();
			await ann.button("Forget").click();
			await ann.sees(ann.page.getByText(/values? forgotten; \d programs? ha(s|ve) heard/), "that the workers have heard");
			await ann.button("Load anew: persona").click();
			await dialog(ann).getByRole("button", { name: "Load anew" }).click();
			await ann.picture("desk-light-dashboard-4-caches");
		}],
		["dead_letters_are_looked_at_and_retried", async () => {
			for (const bot of ["nobody", "nobody", "noone"])
				redis("xadd", "shoal:{0}:updates", "*", "bot", bot, "lane", "telegram:nobody:1", "body", '{"hello":"<i>you</i>"}');
			await until(() => redis("xlen", "shoal:{0}:dead").trim() === "3", "three dead letters");
			await goTo(ann, "Dead letters");
			await ann.sees(ann.$("dead-count").getByText("3"), "how many there are, in the menu");
			await looksRight(ann, "Dead letters");
			await ann.button(/^Show 0:/).first().click();
			await ann.sees(dialog(ann).getByText('"<i>you</i>"'), "its body");
			await looksRight(ann, "a dead letter");
			await ann.picture("desk-light-dashboard-5-dead");
			await ann.button("Close").click();
			await ann.button(/^Retry 0:/).first().click();
			await ann.sees(ann.page.getByText("It is in the queue again."), "that it is in the queue");
			await ann.sees(ann.page.getByText("retried before"), "that it failed anew, by itself");
		}],
		["dead_letters_go_by_bot_and_many_at_once", async () => {
			await ann.page.getByLabel("Bot").selectOption("nobody");
			await ann.sees(ann.page.getByText("2 letters of nobody; 3 in all"), "those of one bot");
			await ann.button("Drop all…").click();
			await ann.sees(dialog(ann).getByText("Drop all letters of nobody?"), "which would go");
			await dialog(ann).getByRole("button", { name: "Cancel" }).click();
			await ann.sees(ann.page.getByText("2 letters of nobody; 3 in all"), "that they stay");
			await ann.button("Drop all…").click();
			await dialog(ann).getByRole("button", { name: "Drop" }).click();
			await ann.sees(ann.page.getByText("2 letters dropped."), "that they are gone");
			await ann.page.getByLabel("Bot").selectOption("");
			await ann.sees(ann.button(/^Drop 0:/), "that of another bot");
			await ann.page.getByLabel("Choose all that are shown").check();
			await ann.button("Retry 1 chosen…").click();
			await dialog(ann).getByRole("button", { name: "Retry" }).click();
			await ann.sees(ann.page.getByText("1 letter retried."), "that it is in the queue");
			await ann.sees(ann.page.getByText("retried before"), "that it failed anew");
			await ann.button(/^Drop 0:/).click();
			await dialog(ann).getByRole("button", { name: "Drop" }).click();
			await ann.sees(ann.page.getByText("There are no dead letters."), "that it is gone");
		}],
		["a_bot_is_paused", async () => {
			await goTo(ann, "Queue");
			await ann.page.getByLabel("Bot").selectOption("persona");
			await ann.button("Pause").click();
			await dialog(ann).getByRole("button", { name: "Pause" }).click();
			await ann.sees(ann.page.getByText("Paused: persona"), "that it is paused");
			await simulator("message", { bot: "persona", user_id: 7007, text: "anybody there?" });
			await ann.sees(row(ann, "telegram:persona:7007").getByText("paused"), "who waits");
			await looksRight(ann, "Queue");
			await ann.picture("desk-light-dashboard-6-queue");
			await ann.button("Let go on").click();
			await ann.gone(ann.page.getByText("Paused: persona"), "the pause");
			await ann.sees(ann.page.getByText("No lane is busy"), "that nobody waits");
		}],
		["the_books_are_wrong", async () => {
			redis("hset", "shoal:{0}:lanes", "telegram:nobody:2", "@ 1-1");
			await goTo(ann, "Queue");
			await ann.sees(ann.page.getByText("imbalance -1"), "that a lane is held for nothing");
			redis("hdel", "shoal:{0}:lanes", "telegram:nobody:2");
			await ann.gone(ann.page.getByText("imbalance -1"), "that, when it is mended");
		}],
		["changes_tell_who_did_what", async () => {
			await goTo(ann, "Changes");
			for (const what of ["code.add", "code.set", "cache.invalidate", "cache.reload", "dead.retry", "dead.drop", "queue.pause", "queue.resume"])
				await ann.sees(row(ann, what).filter({ hasText: "admin:" }), what);
			await looksRight(ann, "Changes");
			await ann.picture("desk-light-dashboard-7-changes");
			ann.hadNoTrouble();
		}],
		["what_cannot_be_shown_says_so_and_comes_back", async () => {
			await ann.page.route("**/api/workers", (r) => r.abort());
			await ann.page.route("**/api/events", (r) => r.abort());
			await ann.page.evaluate(() => { location.hash = "#workers"; });
			await ann.sees(ann.page.getByText("This cannot be shown now"), "that it cannot be shown");
			await looksRight(ann, "an error");
			await ann.picture("desk-light-dashboard-8-error");
			await ann.page.unroute("**/api/workers");
			await ann.button("Try again").click();
			await ann.sees(ann.page.getByText("2 workers alive"), "the workers");
			await ann.page.route("**/api/workers", (r) => r.abort());
			await ann.sees(ann.page.getByText(/^Not current since/), "that it is not current");
			await ann.sees(ann.page.getByText("2 workers alive"), "what was there last");
			await ann.page.unroute("**/api/workers");
			await ann.gone(ann.page.getByText(/^Not current since/), "that it is not current");
			await ann.page.route("**/api/workers", async (r) => {
				await new Promise((done) => setTimeout(done, 3500));
				await r.continue().catch(() => {});
			});
			for (let n = 0; n < 2; n++) { // twice: the second pause is that after a slow answer
				await ann.sees(ann.page.getByText(/^As of \d+ seconds ago/), "how old it is, of a slow server");
				await ann.gone(ann.page.getByText(/^As of \d+ seconds ago/), "how old it was");
			}
			await ann.page.unroute("**/api/workers");
			await ann.page.reload();
			await ann.sees(ann.$("live").getByText("Connecting…"), "that the stream is away");
			await ann.page.unroute("**/api/events");
			await ann.sees(ann.$("live").getByText("Live"), "that it is back");
			expect(ann.troubles.every((t) => t.includes("ERR_FAILED")), ann.troubles.join("\n"));
			ann.troubles.length = 0;
		}],
		["server_that_stands_still_is_not_shown_as_current", async () => {
			const children = readFileSync(join(stack.folder, ".shoal/children"), "utf8").trim().split("\n").map((l) => Number(l.split(" ")[0]));
			const admin = children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[1] === "admin");
			await goTo(ann, "Workers");
			process.kill(admin, "SIGSTOP");
			try {
				await ann.sees(ann.$("live").getByText("Connecting…"), "that the stream stands still");
				await ann.sees(ann.page.getByText(/^Not current since .*: the server does not answer/), "that the workers are not current");
			} finally {
				process.kill(admin, "SIGCONT");
			}
			await ann.sees(ann.$("live").getByText("Live"), "that it goes on");
			await ann.gone(ann.page.getByText(/^Not current since/), "that the workers are not current");
			ann.troubles.length = 0;
		}],
		["viewer_sees_no_buttons_that_change", async () => {
			vic = await Person.at(browser, where, "Vic", phone, "dark");
			await vic.page.goto(where.page);
			await signIn(vic, tokens.view);
			await vic.sees(vic.$("menu"), "that she is in");
			for (const title of sections) {
				await goTo(vic, title);
				if (title === "Now")
					await vic.sees(vic.page.getByText("2 of 2", { exact: true }), "both workers");
				await looksRight(vic, `${title} on a phone`);
				const names = await vic.page.locator("#view").getByRole("button").and(vic.page.locator(":not(.sort)")).allTextContents();
				expect(names.every((n) => harmless.test(n)) && !await vic.page.locator("#view").getByRole("checkbox").count(), `${title} offers ${names}`);
				await vic.picture(`phone-dark-dashboard-${sections.indexOf(title)}-${title.toLowerCase().replace(" ", "-")}`);
			}
			await goTo(vic, "Dead letters");
			vic.hadNoTrouble();
		}],
		["token_stays_with_the_tab_until_one_signs_out", async () => {
			await vic.page.reload();
			await vic.sees(vic.page.getByRole("heading", { level: 1, name: "Dead letters" }), "the same section");
			await vic.$("menu").click();
			await vic.button("Sign out").click();
			await vic.focused("token");
			await vic.page.reload();
			await vic.focused("token");
			vic.hadNoTrouble();
			await ann.context.close();
			await vic.context.close();
		}],
	], () => [ann, vic].filter(Boolean));
}
