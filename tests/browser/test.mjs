// test.mjs SHOAL CHROMIUM: starts `SHOAL up --workers 2` in a folder of its own and uses its pages as a newcomer would:
// on a desk with the keyboard alone, on a phone, by a link with a start code, in a trade of two people, as two players of the
// ladder; and holds the signatures of interactions against an implementation that is not ours. Pictures go to the current
// folder, from where playwright-core and discord-interactions are taken too. Prints "ok NAME" or "not ok NAME"; a scenario
// ends at its first failure.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { theDashboard } from "./admin.mjs";
import { twoPlayers } from "./discord.mjs";
import { theSignatures } from "./signatures.mjs";
import { Person, Stack, alive, desk, expect, outcome, phone, play, processesOf, refuses, report, until } from "./people.mjs";

const required = createRequire(`${process.cwd()}/`);
const { chromium } = required("playwright-core");
const { verifyKey } = required("discord-interactions");
const axe = readFileSync(required.resolve("axe-core/axe.min.js"), "utf8");
const [binary, browserPath] = process.argv.slice(2);
const marlow = /I am Marlow/, rex = /Captain Rex here/, luna = /I am Luna/;

/* --- scenarios */

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
			expect(stack.pids.length === 7 && !left.length, `${stack.pids.length} children were, still there: ${left}`);
			for (const port of stack.ports)
				expect(await refuses(port), `port ${port} is still open`);
		}],
	], () => people);
}

async function main() {
	const stack = new Stack(binary);
	let browser;
	const quit = async (signal) => {
		console.log(`not ok browser_${outcome.scenario}: ${signal}`);
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
		const table = await twoPlayers(browser, stack);
		await theDashboard(browser, stack, axe);
		await theSignatures(stack, verifyKey);
		await theEnd(stack, [ada, ben, eve, ...traders, table].filter(Boolean));
	} catch (error) {
		report(false, outcome.scenario || "start", error.stack);
		if (existsSync(stack.log))
			console.log(stack.said().slice(-3000).replace(/^/gm, "#   "));
	} finally {
		await browser?.close().catch(() => {});
		await stack.end();
	}
	process.exit(outcome.failed ? 1 : 0);
}

main();
