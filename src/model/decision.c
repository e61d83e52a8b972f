#include "shoal/model/decision.h"

#include <stdarg.h>
#include <string.h>

enum { MESSAGE_UNITS = 4096, CALLBACK_BYTES = 64 };

void decision_init(struct decision *d, struct arena *a)
{
	*d = (struct decision){.arena = a, .params.arena = a};
	d->last = &d->replies;
	d->last_errand = &d->errands;
}

void decision_ignore(struct decision *d)
{
	d->outcome = OUTCOME_IGNORED;
}

/* The first failure is the one that is told. */
static void fail(struct decision *d, enum err err, const char *why)
{
	if (d->failed)
		return;
	d->failed = err;
	d->why = why;
}

void decision_fail(struct decision *d, const char *why)
{
	fail(d, ERR_INTERNAL, why);
}

struct params *decision_commit(struct decision *d, const char *statement)
{
	ENSURE(!d->commit);
	d->commit = statement;
	return &d->params;
}

void decision_errand(struct decision *d, const char *what, ...)
{
	struct errand *o = arena_new(d->arena, struct errand);
	const char *word;
	va_list ap;

	*o = (struct errand){.what = what};
	va_start(ap, what);
	while ((word = va_arg(ap, const char *)) && o->n < ERRAND_WORDS)
		o->words[o->n++] = word;
	va_end(ap);
	if (word)
		fail(d, ERR_INTERNAL, "an errand with too many words");
	*d->last_errand = o;
	d->last_errand = &o->next;
}

void decision_invalidate(struct decision *d, const char *cache, const char *key)
{
	decision_errand(d, "forget", cache, key, NULL);
}

static struct reply *add_reply(struct decision *d, enum reply_kind kind, int64_t chat_id, int64_t message_id)
{
	struct reply *r = arena_new(d->arena, struct reply);

	*r = (struct reply){.kind = kind, .chat_id = chat_id, .group = chat_id < 0, .message_id = message_id};
	*d->last = r;
	d->last = &r->next;
	return r;
}

static struct reply *add_to_chat(struct decision *d, enum reply_kind kind, int64_t chat_id, int64_t message_id)
{
	struct reply *r = add_reply(d, kind, chat_id, message_id);

	if (chat_id == 0)
		fail(d, ERR_INTERNAL, "a reply without a chat");
	if (kind != REPLY_SEND && message_id == 0)
		fail(d, ERR_INTERNAL, "an edit without a message");
	return r;
}

static struct reply *add_by_token(struct decision *d, enum reply_kind kind, const char *token)
{
	struct reply *r = add_reply(d, kind, 0, 0);

	r->token = token;
	if (!token || !*token)
		fail(d, ERR_INTERNAL, "an answer without a token");
	return r;
}

static struct reply *add_text(struct decision *d, struct reply *r, const char *html)
{
	r->html = html;
	if (text_blank(html))
		fail(d, ERR_INTERNAL, "an empty message");
	else if (text_html_units(html) > MESSAGE_UNITS)
		fail(d, ERR_TOO_LONG, "a message over 4096 characters");
	return r;
}

struct reply *decision_send(struct decision *d, int64_t chat_id, const char *html)
{
	return add_text(d, add_to_chat(d, REPLY_SEND, chat_id, 0), html);
}

void reply_mention(struct reply *r, int64_t person)
{
	r->mention = person;
}

struct reply *decision_edit(struct decision *d, int64_t chat_id, int64_t message_id, const char *html)
{
	return add_text(d, add_to_chat(d, REPLY_EDIT, chat_id, message_id), html);
}

struct reply *decision_disarm(struct decision *d, int64_t chat_id, int64_t message_id)
{
	return add_to_chat(d, REPLY_DISARM, chat_id, message_id);
}

struct reply *decision_answer(struct decision *d, const char *token, const char *html)
{
	return add_text(d, add_by_token(d, REPLY_ANSWER, token), html);
}

struct reply *decision_more(struct decision *d, const char *token, const char *html, bool hidden)
{
	struct reply *r = add_text(d, add_by_token(d, REPLY_MORE, token), html);

	r->hidden = hidden;
	return r;
}

void reply_elsewhere(struct reply *r, int64_t chat_id, int64_t person)
{
	r->chat_id = chat_id;
	r->mention = person;
}

void reply_row(struct decision *d, struct reply *r)
{
	struct button_row *rows = arena_array(d->arena, struct button_row, r->nrows + 1);

	if (r->nrows)
		memcpy(rows, r->rows, r->nrows * sizeof(*rows));
	r->rows = rows;
	r->nrows++;
}

static void add_button(struct decision *d, struct reply *r, struct button b)
{
	struct button_row *row;
	struct button *buttons;

	if (r->nrows == 0)
		reply_row(d, r);
	row = &r->rows[r->nrows - 1];
	buttons = arena_array(d->arena, struct button, row->n + 1);
	if (row->n)
		memcpy(buttons, row->buttons, row->n * sizeof(*buttons));
	buttons[row->n++] = b;
	row->buttons = buttons;
	if (text_blank(b.label))
		fail(d, ERR_INTERNAL, "a button without a label");
}

/* A colon in a part would be read as a border when the press comes back. */
static bool part_sound(const char *part)
{
	return part && *part && !strchr(part, ':');
}

void reply_button(struct decision *d, struct reply *r, const char *label, const char *mark, const char *verb, ...)
{
	const char *data = verb, *arg;
	bool sound = part_sound(verb) && part_sound(mark);
	va_list ap;

	va_start(ap, verb);
	while ((arg = va_arg(ap, const char *))) {
		sound = sound && part_sound(arg);
		data = arena_printf(d->arena, "%s:%s", data, arg);
	}
	va_end(ap);
	data = arena_printf(d->arena, "%s:%s", data, mark ? mark : "");
	if (!sound)
		fail(d, ERR_INTERNAL, "callback data with an empty part or a colon in one");
	else if (strlen(data) > CALLBACK_BYTES)
		fail(d, ERR_TOO_LONG, "callback data over 64 bytes");
	add_button(d, r, (struct button){.label = label, .data = data});
}

void reply_style(struct decision *d, struct reply *r, enum button_style style, bool off)
{
	struct button_row *row = r->nrows ? &r->rows[r->nrows - 1] : NULL;

	if (!row || row->n == 0) {
		fail(d, ERR_INTERNAL, "a style without a button");
		return;
	}
	row->buttons[row->n - 1].style = style;
	row->buttons[row->n - 1].off = off;
}

void reply_link(struct decision *d, struct reply *r, const char *label, const char *url)
{
	if (text_blank(url))
		fail(d, ERR_INTERNAL, "a link without a URL");
	add_button(d, r, (struct button){.label = label, .url = url});
}
