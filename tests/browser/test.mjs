// test.mjs SHOAL CHROMIUM: starts `SHOAL up --workers 2` in a folder of its own and uses the chat page as a newcomer would:
// on a desk with the keyboard alone, on a phone, by a link with a start code, in a trade of two people. Pictures go to the current folder, from
// where playwright-core is taken too. Prints "ok NAME" or "not ok NAME"; a scenario ends at its first failure.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, openSync, readFileSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { chromium } = createRequire(`${process.cwd()}/`)("playwright-core");
const [binary, browserPath] = process.argv.slice(2);
const patience = 20000;
const desk = { width: 1280, height: 800 };
const phone = { width: 375, height: 700 };
const marlow = /I am Marlow/, rex = /Captain Rex here/, luna = /I am Luna/;

let failed = 0;
let scenario = "";

function report(good, name, why = "") {
	console.log(`${good ? "ok" : "not ok"} browser_${name}`);
	if (good)
		return;
	failed++;
	for (const line of String(why).split("\n").slice(0, 20))
		console.log(`#   ${line}`);
}

/* --- waiting: always for something that can be asked for */

async function until(question, what, ms = patience) {
	const end = Date.now() + ms;
	let last;
	for (;;) {
		try {
			last = undefined;
			const answer = await question();
			if (answer)
				return answer;
		} catch (error) {
			last = error;
		}
		if (Date.now() > end)
			throw new Error(`not within ${ms / 1000} s: ${what}${last ? ` (${last.message})` : ""}`);
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
}

function expect(good, what) {
	if (!good)
		throw new Error(what);
}

/* --- the stack */

function alive(pid) {
	try {
		return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
	} catch {
		return false;
	}
}

/* Every process that works inside the folder or names it, whoever its parent is by now. */
function processesOf(folder) {
	return readdirSync("/proc").filter((p) => /^\d+$/.test(p) && Number(p) !== process.pid && alive(p)).filter((pid) => {
		try {
			return readlinkSync(`/proc/${pid}/cwd`).startsWith(folder) ||
				readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(folder);
		} catch {
			return false;
		}
	}).map(Number);
}

function refuses(port) {
	return new Promise((resolve) => {
		const socket = connect(port, "127.0.0.1");
		socket.once("connect", () => { socket.destroy(); resolve(false); });
		socket.once("error", () => resolve(true));
	});
}

class Stack {
	constructor() {
		this.folder = mkdtempSync(join(tmpdir(), "shoal-test-browser."));
		this.log = join(this.folder, "out");
		const out = openSync(this.log, "w");
		this.process = spawn(binary, ["up", "--workers", "2"], { cwd: this.folder, stdio: ["ignore", out, out] });
		this.ended = once(this.process, "exit");
		this.ended.catch(() => {});
	}

	said() {
		return readFileSync(this.log, "utf8");
	}

	async ready() {
		await until(() => this.said().includes("Stop  ") || this.process.exitCode !== null, "the stack is up", 3 * patience);
		this.page = this.said().match(/Chat with the bot +(http:\S+)/)?.[1];
		expect(this.page, `no address of the page was printed:\n${this.said()}`);
		this.ports = [...new Set([...this.said().matchAll(/127\.0\.0\.1:(\d+)/g)].map((m) => Number(m[1])))];
		this.pids = readFileSync(join(this.folder, ".shoal/children"), "utf8").trim().split("\n").map((l) => Number(l.split(" ")[0]));
	}

	/* For ends that the scenarios did not foresee: Ctrl-C, then force, so that nothing outlives the test. */
	async end() {
		if (this.process.pid && this.process.exitCode === null && this.process.signalCode === null) {
			this.process.kill("SIGINT");
			await Promise.race([this.ended, new Promise((resolve) => setTimeout(resolve, patience).unref())]);
		}
		for (const pid of processesOf(this.folder)) {
			try {
				process.kill(pid, "SIGKILL");
			} catch {
				// it ended by itself
			}
		}
		rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
	}
}

/* --- somebody at a browser of their own */

class Person {
	constructor(name) {
		this.name = name;
		this.troubles = [];
	}

	static async at(browser, stack, name, size, scheme = "light", more = {}) {
		const person = new Person(name);
		person.context = await browser.newContext({ viewport: size, colorScheme: scheme, locale: "en-GB", ...more });
		person.context.setDefaultTimeout(patience);
		person.origin = new URL(stack.page).origin;
		person.page = await person.tab();
		return person;
	}

	async tab() {
		const page = await this.context.newPage();
		page.on("console", (m) => ["error", "warning"].includes(m.type()) && this.troubles.push(`console ${m.type()}: ${m.text()}`));
		page.on("pageerror", (error) => this.troubles.push(`uncaught: ${error.message}`));
		page.on("request", (r) => new URL(r.url()).origin !== this.origin && this.troubles.push(`request to ${r.url()}`));
		page.on("response", (r) => r.status() >= 400 && this.troubles.push(`${r.status()} of ${r.url()}`));
		return page;
	}

	$(id) {
		return this.page.locator(`#${id}`);
	}

	/* The messages of the bot, or of the person. */
	said(whose, text) {
		return this.page.locator(`.message.${whose}`).filter({ hasText: text });
	}

	button(name) {
		return this.page.getByRole("button", { name, exact: typeof name === "string" });
	}

	sees(locator, what) {
		return until(() => locator.first().isVisible(), `${this.name} sees ${what}`);
	}

	gone(locator, what) {
		return until(async () => !(await locator.count()) || !(await locator.first().isVisible()), `${this.name} no longer sees ${what}`);
	}

	focused(id) {
		return until(() => this.page.evaluate((i) => document.activeElement?.id === i, id), `${id} has the focus`);
	}

	/* Goes to a control by Tab alone, as whoever has no mouse. */
	async tabTo(locator, key = "Tab") {
		for (let i = 0; i < 60; i++) {
			if (await locator.evaluate((node) => node === document.activeElement))
				return;
			await this.page.keyboard.press(key);
		}
		throw new Error(`${this.name} does not reach ${locator} by ${key}`);
	}

	async writes(text) {
		await this.$("text").fill(text);
		await this.$("text").press("Enter");
		await this.sees(this.said("mine", text), `their own “${text}”`);
	}

	/* An answer is a message of the bot that was not there before. */
	async isAnswered(text) {
		const before = await this.page.locator(".message.theirs").count();
		await this.writes(text);
		await until(async () => await this.page.locator(".message.theirs").count() > before, `an answer to “${text}”`);
		return this.page.locator(".message.theirs").last();
	}

	async hasNoSidewaysScroll(where) {
		const wide = await this.page.evaluate(() => {
			const room = document.documentElement.clientWidth;
			const out = [...document.querySelectorAll("body *")].filter((node) => {
				const box = node.getBoundingClientRect();
				return node.checkVisibility({ visibilityProperty: true }) && box.width && (box.right > room + 1 || box.left < -1);
			});
			const scrollers = [document.documentElement, document.getElementById("scroll")];
			return { over: scrollers.some((n) => n.scrollWidth > n.clientWidth), out: out.map((n) => n.id || n.className).join(" ") };
		});
		expect(!wide.over && !wide.out, `${where}: wider than the window: ${wide.out || "the page itself"}`);
	}

	/* All that can be pressed or filled in, against what Tab really visits. */
	async reachesAllByKeyboard(where) {
		const wanted = await this.page.evaluate(() => {
			const all = [...document.querySelectorAll("button, input, textarea, a[href], select")];
			window.visited = new Set();
			document.activeElement?.blur();
			return all.filter((n) => !n.disabled && !n.closest("[inert]") && n.checkVisibility({ visibilityProperty: true })).length;
		});
		for (let i = 0; i < wanted + 5; i++) {
			await this.page.keyboard.press("Tab");
			await this.page.evaluate(() => window.visited.add(document.activeElement));
		}
		const missed = await this.page.evaluate(() => [...document.querySelectorAll("button, input, textarea, a[href], select")]
			.filter((n) => !n.disabled && !n.closest("[inert]") && n.checkVisibility({ visibilityProperty: true }) && !window.visited.has(n))
			.map((n) => n.id || n.textContent).join(", "));
		expect(wanted > 0 && !missed, `${where}: Tab never comes to ${missed || "anything"}`);
	}

	/* Whatever takes a press has a name for those who cannot see it, and is large enough for a finger (WCAG 2.5.8). */
	async controlsAreFit(where) {
		const unfit = await this.page.evaluate(() => [...document.querySelectorAll("button, input, textarea, .panel.link")]
			.filter((n) => n.checkVisibility({ visibilityProperty: true }) && !n.closest(".text, [inert]"))
			.filter((n) => {
				const box = n.getBoundingClientRect();
				const name = n.textContent.trim() || n.ariaLabel || n.labels?.[0]?.textContent;
				return box.width < 24 || box.height < 24 || !name;
			}).map((n) => n.outerHTML.slice(0, 80)).join("\n"));
		expect(!unfit, `${where}: too small or without a name: ${unfit}`);
	}

	async picture(name) {
		await this.page.screenshot({ path: `${name}.png`, animations: "disabled" });
	}

	hadNoTrouble() {
		expect(!this.troubles.length, this.troubles.join("\n"));
	}
}

/* --- scenarios: names of steps, each with what is done and seen in it */

async function play(title, steps, people) {
	scenario = title;
	for (const [name, step] of steps) {
		try {
			await step();
			report(true, `${title}_${name}`);
		} catch (error) {
			report(false, `${title}_${name}`, error.message);
			for (const person of people())
				await person.page.screenshot({ path: `failed-${title}-${person.name}.png` }).catch(() => {});
			return false;
		}
	}
	return true;
}

async function onADesk(browser, stack) {
	let ada, tab;
	const at = (name) => ada.button(name);

	await play("desk", [
		["page_asks_who_one_is", async () => {
			ada = await Person.at(browser, stack, "Ada", desk);
			await ada.page.goto(stack.page);
			await ada.sees(at("Begin"), "the question who she is");
			await ada.focused("person-name");
			await ada.hasNoSidewaysScroll("welcome");
			await ada.picture("desk-light-1-welcome");
		}],
		["nameless_is_nobody", async () => {
			await ada.page.keyboard.type("   ");
			await ada.page.keyboard.press("Enter");
			expect(await ada.$("welcome").isVisible(), "a name of blanks was taken");
		}],
		["person_is_made", async () => {
			await ada.$("person-name").fill("");
			await ada.page.keyboard.type("Ada");
			await ada.page.keyboard.press("Enter");
			await ada.sees(at("Start").last(), "the start button");
			expect(await ada.$("me-name").textContent() === "Ada", "the page calls her something else");
			await ada.picture("desk-light-2-begin");
		}],
		["controls_of_an_empty_chat", async () => {
			await ada.reachesAllByKeyboard("empty chat");
			await ada.controlsAreFit("empty chat");
		}],
		["code_starts_by_keyboard", async () => {
			await ada.tabTo(ada.$("code"));
			await ada.page.keyboard.type("stargazer");
			await ada.page.keyboard.press("Enter");
			await ada.sees(ada.said("mine", "/start stargazer"), "the command with its code");
			await ada.focused("text");
		}],
		["age_is_asked_with_two_buttons", async () => {
			await ada.sees(ada.said("theirs", /Ada.*18 or older\?/), "the question of age");
			const names = await ada.page.locator(".message.theirs .inline").allTextContents();
			expect(names.length === 2 && /yes/i.test(names[0]) && /no/i.test(names[1]), `the buttons are ${names}`);
			await ada.picture("desk-light-3-question");
		}],
		["yes_by_keyboard", async () => {
			await ada.page.evaluate(() => {
				window.busy = false;
				new MutationObserver((all) => { window.busy ||= all.some((m) => m.target.hasAttribute("aria-busy")); })
					.observe(document.getElementById("log"), { subtree: true, attributeFilter: ["aria-busy"] });
			});
			await ada.tabTo(at(/^Yes/), "Shift+Tab");
			await ada.page.keyboard.press("Enter");
			await until(() => ada.page.evaluate(() => window.busy), "the button shows that it waits");
			await until(async () => (await ada.$("toast").textContent()).trim(), "a toast with the bot's thanks");
		}],
		["greeting_of_the_code_s_persona", () => ada.sees(ada.said("theirs", luna), "Luna's greeting")],
		["buttons_are_gone_once_pressed", async () => {
			await ada.gone(ada.page.locator(".message.theirs .inline"), "the buttons");
			await ada.focused("text");
		}],
		["messages_are_answered", async () => {
			const first = await ada.isAnswered("Hello Luna!");
			const text = await first.locator(".text").textContent();
			await ada.page.keyboard.type("And again,\nwith a second line & <b>no markup</b>".split("\n")[0]);
			await ada.page.keyboard.press("Shift+Enter");
			await ada.page.keyboard.type("with a second line & <b>no markup</b>");
			const before = await ada.page.locator(".message.theirs").count();
			await ada.page.keyboard.press("Enter");
			await ada.sees(ada.said("mine", "<b>no markup</b>"), "what she typed, as she typed it");
			await until(async () => await ada.page.locator(".message.theirs").count() > before, "a second answer");
			expect(await ada.page.locator(".message.theirs .text").last().textContent() !== text, "the same answer twice");
		}],
		["worker_and_time_are_shown", async () => {
			const who = await ada.page.locator(".message.theirs .who").allTextContents();
			const replies = await ada.page.locator(".message.theirs").count();
			expect(who.length === replies && who.every((w) => w.trim()), `${replies} replies, of workers ${who}`);
			expect(/\d ?m?s/.test(await ada.page.locator(".message.theirs .meta").last().textContent()), "no time is shown");
			for (const name of new Set(who)) {
				const count = who.filter((w) => w === name).length;
				const line = ada.page.locator("#workers li").filter({ hasText: name });
				expect((await line.textContent()).includes(`${count} repl`), `${name}: ${await line.textContent()}, not ${count}`);
			}
			await ada.picture("desk-light-4-chat");
		}],
		["typed_start_changes_the_persona", async () => {
			await ada.writes("/start welcome");
			await ada.sees(ada.said("theirs", marlow), "Marlow's greeting");
			expect(await ada.said("theirs", "18 or older").count() === 1, "her age was asked again");
		}],
		["bad_code_is_explained", async () => {
			await ada.writes("/start perseids-24");
			await ada.sees(ada.said("theirs", "That link has run out."), "why the code does not work");
		}],
		["reload_keeps_person_and_chat", async () => {
			const before = await ada.page.locator(".message").count();
			await ada.page.reload();
			await until(async () => await ada.page.locator(".message").count() === before, `${before} messages after a reload`);
			expect(await ada.$("me-name").textContent() === "Ada", "she is somebody else now");
		}],
		["second_tab_offers_somebody_else", async () => {
			tab = await ada.tab();
			await tab.goto(stack.page);
			await ada.sees(tab.getByText("Or go on as"), "the list of people");
			await ada.sees(tab.locator(".person", { hasText: "Ada" }), "herself in the list");
			await tab.locator(".person", { hasText: "Ada" }).click();
			await ada.sees(tab.locator(".message.theirs").first(), "her chat in the second tab too");
			await tab.close();
		}],
		["fits_the_window", () => ada.hasNoSidewaysScroll("chat")],
		["controls_of_a_chat", async () => {
			await ada.reachesAllByKeyboard("chat");
			await ada.controlsAreFit("chat");
		}],
		["dark", async () => {
			await ada.page.emulateMedia({ colorScheme: "dark" });
			await ada.picture("desk-dark-4-chat");
		}],
		["no_trouble_in_the_browser", () => ada.hadNoTrouble()],
	], () => [ada]);
	return ada;
}

async function onAPhone(browser, stack, ada) {
	let ben;
	const others = ada ? await ada.page.locator(".message").count() : 0;

	await play("phone", [
		["person_is_made", async () => {
			ben = await Person.at(browser, stack, "Ben", phone, "light", { hasTouch: true, isMobile: true });
			await ben.page.goto(stack.page);
			await ben.hasNoSidewaysScroll("welcome");
			await ben.picture("phone-light-1-welcome");
			await ben.page.getByLabel("Your name").fill("Ben <i>von und zu</i> Längstername-Überhaupt");
			await ben.button("Begin").tap();
			await ben.sees(ben.$("begin"), "the start button");
			await ben.hasNoSidewaysScroll("empty chat");
			await ben.picture("phone-light-2-begin");
		}],
		["menu_opens_and_closes", async () => {
			await ben.$("menu").tap();
			await ben.sees(ben.$("code"), "the menu");
			await ben.reachesAllByKeyboard("menu");
			await ben.controlsAreFit("menu");
			await ben.picture("phone-light-3-menu");
			await ben.page.keyboard.press("Escape");
			await ben.gone(ben.$("code"), "the menu");
			await ben.focused("menu");
			await ben.page.keyboard.press("Enter");
			await ben.focused("close-menu");
			await ben.$("close-menu").tap();
			await ben.gone(ben.$("code"), "the menu");
			await ben.$("menu").tap();
			await ben.sees(ben.$("code"), "the menu");
			await ben.page.touchscreen.tap(phone.width - 10, phone.height / 2);
			await ben.gone(ben.$("code"), "the menu");
		}],
		["start_asks_for_the_age", async () => {
			await ben.$("begin").tap();
			await ben.sees(ben.said("theirs", "18 or older"), "the question of age");
			expect((await ben.said("theirs", "18 or older").textContent()).includes("<i>von"), "his name became markup");
			await ben.hasNoSidewaysScroll("question");
			await ben.picture("phone-light-4-question");
		}],
		["no_is_respected", async () => {
			await ben.button(/^No/).tap();
			await ben.sees(ben.said("theirs", "Thank you for being honest"), "the answer to no");
			await ben.gone(ben.page.locator(".message.theirs .inline"), "the buttons");
			await ben.writes("Hello?");
			await ben.sees(ben.said("theirs", "18 or older").nth(1), "the question again, instead of an answer");
		}],
		["yes_opens_the_chat", async () => {
			await ben.button(/^Yes/).last().tap();
			await ben.sees(ben.said("theirs", marlow), "the greeting of the default persona");
			await ben.isAnswered("Good evening, Marlow");
		}],
		["long_words_fit", async () => {
			await ben.isAnswered(`https://example.org/${"a".repeat(300)}`);
			await ben.hasNoSidewaysScroll("chat with long words");
		}],
		["what_is_no_text_is_answered", async () => {
			const before = await ben.page.locator(".message.theirs").count();
			await ben.$("attach").tap();
			await ben.hasNoSidewaysScroll("attach menu");
			await ben.picture("phone-light-5-attach");
			await ben.button("Photo").tap();
			await until(async () => await ben.page.locator(".message.theirs").count() > before, "an answer to a photo");
			await ben.picture("phone-light-6-chat");
		}],
		["controls_of_a_chat", async () => {
			await ben.reachesAllByKeyboard("chat");
			await ben.controlsAreFit("chat");
		}],
		["block_hides_the_composer", async () => {
			await ben.$("block").tap();
			await ben.sees(ben.$("unblock"), "that the bot is blocked");
			await ben.gone(ben.$("composer"), "the composer");
			await ben.sees(ben.page.getByText("blocked by you"), "who blocked whom");
			await ben.hasNoSidewaysScroll("blocked chat");
			await ben.picture("phone-light-7-blocked");
		}],
		["unblock_goes_on", async () => {
			await ben.$("unblock").tap();
			await ben.sees(ben.$("composer"), "the composer");
			await ben.gone(ben.page.getByText("blocked by you"), "that it is blocked");
			await ben.isAnswered("Here I am again");
		}],
		["dark", async () => {
			await ben.page.emulateMedia({ colorScheme: "dark" });
			await ben.picture("phone-dark-6-chat");
			await ben.$("menu").tap();
			await ben.sees(ben.$("workers").locator("li").first(), "the workers");
			await ben.picture("phone-dark-3-menu");
			await ben.page.keyboard.press("Escape");
		}],
		["others_see_nothing_of_it", async () => {
			expect(ada && others > 0 && await ada.page.locator(".message").count() === others, "Ada's chat changed");
		}],
		["no_trouble_in_the_browser", () => ben.hadNoTrouble()],
	], () => [ben]);
	return ben;
}

async function byALink(browser, stack) {
	let eve;

	await play("link", [
		["person_is_asked_first", async () => {
			eve = await Person.at(browser, stack, "Eve", phone, "dark");
			await eve.page.goto(`${stack.page}?start=ahoy`);
			await eve.picture("phone-dark-1-welcome");
			await eve.page.getByLabel("Your name").fill("Eve");
			await eve.button("Begin").click();
			await eve.sees(eve.button(/Start.*ahoy/), "a start button that names the code");
			await eve.picture("phone-dark-2-link");
		}],
		["start_brings_the_code", async () => {
			await eve.button(/Start.*ahoy/).click();
			await eve.sees(eve.said("mine", "/start ahoy"), "the command with its code");
			await eve.button(/^Yes/).click();
			await eve.sees(eve.said("theirs", rex), "Captain Rex's greeting");
		}],
		["reload_does_not_offer_it_again", async () => {
			await eve.page.reload();
			await eve.sees(eve.$("composer"), "the composer");
			expect(!await eve.$("begin").isVisible(), "the code is offered again");
		}],
		["no_trouble_in_the_browser", () => eve.hadNoTrouble()],
	], () => [eve]);
	return eve;
}

/* As the README tells it: two people, one of them with money. */
async function aTrade(browser, stack) {
	let flo, gus, invitation;
	const come = async (name, address) => {
		const person = await Person.at(browser, stack, name, desk);
		await person.page.goto(address);
		await person.page.getByLabel("Your name").fill(name);
		await person.button("Begin").click();
		return person;
	};
	const press = (person, name) => person.button(name).last().click();

	await play("trade", [
		["buyer_meets_the_bot", async () => {
			flo = await come("Flo", `${stack.page}?bot=escrow`);
			await press(flo, "Start");
			await flo.sees(flo.said("theirs", "What would you like to do?"), "the menu");
		}],
		["buyer_is_given_money", async () => {
			const id = (await flo.$("me-id").textContent()).match(/\d+/)[0];
			execFileSync("sh", ["-c", `. .shoal/env && exec "$0" "$@"`, binary, "wallet", "credit", id, "USD", "100", "--key", "b1"],
				{ cwd: stack.folder });
			await press(flo, "Wallet");
			await flo.sees(flo.said("theirs", "100.00 available"), "the money");
			await press(flo, "New trade");
			await flo.sees(flo.said("theirs", "How much do you want to pay?"), "the first question");
		}],
		["buyer_confirms_the_review", async () => {
			await flo.isAnswered("12.50 USD");
			await flo.isAnswered("a blue <b>bicycle</b>");
			await flo.sees(flo.said("theirs", "a blue <b>bicycle</b>"), "the terms as they were written");
			await flo.picture("desk-light-trade-review");
			await press(flo, "Confirm");
			await flo.sees(flo.said("theirs", "12.50 USD are held"), "that the money is held");
			await flo.gone(flo.button("Confirm"), "the button to confirm");
		}],
		["link_leads_another_one_to_it", async () => {
			invitation = await flo.page.locator("a[href*='start=inv_']").last().getAttribute("href");
			gus = await come("Gus", new URL(invitation, stack.page).href);
			await press(gus, /^Start/);
			await gus.sees(gus.said("theirs", "a blue <b>bicycle</b>"), "the terms");
			await gus.picture("desk-light-trade-invitation");
			await flo.sees(flo.said("theirs", "Gus has opened your invitation"), "who opened it");
		}],
		["seller_accepts_and_buyer_releases", async () => {
			await press(gus, "Accept");
			await gus.sees(gus.said("theirs", "You have accepted"), "that it is accepted");
			await flo.sees(flo.said("theirs", "The seller has accepted your trade"), "that it is accepted");
			await press(flo, /^Release 12.50 USD/);
			await flo.sees(flo.said("theirs", "You have released 12.50 USD"), "that it is released");
			await gus.sees(gus.said("theirs", "12.50 USD are yours"), "that the money came");
			await flo.picture("desk-light-trade-released");
		}],
		["both_see_it_in_their_lists", async () => {
			for (const person of [flo, gus]) {
				await press(person, "My trades");
				await person.sees(person.button(/12.50 USD · you (buy|sell)/), "the trade in the list");
			}
		}],
		["no_trouble_in_the_browser", () => { flo.hadNoTrouble(); gus.hadNoTrouble(); }],
	], () => [flo, gus].filter(Boolean));
	return [flo, gus].filter(Boolean);
}

async function theEnd(stack, people) {
	await play("end", [
		["page_tells_that_the_stack_stopped", async () => {
			stack.process.kill("SIGINT");
			for (const person of people)
				await person.sees(person.page.getByText("The simulator does not answer"), "that nobody answers");
			for (const person of people)
				await person.context.close();
		}],
		["stops_with_code_0", async () => {
			const [code, signal] = await stack.ended;
			expect(code === 0, `code ${code}, signal ${signal}\n${stack.said().slice(-2000)}`);
		}],
		["nothing_is_left_running", async () => {
			const left = [...new Set([...stack.pids.filter(alive), ...processesOf(stack.folder)])];
			expect(stack.pids.length === 6 && !left.length, `${stack.pids.length} children were, still there: ${left}`);
			for (const port of stack.ports)
				expect(await refuses(port), `port ${port} is still open`);
		}],
	], () => people);
}

async function main() {
	const stack = new Stack();
	let browser;
	const quit = async (signal) => {
		console.log(`not ok browser_${scenario}: ${signal}`);
		await browser?.close().catch(() => {});
		await stack.end();
		process.exit(1);
	};
	process.once("SIGTERM", quit);
	process.once("SIGINT", quit);
	try {
		browser = await chromium.launch({
			executablePath: browserPath,
			chromiumSandbox: false, // it is our own page; root and many containers have no sandbox
			args: ["--disable-dev-shm-usage", "--disable-gpu"],
		});
		await stack.ready();
		report(true, "stack_is_up");
		const ada = await onADesk(browser, stack);
		const ben = await onAPhone(browser, stack, ada);
		const eve = await byALink(browser, stack);
		const traders = await aTrade(browser, stack);
		await theEnd(stack, [ada, ben, eve, ...traders].filter(Boolean));
	} catch (error) {
		report(false, scenario || "start", error.stack);
		if (existsSync(stack.log))
			console.log(stack.said().slice(-3000).replace(/^/gm, "#   "));
	} finally {
		await browser?.close().catch(() => {});
		await stack.end();
	}
	process.exit(failed ? 1 : 0);
}

main();
