#include "shoal/bots/persona.h"

#include <string.h>

#include "shoal/base/arena.h"
#include "shoal/bots/common.h"

#define BOT "persona"
#define YES "y"
#define NO "n"
#define NO_CODE "-"

enum { MESSAGE_UNITS = 4096, NAME_UNITS = 64, CODE_MAX = 64 };

enum text {
	TEXT_AGE,
	TEXT_AGE_NAMED,
	TEXT_YES,
	TEXT_NO,
	TEXT_TOO_YOUNG,
	TEXT_SAID_YES_BEFORE,
	TEXT_GREETING,
	TEXT_WELCOME_BACK,
	TEXT_SPEECHLESS,
	TEXT_NOBODY,
	TEXT_SUSPENDED,
	TEXT_HELP,
	TEXT_STOPPED,
	TEXT_NOTHING_OPEN,
	TEXT_UNKNOWN_COMMAND,
	TEXT_PRIVATE_ONLY,
};

/* All that this bot says by itself, as HTML; TEXT_SPEECHLESS is said by personas and has no markup. */
static const char *const texts[] = {
    [TEXT_AGE] = "Hello! The characters here are made for adults, so one question first: are you 18 or older?",
    [TEXT_AGE_NAMED] =
        "Hello, %s! The characters here are made for adults, so one question first: are you 18 or older?",
    [TEXT_YES] = "Yes, I am",
    [TEXT_NO] = "No, not yet",
    [TEXT_TOO_YOUNG] = "Thank you for being honest. This place is for adults; when your time has come, /start brings "
                       "you back.",
    [TEXT_SAID_YES_BEFORE] = "You have told us before that you are old enough, so nothing changes. Just write, or see "
                             "/help.",
    [TEXT_GREETING] = "This is <b>%s</b>. Say hello!",
    [TEXT_WELCOME_BACK] = "Welcome back! <b>%s</b> is glad to see you again.",
    [TEXT_SPEECHLESS] = "I am listening. Tell me more.",
    [TEXT_NOBODY] = "Nobody is here to talk right now. Please come back a little later.",
    [TEXT_SUSPENDED] =
        "Your account is suspended, so we cannot go on here. If you think that this is a mistake, please "
        "contact support.",
    [TEXT_HELP] = "Write whatever you like, and whoever you are talking to will answer.\n\n"
                  "/start – begin, or come back\n"
                  "/stop – leave the conversation; your account stays\n"
                  "/help – this text",
    [TEXT_STOPPED] = "You have left the conversation. Your account stays, and /start brings you back.",
    [TEXT_NOTHING_OPEN] = "There is no conversation to leave. /start begins one.",
    [TEXT_UNKNOWN_COMMAND] = "I do not know that command. /help shows those that I do.",
    [TEXT_PRIVATE_ONLY] = "I only talk in private chats. Write to me directly, and we can begin.",
};

enum code_state { CODE_NONE, CODE_GOOD, CODE_UNKNOWN, CODE_INACTIVE, CODE_EXPIRED, CODE_USED_UP, CODE_AWAY };

/* What is said about a start code that does not open anything. */
static const char *const code_notes[] = {
    [CODE_NONE] = "",
    [CODE_GOOD] = "",
    [CODE_UNKNOWN] = "That link does not lead anywhere; perhaps a letter got lost.",
    [CODE_INACTIVE] = "That link is switched off at the moment.",
    [CODE_EXPIRED] = "That link has run out.",
    [CODE_USED_UP] = "That link was so popular that all of its places are taken.",
    [CODE_AWAY] = "Whoever that link leads to is away at the moment.",
};

/* Whom a person talks to. persona NULL: there is nobody. chat NULL: their chat is yet to be made. */
struct target {
	const struct fact_persona *persona;
	const struct fact_chat *chat;
};

static bool usable(const struct fact_persona *p)
{
	return p->found && p->active;
}

static struct target target_of(const struct fact_persona *p, const struct fact_chat *c)
{
	return (struct target){.persona = p, .chat = c->found ? c : NULL};
}

static struct target default_target(const struct facts *f)
{
	return usable(&f->fallback) ? target_of(&f->fallback, &f->fallback_chat) : (struct target){0};
}

/* The persona of the chat opened last, else the default one. */
static struct target present_target(const struct facts *f)
{
	if (f->chat.found && usable(&f->persona) && f->persona.id == f->chat.persona_id)
		return target_of(&f->persona, &f->chat);
	return default_target(f);
}

static struct target start_target(const struct facts *f, enum code_state state)
{
	if (state != CODE_GOOD)
		return present_target(f);
	return f->code.persona_id ? target_of(&f->code_persona, &f->code_chat) : default_target(f);
}

static bool conflict_is(const struct facts *f, const char *reason)
{
	return f->conflict && strcmp(f->conflict, reason) == 0;
}

/* Only the first code of a person is used up by them, so only then its limit matters. */
static enum code_state judge_code(const struct facts *f, bool named, bool has_source)
{
	const struct fact_code *c = &f->code;

	if (!named)
		return CODE_NONE;
	if (!c->found || conflict_is(f, CONFLICT_CODE_GONE))
		return CODE_UNKNOWN;
	if (!c->active)
		return CODE_INACTIVE;
	if (c->expires_ms && c->expires_ms <= f->now_ms)
		return CODE_EXPIRED;
	if (!has_source && (c->full || conflict_is(f, CONFLICT_USED_UP)))
		return CODE_USED_UP;
	if (c->persona_id ? !usable(&f->code_persona) : !usable(&f->fallback))
		return CODE_AWAY;
	return CODE_GOOD;
}

static bool code_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static const char *typed_code(const struct update *u, struct arena *a)
{
	size_t n = 0;

	(void)a;
	while (code_char(u->payload[n]))
		n++;
	return n > 0 && n <= CODE_MAX && !u->payload[n] ? u->payload : NULL;
}

static bool pressed_named_code(const struct update *u)
{
	return u->nargs > 0 && strcmp(u->args[0], NO_CODE) != 0;
}

static const char *pressed_code(const struct update *u, struct arena *a)
{
	int64_t id;

	if (!pressed_named_code(u) || !span_i64(span_of(u->args[0]), &id) || id <= 0)
		return NULL;
	return arena_printf(a, "#%lld", (long long)id);
}

/* Those with whom chats are looked for. */
static void params_personas(struct params *p, const struct facts *f)
{
	params_id(p, f->code_persona.found ? f->code_persona.id : 0);
	params_id(p, f->fallback.found ? f->fallback.id : 0);
}

static void ask_person(const struct update *u, const struct facts *f, struct params *p)
{
	params_i64(p, common_person_id(u));
	params_text(p, BOT);
	params_personas(p, f);
}

static void ask_group(const struct update *u, const struct facts *f, struct params *p)
{
	(void)f;
	common_ask_group(BOT, u, p);
}

static struct params *commit_of_person(const struct update *u, struct decision *d, const char *statement)
{
	d->own_rows = true;
	return common_commit(BOT, u, d, statement);
}

static void params_source(struct decision *d, const struct facts *f, bool becomes_source)
{
	struct params *p = &d->params;

	if (becomes_source && f->code.limited) /* its uses are counted under a lock of its row */
		d->own_rows = false;
	params_text(p, becomes_source ? f->code.code : NULL);
	params_id(p, becomes_source ? f->code.id : 0);
}

static void note_unblocked(const struct update *u, const struct facts *f, struct decision *d)
{
	common_note_unblocked(BOT, u, f, d);
}

static const char *with_name(struct arena *a, const char *html, const char *name)
{
	return arena_printf(a, html, text_escape(a, text_fit(a, name, NAME_UNITS)));
}

/* Puts a note before a text that is shorter than a message by more than any note. */
static const char *after_note(struct arena *a, const char *note, const char *html)
{
	return note[0] ? arena_printf(a, "%s\n\n%s", note, html) : html;
}

static const char *persona_name(const struct fact_persona *p)
{
	return text_blank(p->name) ? p->key : p->name;
}

static bool refuse_suspended(const struct update *u, const struct facts *f, struct decision *d)
{
	if (f->user.suspended)
		decision_send(d, u->chat_id, texts[TEXT_SUSPENDED]);
	return f->user.suspended;
}

static void ask_age(const struct update *u, const struct facts *f, struct decision *d, enum code_state state)
{
	const char *html = texts[TEXT_AGE], *code = NO_CODE;
	struct reply *question;

	commit_of_person(u, d, "persona_ask");
	params_source(d, f, state == CODE_GOOD && !f->user.source);
	if (!text_blank(u->from.first_name))
		html = with_name(d->arena, texts[TEXT_AGE_NAMED], u->from.first_name);
	if (state == CODE_GOOD)
		code = arena_i64(d->arena, f->code.id);
	question = decision_send(d, u->chat_id, after_note(d->arena, code_notes[state], html));
	reply_button(d, question, texts[TEXT_YES], f->mark, YES, code, NULL);
	reply_button(d, question, texts[TEXT_NO], f->mark, NO, code, NULL);
}

/* Persona's words are plain text: cut first, then escaped, so that no entity is cut. */
static const char *greeting(struct arena *a, const struct target *t, const char *note)
{
	size_t room = MESSAGE_UNITS - (note[0] ? text_html_units(note) + 2 : 0);

	if (t->chat)
		return with_name(a, texts[TEXT_WELCOME_BACK], persona_name(t->persona));
	if (text_blank(t->persona->greeting))
		return with_name(a, texts[TEXT_GREETING], persona_name(t->persona));
	return text_escape(a, text_fit(a, t->persona->greeting, room));
}

/* For a person whose age is confirmed, or is by this. */
static void open_chat(const struct update *u, const struct facts *f, struct decision *d, enum code_state state,
                      bool becomes_source)
{
	struct target t = start_target(f, state);
	struct params *p = commit_of_person(u, d, "persona_open");
	const char *html = texts[TEXT_NOBODY], *note = code_notes[state];

	params_source(d, f, becomes_source);
	params_bool(p, !f->user.age_verified);
	params_id(p, t.persona ? t.persona->id : 0);
	params_id(p, t.chat ? t.chat->id : 0);
	if (t.persona)
		html = greeting(d->arena, &t, note);
	decision_send(d, u->chat_id, after_note(d->arena, note, html));
}

/* Who follows a good link is presumed to be back: of confirmed age, with a source, with a chat there. */
static bool presume_return(const struct update *u, const struct facts *f)
{
	enum code_state state = judge_code(f, u->payload[0] != '\0', true);

	return state == CODE_GOOD && start_target(f, state).persona;
}

static void return_to(const struct fact_persona *persona, const struct update *u, const struct facts *f,
                      struct decision *d)
{
	static const struct fact_chat some_chat = {.found = true};
	const struct target t = {.persona = persona, .chat = &some_chat};
	struct params *p = commit_of_person(u, d, "persona_return");

	params_i64(p, persona->id);
	params_personas(p, f);
	decision_send(d, u->chat_id, greeting(d->arena, &t, code_notes[CODE_GOOD]));
}

static void decide_start(const struct update *u, const struct facts *f, struct decision *d)
{
	enum code_state state = judge_code(f, u->payload[0] != '\0', f->presumed || f->user.source);
	struct target t = start_target(f, state);

	if (f->presumed && t.persona) {
		return_to(t.persona, u, f, d);
		return;
	}
	if (refuse_suspended(u, f, d))
		return;
	if (f->user.age_verified)
		open_chat(u, f, d, state, state == CODE_GOOD && !f->user.source);
	else
		ask_age(u, f, d, state);
}

static void disarm(const struct update *u, struct decision *d)
{
	if (u->message_id)
		decision_disarm(d, u->chat_id, u->message_id);
}

static void decide_age_yes(const struct update *u, const struct facts *f, struct decision *d)
{
	enum code_state state = judge_code(f, pressed_named_code(u), f->user.source != NULL);

	if (refuse_suspended(u, f, d))
		return;
	/* Uses are counted at /start; whoever has none there gets no way around the limit here. */
	if (state == CODE_GOOD && f->code.limited && !f->user.source)
		state = CODE_USED_UP;
	disarm(u, d);
	open_chat(u, f, d, state, false);
}

static void decide_age_no(const struct update *u, const struct facts *f, struct decision *d)
{
	if (refuse_suspended(u, f, d))
		return;
	note_unblocked(u, f, d);
	disarm(u, d);
	decision_send(d, u->chat_id, texts[f->user.age_verified ? TEXT_SAID_YES_BEFORE : TEXT_TOO_YOUNG]);
}

/* The responder was asked, or will be, as the persona whose turn it is. */
static bool wants_answer(const struct update *u, const struct facts *f)
{
	struct target t = present_target(f);

	(void)u;
	return f->user.age_verified && !f->user.suspended && t.persona && f->persona.found &&
	       t.persona->id == f->persona.id;
}

static const char *next_reply(const struct target *t)
{
	const struct fact_persona *p = t->persona;
	size_t turn = t->chat && t->chat->turns > 0 ? (size_t)t->chat->turns : 0;
	const char *reply = p->nreplies ? p->replies[turn % p->nreplies] : NULL;

	return text_blank(reply) ? texts[TEXT_SPEECHLESS] : reply;
}

static void answer(const struct update *u, const struct facts *f, struct decision *d, const struct target *t)
{
	const char *words = wants_answer(u, f) && !text_blank(f->answer) ? f->answer : next_reply(t);
	struct params *p = commit_of_person(u, d, "persona_say");

	words = text_fit(d->arena, words, MESSAGE_UNITS);
	params_i64(p, t->persona->id);
	params_id(p, t->chat ? t->chat->id : 0);
	params_i64(p, t->chat ? t->chat->turns : 0);
	params_bool(p, t->chat != &f->chat);
	params_text(p, update_line(u, d->arena));
	params_text(p, words);
	decision_send(d, u->chat_id, text_escape(d->arena, words));
}

static void decide_text(const struct update *u, const struct facts *f, struct decision *d)
{
	struct target t = present_target(f);

	if (refuse_suspended(u, f, d))
		return;
	if (!f->user.age_verified) {
		ask_age(u, f, d, CODE_NONE);
	} else if (t.persona) {
		answer(u, f, d, &t);
	} else {
		note_unblocked(u, f, d);
		decision_send(d, u->chat_id, texts[TEXT_NOBODY]);
	}
}

static void decide_stop(const struct update *u, const struct facts *f, struct decision *d)
{
	if (refuse_suspended(u, f, d))
		return;
	if (f->chat.found)
		params_i64(commit_of_person(u, d, "persona_stop"), f->chat.id);
	else
		note_unblocked(u, f, d);
	decision_send(d, u->chat_id, texts[f->chat.found ? TEXT_STOPPED : TEXT_NOTHING_OPEN]);
}

static void say_and_change_nothing(const struct update *u, const struct facts *f, struct decision *d, enum text text)
{
	if (refuse_suspended(u, f, d))
		return;
	note_unblocked(u, f, d);
	decision_send(d, u->chat_id, texts[text]);
}

static void decide_help(const struct update *u, const struct facts *f, struct decision *d)
{
	say_and_change_nothing(u, f, d, TEXT_HELP);
}

static void decide_unknown_command(const struct update *u, const struct facts *f, struct decision *d)
{
	say_and_change_nothing(u, f, d, TEXT_UNKNOWN_COMMAND);
}

static void decide_group(const struct update *u, const struct facts *f, struct decision *d)
{
	common_tell_group(BOT, texts[TEXT_PRIVATE_ONLY], u, f, d);
}

static void decide_member(const struct update *u, const struct facts *f, struct decision *d)
{
	common_block(BOT, u, f, d);
}

static const struct command commands[] = {
    {.name = "group",
     .kinds = UPDATE_COMMAND | UPDATE_TEXT | UPDATE_MEDIA | UPDATE_SERVICE,
     .chats = CHAT_GROUP,
     .load = "group_load",
     .ask = ask_group,
     .decide = decide_group},
    {.name = "start",
     .kinds = UPDATE_COMMAND,
     .chats = CHAT_PRIVATE,
     .word = "start",
     .about = "Begin, or begin again",
     .needs = NEED_CODE | NEED_PERSONA,
     .code = typed_code,
     .load = "persona_load",
     .ask = ask_person,
     .presume = presume_return,
     .decide = decide_start},
    {.name = "stop",
     .kinds = UPDATE_COMMAND,
     .chats = CHAT_PRIVATE,
     .word = "stop",
     .about = "End this conversation",
     .load = "persona_load",
     .ask = ask_person,
     .decide = decide_stop},
    {.name = "help",
     .kinds = UPDATE_COMMAND,
     .chats = CHAT_PRIVATE,
     .word = "help",
     .about = "What I can do",
     .load = "persona_load",
     .ask = ask_person,
     .decide = decide_help},
    {.name = "unknown_command",
     .kinds = UPDATE_COMMAND,
     .chats = CHAT_PRIVATE,
     .load = "persona_load",
     .ask = ask_person,
     .decide = decide_unknown_command},
    {.name = "age_yes",
     .kinds = UPDATE_PRESS,
     .chats = CHAT_PRIVATE,
     .word = YES,
     .toast = "Thank you!",
     .needs = NEED_CODE | NEED_PERSONA,
     .code = pressed_code,
     .load = "persona_load",
     .ask = ask_person,
     .decide = decide_age_yes},
    {.name = "age_no",
     .kinds = UPDATE_PRESS,
     .chats = CHAT_PRIVATE,
     .word = NO,
     .toast = "",
     .load = "persona_load",
     .ask = ask_person,
     .decide = decide_age_no},
    {.name = "text",
     .kinds = UPDATE_TEXT,
     .chats = CHAT_PRIVATE,
     .needs = NEED_PERSONA | NEED_ANSWER,
     .load = "persona_load",
     .load_history = "persona_load_history",
     .ask = ask_person,
     .wants_answer = wants_answer,
     .decide = decide_text},
    {.name = "media",
     .kinds = UPDATE_MEDIA,
     .chats = CHAT_PRIVATE,
     .needs = NEED_PERSONA | NEED_ANSWER,
     .load = "persona_load",
     .load_history = "persona_load_history",
     .ask = ask_person,
     .wants_answer = wants_answer,
     .decide = decide_text},
    {.name = "member",
     .kinds = UPDATE_MEMBER,
     .chats = CHAT_PRIVATE,
     .load = "persona_load",
     .ask = ask_person,
     .decide = decide_member},
    {.name = "refused", .kinds = UPDATE_REFUSED, .load = "persona_load", .ask = ask_person, .decide = decide_member},
};

const struct bot bot_persona = {
    .name = BOT,
    .platform = PLATFORM_TELEGRAM,
    .ncommands = sizeof(commands) / sizeof(commands[0]),
    .commands = commands,
};
