// What the scenarios share: the stack, somebody at a browser, steps and their report.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, readFileSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const patience = 20000;
export const desk = { width: 1280, height: 800 };
export const phone = { width: 375, height: 700 };

export const outcome = { failed: 0, scenario: "" };

export function report(good, name, why = "") {
	console.log(`${good ? "ok" : "not ok"} browser_${name}`);
	if (good)
		return;
	outcome.failed++;
	for (const line of String(why).split("\n").slice(0, 20))
		console.log(`#   ${line}`);
}

/* --- waiting: always for something that can be asked for */

export async function until(question, what, ms = patience) {
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

export function expect(good, what) {
	if (!good)
		throw new Error(what);
}

/* --- the stack */

export function alive(pid) {
	try {
		return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
	} catch {
		return false;
	}
}

/* Every process that works inside the folder or names it, whoever its parent is by now. */
export function processesOf(folder) {
	return readdirSync("/proc").filter((p) => /^\d+$/.test(p) && Number(p) !== process.pid && alive(p)).filter((pid) => {
		try {
			return readlinkSync(`/proc/${pid}/cwd`).startsWith(folder) ||
				readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(folder);
		} catch {
			return false;
		}
	}).map(Number);
}

export function refuses(port) {
	return new Promise((resolve) => {
		const socket = connect(port, "127.0.0.1");
		socket.once("connect", () => { socket.destroy(); resolve(false); });
		socket.once("error", () => resolve(true));
	});
}

export class Stack {
	constructor(binary) {
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

export class Person {
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
			const scrollers = [document.documentElement, ...document.querySelectorAll(".scroll")];
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

export async function play(title, steps, people) {
	outcome.scenario = title;
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
