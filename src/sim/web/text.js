// A message's text and entities as DOM nodes. Offsets are UTF-16 units, as JavaScript counts.

const elements = {
	bold: "strong",
	italic: "em",
	underline: "u",
	strikethrough: "s",
	code: "code",
	pre: "pre",
	blockquote: "blockquote",
	expandable_blockquote: "blockquote",
};

// Only these may be followed; a link to one of our bots opens here.
function address(url, bots) {
	let parsed;
	try {
		parsed = new URL(url);
	} catch {
		return null;
	}
	if (!["http:", "https:", "tg:"].includes(parsed.protocol))
		return null;
	const username = parsed.protocol === "tg:" ? parsed.searchParams.get("domain")
		: ["t.me", "telegram.me"].includes(parsed.hostname) ? parsed.pathname.slice(1) : null;
	const bot = username && bots.find((b) => b.username.toLowerCase() === username.toLowerCase());
	if (bot) {
		const query = new URLSearchParams({ bot: bot.name });
		if (parsed.searchParams.has("start"))
			query.set("start", parsed.searchParams.get("start"));
		return `/?${query}`;
	}
	return parsed.href;
}

function link(url, bots) {
	const href = address(url, bots);
	if (!href)
		return document.createElement("span");
	const a = document.createElement("a");
	a.href = href;
	a.target = "_blank";
	a.rel = "noopener noreferrer";
	return a;
}

function wrap(entity, text, context) {
	switch (entity.type) {
	case "text_link":
		return link(entity.url, context.bots);
	case "url":
		return link(text, context.bots);
	case "spoiler": {
		const button = document.createElement("button");
		button.type = "button";
		button.className = "spoiler";
		button.addEventListener("click", () => button.classList.add("shown"));
		return button;
	}
	case "bot_command": {
		const button = document.createElement("button");
		button.type = "button";
		button.className = "command";
		button.addEventListener("click", () => context.send(text));
		return button;
	}
	default:
		return document.createElement(elements[entity.type] ?? "span");
	}
}

// Entities nest properly or not at all; one that crosses its parent's end is cut there.
function fill(parent, text, start, end, entities, context) {
	let at = start;
	while (entities.length && entities[0].offset < end) {
		const entity = entities.shift();
		const from = Math.max(entity.offset, at);
		const to = Math.min(entity.offset + entity.length, end);
		if (to <= from)
			continue;
		parent.append(text.slice(at, from));
		const node = wrap(entity, text.slice(from, to), context);
		fill(node, text, from, to, entities, context);
		parent.append(node);
		at = to;
	}
	parent.append(text.slice(at, end));
}

export function render(parent, text, entities, context) {
	const sorted = [...(entities ?? [])].sort((a, b) => a.offset - b.offset || b.length - a.length);
	parent.replaceChildren();
	fill(parent, text, 0, text.length, sorted, context);
}
