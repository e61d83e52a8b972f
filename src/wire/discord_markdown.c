/* The markup of replies (a few HTML tags, all other text plain) as Discord's Markdown. What is no tag can never become
 * markup, a mention or a link, whoever wrote it. */
#include <string.h>

#include "shoal/wire/discord.h"

#define DEPTH_MAX 16

enum tag_kind { TAG_PLAIN, TAG_CODE, TAG_LINK, TAG_QUOTE };

static const struct tag {
	const char *name;
	enum tag_kind kind;
	const char *open, *close;
} tags[] = {
    {"b", TAG_PLAIN, "**", "**"},        {"strong", TAG_PLAIN, "**", "**"}, {"i", TAG_PLAIN, "*", "*"},
    {"em", TAG_PLAIN, "*", "*"},         {"u", TAG_PLAIN, "__", "__"},      {"ins", TAG_PLAIN, "__", "__"},
    {"s", TAG_PLAIN, "~~", "~~"},        {"del", TAG_PLAIN, "~~", "~~"},    {"code", TAG_CODE, "`", "`"},
    {"pre", TAG_CODE, "```\n", "\n```"}, {"a", TAG_LINK, "[", ""},          {"tg-spoiler", TAG_PLAIN, "||", "||"},
    {"blockquote", TAG_QUOTE, "", ""},
};

struct writer {
	const char *p, *end;
	struct buf *out;
	unsigned depth;
	const struct tag *open[DEPTH_MAX];
	struct span link; /* of the open <a> */
	unsigned code;    /* how many tags of code are open */
	bool quote;
	enum { LINE_START, LINE_DIGITS, LINE_INSIDE } line; /* nothing but blanks so far; then digits; more */
	const char *why;
};

static const struct tag *tag_find(struct span name)
{
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		if (span_is(name, tags[i].name))
			return &tags[i];
	}
	return NULL;
}

/* href="URL" of an <a>: the web alone, and nothing that could end the link. */
static bool read_link(struct writer *w, struct span rest)
{
	static const char attribute[] = " href=\"";
	struct span url;

	if (!span_starts(rest, attribute) || rest.len < sizeof(attribute) || rest.ptr[rest.len - 1] != '"')
		return false;
	url = (struct span){rest.ptr + sizeof(attribute) - 1, rest.len - sizeof(attribute)};
	if (!span_starts(url, "https://") && !span_starts(url, "http://"))
		return false;
	for (size_t i = 0; i < url.len; i++) {
		if ((unsigned char)url.ptr[i] <= ' ' || strchr("<>\"\\`", url.ptr[i]))
			return false;
	}
	w->link = url;
	return true;
}

static void tag_open(struct writer *w, const struct tag *t, struct span rest)
{
	if (w->depth == DEPTH_MAX) {
		w->why = "tags are nested too deep";
	} else if (t->kind == TAG_LINK ? !read_link(w, rest) : rest.len > 0) {
		w->why = "a tag has an attribute, or a link an address, that cannot be";
	} else {
		w->open[w->depth++] = t;
		if (w->code == 0)
			buf_adds(w->out, t->kind == TAG_QUOTE ? "> " : t->open);
		w->code += t->kind == TAG_CODE;
		w->quote = w->quote || t->kind == TAG_QUOTE;
		w->line = w->code ? LINE_INSIDE : w->line;
	}
}

static void tag_close(struct writer *w, const struct tag *t)
{
	if (w->depth == 0 || w->open[w->depth - 1] != t) {
		w->why = "a tag is closed that is not the one open";
		return;
	}
	w->depth--;
	w->code -= t->kind == TAG_CODE;
	if (w->code > 0)
		return;
	buf_adds(w->out, t->close);
	if (t->kind == TAG_LINK)
		buf_addf(w->out, "](<%.*s>)", (int)w->link.len, w->link.ptr);
	w->quote = w->quote && t->kind != TAG_QUOTE;
}

static void read_tag(struct writer *w)
{
	const char *stop = memchr(w->p, '>', (size_t)(w->end - w->p));
	bool closing = w->p + 1 < w->end && w->p[1] == '/';
	const char *name = w->p + 1 + closing;
	const struct tag *t = NULL;
	size_t n = 0;

	if (stop) {
		while (name + n < stop && name[n] != ' ')
			n++;
		t = tag_find((struct span){name, n});
	}
	if (!t) {
		w->why = "a tag that is not known, or a '<' that is not escaped";
		return;
	}
	if (closing)
		tag_close(w, t);
	else
		tag_open(w, t, (struct span){name + n, (size_t)(stop - name) - n});
	w->p = stop + 1;
}

/* The character that the entity at w->p stands for; a plain '&' where it is none. Steps over it. */
static char read_entity(struct writer *w)
{
	static const struct {
		const char *name;
		char c;
	} named[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}};

	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		size_t n = strlen(named[i].name);

		if ((size_t)(w->end - w->p) >= n && memcmp(w->p, named[i].name, n) == 0) {
			w->p += n;
			return named[i].c;
		}
	}
	w->p++;
	return '&';
}

/* Whether c, written as it is, would be read as markup here. */
static bool is_markup(const struct writer *w, char c)
{
	if (strchr("\\*_~`|[]<", c))
		return true;
	if (c == ':') /* http:// becomes a link by itself */
		return w->end - w->p >= 2 && w->p[0] == '/' && w->p[1] == '/';
	if (w->line == LINE_DIGITS) /* "1." begins a list */
		return c == '.' || c == ')';
	return w->line == LINE_START && strchr("#>-+", c);
}

/* w->p is behind c. */
static void put_text(struct writer *w, char c)
{
	if (is_markup(w, c))
		buf_addc(w->out, '\\');
	buf_addc(w->out, c);
	if (c == '@') /* @everyone, @here: nobody is told, and it shall not look as if */
		buf_adds(w->out, "\xe2\x80\x8b");
	if (c == '\n')
		w->line = LINE_START;
	else if (w->line != LINE_INSIDE && c >= '0' && c <= '9')
		w->line = LINE_DIGITS;
	else if (w->line != LINE_START || c != ' ')
		w->line = LINE_INSIDE;
	if (c == '\n' && w->quote)
		buf_adds(w->out, "> ");
}

/* Nothing can be escaped there: what would end it becomes what looks like it. */
static void put_code(struct writer *w, char c)
{
	if (c == '`')
		buf_adds(w->out, "\xcb\x8b"); /* U+02CB */
	else
		buf_addc(w->out, c);
}

bool discord_markdown(const char *html, struct buf *out, const char **why)
{
	struct span text = span_of(html);
	struct writer w = {.p = text.ptr, .end = text.ptr + text.len, .out = out};

	if (!utf8_valid(text))
		w.why = "the text is not UTF-8";
	while (w.p < w.end && !w.why) {
		if (*w.p == '<') {
			read_tag(&w);
		} else {
			char c = *w.p == '&' ? read_entity(&w) : *w.p++;

			(w.code ? put_code : put_text)(&w, c);
		}
	}
	if (!w.why && w.depth > 0)
		w.why = "a tag is not closed";
	*why = w.why;
	return !w.why;
}
