// Two players of the ladder on one page, from the terms of service to a settled match.
import { Person, desk, expect, phone, play, until } from "./people.mjs";

export async function twoPlayers(browser, stack) {
	let table;
	const pane = (n) => table.page.getByRole("region", { name: `Player ${n}` });
	const entries = (n, text) => pane(n).locator(".entry").filter({ hasText: text });
	const button = (n, name) => pane(n).getByRole("button", { name, exact: typeof name === "string" });
	const field = (n, name) => pane(n).getByLabel(name, { exact: true });
	const sees = (n, text, what) => table.sees(entries(n, text), `player ${n}: ${what}`);
	const command = async (n, line) => {
		await field(n, "Command").fill(line);
		await field(n, "Command").press("Enter");
	};

	await play("ladder", [
		["address_is_printed", async () => {
			const page = stack.said().match(/Ladder on Discord +(http:\S+)/)?.[1];
			expect(page, "no address of the page was printed");
			table = await Person.at(browser, stack, "table", desk);
			await table.page.goto(page);
			await table.sees(pane(2), "two players");
			await until(async () => await field(1, "Name").inputValue() === "Ann" && await field(2, "Name").inputValue() === "Ben", "Ann and Ben");
			await table.hasNoSidewaysScroll("two players");
			await table.controlsAreFit("two players");
		}],
		["one_has_a_name_of_their_own", async () => {
			await field(1, "Name").fill("Nelly <b>*x*");
			await field(1, "Name").press("Enter");
			await command(1, "/setcountry country:DE");
			await sees(1, "Nelly <b>*x* used /setcountry", "who used the command");
			await sees(1, "please read and accept the terms", "what comes first");
		}],
		["terms_are_read_by_one", async () => {
			await command(1, "termsofservice");
			await sees(1, "Play fair", "the terms");
			expect(await entries(1, "Play fair").locator("strong").textContent() === "Terms of service", "the title is not bold");
			await sees(1, "only you can see this", "that nobody else sees it");
			expect(await entries(2, "Play fair").count() === 0, "the other one sees them, too");
			await table.picture("desk-light-ladder-1-terms");
		}],
		["a_double_click_accepts_once", async () => {
			await button(1, "I accept").dblclick();
			await sees(1, "you have accepted the terms of service. Next", "thanks");
			// the second click's first response may come after the first one's answer: then it stands there, disabled
			await until(async () => !(await button(1, "I accept").count()) || await button(1, "I accept").isDisabled(), "no button to press");
			await table.gone(entries(1, "This interaction failed"), "a failure");
		}],
		["setup_is_a_form", async () => {
			await command(1, "/setup");
			await table.sees(pane(1).getByRole("dialog", { name: "Who are you?" }), "the form");
			await until(() => field(1, "Your name on the ladder").evaluate((n) => n === document.activeElement), "its first field has the focus");
			await field(1, "Your name on the ladder").fill("x");
			await field(1, "Your country").fill("Germany");
			await pane(1).getByRole("dialog").getByRole("button", { name: "Send" }).click();
			expect(await pane(1).getByRole("dialog").isVisible(), "a name that is too short was sent");
			await field(1, "Your name on the ladder").fill("Nelly");
			await field(1, "Where you play from").selectOption({ label: "Western Europe" });
			await table.picture("desk-light-ladder-2-setup");
			await field(1, "Your country").press("Enter");
			await sees(1, "You are set up, Nelly.", "that she is set up");
			await table.gone(pane(1).getByRole("dialog"), "the form");
		}],
		["the_other_one_does_so_too", async () => {
			await button(2, "/termsofservice").click();
			await button(2, "I accept").click();
			await sees(2, "Next, /setup", "thanks");
			await button(2, "/setup").click();
			await field(2, "Your name on the ladder").fill("Ben the Bold");
			await field(2, "Your country").fill("France");
			await field(2, "Where you play from").selectOption({ label: "Korea" });
			await field(2, "Your country").press("Enter");
			await sees(2, "You are set up, Ben the Bold.", "that he is set up");
			await table.picture("desk-light-ladder-3-both");
		}],
		["an_escape_closes_a_form", async () => {
			await command(2, "/setup");
			await table.sees(pane(2).getByRole("dialog"), "the form");
			await table.page.keyboard.press("Escape");
			await table.gone(pane(2).getByRole("dialog"), "the form");
		}],
		["a_country_is_suggested", async () => {
			await button(1, "/setcountry").click();
			await field(1, "country").pressSequentially("fra");
			await table.sees(pane(1).getByRole("option", { name: "France" }), "France");
			await field(1, "country").press("ArrowDown");
			await table.picture("desk-light-ladder-4-country");
			await field(1, "country").press("Enter");
			await until(async () => await field(1, "country").inputValue() === "France", "France is taken");
			await field(1, "country").press("Enter");
			await sees(1, /Your country is.*FR/, "that it is so");
			await table.gone(pane(1).getByRole("dialog"), "the form");
		}],
		["both_wait_for_an_opponent", async () => {
			for (const [n, race] of [[1, "zerg"], [2, "terran"]]) {
				await button(n, "/queue").click();
				await field(n, "races").pressSequentially(race);
				await pane(n).getByRole("option", { name: new RegExp(race, "i") }).first().click();
				await pane(n).getByRole("dialog").getByRole("button", { name: "Send" }).click();
				await sees(n, "You are waiting for an opponent", "that it waits");
			}
		}],
		["they_are_told_of_their_match", async () => {
			await sees(1, "Your match: against Ben the Bold, on ", "the match");
			await sees(2, "Your match: against Nelly, on ", "the match");
			await table.picture("desk-light-ladder-5-match");
		}],
		["both_report_and_it_is_settled", async () => {
			for (const [n, how] of [[1, "I won"], [2, "I lost"]]) {
				await button(n, "/report").click();
				await field(n, "result").selectOption({ label: how });
				await pane(n).getByRole("dialog").getByRole("button", { name: "Send" }).click();
				await table.gone(pane(n).getByRole("dialog"), "the form");
			}
			await sees(2, "settled: you lost. Your rating is 1480 now", "the end");
			await sees(1, "settled: you won. Your rating is 1520 now", "the end");
		}],
		["the_leaderboard_is_shown", async () => {
			await button(2, "/leaderboard").click();
			await pane(2).getByRole("dialog").getByRole("button", { name: "Send" }).click();
			await sees(2, "Leaderboard", "the leaderboard");
			await table.picture("desk-light-ladder-6-settled");
		}],
		["each_keeps_what_they_saw", async () => {
			await table.page.reload();
			await sees(1, "You are set up, Nelly.", "her own message");
			await sees(2, "You are set up, Ben the Bold.", "his own message");
			expect(await entries(1, "You are set up, Ben").count() === 0, "she sees his, too");
		}],
		["a_phone_has_room_for_both", async () => {
			await table.page.emulateMedia({ colorScheme: "dark" });
			await table.page.setViewportSize(phone);
			await table.hasNoSidewaysScroll("two players on a phone");
			await table.picture("phone-dark-ladder");
			await table.page.setViewportSize(desk);
			await table.reachesAllByKeyboard("two players");
		}],
		["no_trouble_in_the_browser", () => table.hadNoTrouble()],
	], () => [table].filter(Boolean));
	return table;
}
