#include "shoal/bots/common.h"

#include <string.h>

int64_t common_person_id(const struct update *u)
{
	return u->from.id ? u->from.id : u->chat_id;
}

struct params *common_commit(const char *bot, const struct update *u, struct decision *d, const char *statement)
{
	struct params *p = decision_commit(d, statement);

	params_i64(p, u->from.id);
	params_text(p, u->from.first_name);
	params_text(p, u->from.username);
	params_text(p, u->from.language_code);
	params_text(p, bot);
	return p;
}

void common_note_unblocked(const char *bot, const struct update *u, const struct facts *f, struct decision *d)
{
	if (!f->user.known || !f->user.blocked)
		return;
	d->own_rows = true;
	common_commit(bot, u, d, "person_touch");
}

void common_ask_group(const char *bot, const struct update *u, struct params *p)
{
	params_text(p, bot);
	params_i64(p, u->chat_id);
}

/* Of the messages about a group only those by which the bot comes into it; after others it may be gone. */
static bool joined_by(const struct update *u)
{
	static const char *const ways[] = {"new_chat_members", "group_chat_created", "supergroup_chat_created"};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (u->media && strcmp(u->media, ways[i]) == 0)
			return true;
	}
	return false;
}

void common_tell_group(const char *bot, const char *html, const struct update *u, const struct facts *f,
                       struct decision *d)
{
	if (f->conversation_known || (u->kind == UPDATE_SERVICE && !joined_by(u))) {
		decision_ignore(d);
		return;
	}
	common_ask_group(bot, u, decision_commit(d, "group_told"));
	decision_send(d, u->chat_id, html)->group = true;
}

void common_block(const char *bot, const struct update *u, const struct facts *f, struct decision *d)
{
	bool blocked = u->kind == UPDATE_REFUSED || u->blocked;
	struct params *p;

	if (!f->user.known) {
		decision_ignore(d);
		return;
	}
	if (f->user.blocked == blocked)
		return;
	d->own_rows = true;
	p = decision_commit(d, "person_block");
	params_i64(p, common_person_id(u));
	params_text(p, bot);
	params_bool(p, blocked);
}
