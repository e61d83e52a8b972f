// A message's markdown as DOM nodes: what Discord shows of it, no more.

const marks = [
	["**", "strong"],
	["__", "u"],
	["~~", "s"],
	["||", "spoiler"],
	["*", "em"],
	["_", "em"],
];

function make(name, parent) {
	const node = document.createElement(name === "spoiler" ? "button" : name);
	if (name === "spoiler") {
		node.type = "button";
		node.className = "spoiler";
		node.addEventListener("click", () => node.classList.add("shown"));
	}
	parent.append(node);
	return node;
}

function link(parent, url, text) {
	const node = make("a", parent);
	node.href = url;
	node.target = "_blank";
	node.rel = "noopener noreferrer";
	node.textContent = text;
}

function when(seconds, style) {
	const date = new Date(seconds * 1000);
	const minutes = Math.round((date - Date.now()) / 60000);
	if (style !== "R")
		return date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
	return Math.abs(minutes) < 60 ? new Intl.RelativeTimeFormat("en").format(minutes, "minute")
		: new Intl.RelativeTimeFormat("en").format(Math.round(minutes / 60), "hour");
}

// What begins at `at`: [how long it is, how it is shown], or null for plain text.
function special(text, at, names) {
	const rest = text.slice(at);
	let m;
	if ((m = /^\\([^A-Za-z0-9\s])/.exec(rest)))
		return [m[0].length, (parent) => parent.append(m[1])];
	if ((m = /^```(?:[a-z0-9]*\n)?([\s\S]+?)```/.exec(rest)))
		return [m[0].length, (parent) => { make("pre", parent).textContent = m[1]; }];
	if ((m = /^`([^`]+)`/.exec(rest)))
		return [m[0].length, (parent) => { make("code", parent).textContent = m[1]; }];
	if ((m = /^<@!?(\d+)>/.exec(rest)))
		return [m[0].length, (parent) => {
			const node = make("span", parent);
			node.className = "mention";
			node.textContent = `@${names(m[1]) ?? "unknown"}`;
		}];
	if ((m = /^<t:(\d{1,12})(?::([tTdDfFR]))?>/.exec(rest)))
		return [m[0].length, (parent) => parent.append(when(Number(m[1]), m[2]))];
	if ((m = /^\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)/.exec(rest)))
		return [m[0].length, (parent) => link(parent, m[2], m[1])];
	if ((m = /^<?(https?:\/\/[^\s<>]+)>?/.exec(rest)))
		return [m[0].length, (parent) => link(parent, m[1], m[1])];
	return null;
}

// The end of a span that opens at `at` with mark, -1 where it never closes.
function closing(text, at, mark) {
	for (let i = at + mark.length; i <= text.length - mark.length; i++) {
		if (text[i] === "\\")
			i++;
		else if (text.startsWith(mark, i) && i > at + mark.length && text[i - 1] !== "\n")
			return i;
	}
	return -1;
}

function inline(parent, text, names) {
	let plain = "";
	const flush = () => {
		parent.append(plain);
		plain = "";
	};
	for (let at = 0; at < text.length;) {
		const found = special(text, at, names);
		if (found) {
			flush();
			found[1](parent);
			at += found[0];
			continue;
		}
		const mark = marks.find(([m]) => text.startsWith(m, at) && closing(text, at, m) > 0);
		if (mark) {
			const end = closing(text, at, mark[0]);
			flush();
			inline(make(mark[1], parent), text.slice(at + mark[0].length, end), names);
			at = end + mark[0].length;
			continue;
		}
		plain += text[at++];
	}
	flush();
}

// names: id to what the person is called.
export function markdown(parent, text, names) {
	parent.replaceChildren();
	text.split(/(```[\s\S]+?```)/).forEach((part) => {
		if (part.startsWith("```"))
			return inline(parent, part, names);
		part.split("\n").forEach((line, i) => {
			const heading = /^#{1,3} (.+)/.exec(line);
			const quote = /^> (.*)/.exec(line);
			if (heading)
				return inline(make("h3", parent), heading[1], names);
			if (quote)
				return inline(make("blockquote", parent), quote[1], names);
			if (i > 0)
				parent.append("\n");
			inline(parent, line, names);
		});
	});
}
