#include "shoal/bots/escrow.h"

#include <string.h>

#include "shoal/bots/common.h"
#include "shoal/bots/escrow_parts.h"

#define WORKING "⏳" /* at once, until the message itself says it */

/* --- what is to be loaded */

static void ask(const struct update *u, const char *public_id, const char *token, struct params *p)
{
	params_i64(p, common_person_id(u));
	params_text(p, ESCROW);
	params_text(p, public_id);
	params_text(p, token);
}

static void ask_person(const struct update *u, const struct facts *f, struct params *p)
{
	(void)f;
	ask(u, NULL, NULL, p);
}

static void ask_trade(const struct update *u, const struct facts *f, struct params *p)
{
	(void)f;
	ask(u, u->nargs == 1 ? u->args[0] : NULL, NULL, p);
}

static void ask_invitation(const struct update *u, const struct facts *f, struct params *p)
{
	(void)f;
	ask(u, NULL, invitation_token(u->payload), p);
}

/* "trades", "trades:o:ID", "trades:n:ID" */
static void ask_trades(const struct update *u, const struct facts *f, struct params *p)
{
	bool paged = u->kind == UPDATE_PRESS && u->nargs == 2, newer = paged && strcmp(u->args[0], "n") == 0;
	int64_t id;

	(void)f;
	if (!paged || !span_i64(span_of(u->args[1]), &id))
		id = 0;
	params_i64(p, common_person_id(u));
	params_text(p, ESCROW);
	params_id(p, newer ? 0 : id);
	params_id(p, newer ? id : 0);
}

static void ask_group(const struct update *u, const struct facts *f, struct params *p)
{
	(void)f;
	common_ask_group(ESCROW, u, p);
}

/* --- decisions */

static void decide_start(const struct update *u, const struct facts *f, struct decision *d)
{
	struct talk t = talk_of(u, f, d);

	if (u->payload[0])
		invitation_open(&t);
	else if (talk_admits(&t))
		dialogue_end(&t);
}

/* For those who may act here. */
#define DECIDE(name, what)                                                                                             \
	static void name(const struct update *u, const struct facts *f, struct decision *d)                            \
	{                                                                                                              \
		struct talk t = talk_of(u, f, d);                                                                      \
		if (talk_admits(&t))                                                                                   \
			what(&t);                                                                                      \
	}
DECIDE(decide_menu, dialogue_end)
DECIDE(decide_wallet, screen_wallet)
DECIDE(decide_help, screen_help)
DECIDE(decide_trades, screen_trades)
DECIDE(decide_new, dialogue_begin)
DECIDE(decide_text, dialogue_text)
DECIDE(decide_choose, dialogue_choose)
DECIDE(decide_confirm, dialogue_confirm)
DECIDE(decide_show, trade_show)
DECIDE(decide_deed, trade_deed)

static void menu_with(const struct update *u, const struct facts *f, struct decision *d, enum escrow_text note)
{
	struct talk t = talk_of(u, f, d);

	if (!talk_admits(&t))
		return;
	talk_seen(&t);
	screen_menu(&t, say(&t, note));
}

static void decide_unknown_command(const struct update *u, const struct facts *f, struct decision *d)
{
	struct talk t = talk_of(u, f, d);

	if (!f->draft.step)
		menu_with(u, f, d, ESCROW_UNKNOWN_COMMAND);
	else if (talk_admits(&t))
		dialogue_again(&t, say(&t, ESCROW_UNKNOWN_COMMAND));
}

static void decide_unknown_press(const struct update *u, const struct facts *f, struct decision *d)
{
	menu_with(u, f, d, ESCROW_OLD_BUTTON);
}

static void decide_due(const struct update *u, const struct facts *f, struct decision *d)
{
	struct talk t = talk_of(u, f, d);

	trade_due(&t);
}

static void decide_group(const struct update *u, const struct facts *f, struct decision *d)
{
	common_tell_group(ESCROW, escrow_text(escrow_lang_of(u->from.language_code), ESCROW_PRIVATE_ONLY), u, f, d);
}

static void decide_member(const struct update *u, const struct facts *f, struct decision *d)
{
	common_block(ESCROW, u, f, d);
}

/* --- the table */

#define ON_COMMAND(command, ...)                                                                                       \
	{                                                                                                              \
		.name = command, .kinds = UPDATE_COMMAND, .chats = CHAT_PRIVATE, .word = command, __VA_ARGS__          \
	}
/* The name says that it was a button. */
#define ON_PRESS(verb, ...)                                                                                            \
	{                                                                                                              \
		.name = "press_" verb, .kinds = UPDATE_PRESS, .chats = CHAT_PRIVATE, .word = verb, __VA_ARGS__         \
	}
#define WITH_PERSON .load = "escrow_load", .ask = ask_person
#define WITH_TRADE .load = "escrow_load", .ask = ask_trade
#define WITH_TRADES .load = "escrow_load_trades", .ask = ask_trades

static const struct command commands[] = {
    {.name = "group",
     .kinds = UPDATE_COMMAND | UPDATE_TEXT | UPDATE_MEDIA | UPDATE_SERVICE,
     .chats = CHAT_GROUP,
     .load = "group_load",
     .ask = ask_group,
     .decide = decide_group},
    ON_COMMAND("start", .about = "Begin, and see the menu", .load = "escrow_load", .ask = ask_invitation,
               .decide = decide_start),
    ON_COMMAND("menu", .about = "The menu", WITH_PERSON, .decide = decide_menu),
    ON_COMMAND("cancel", .about = "Stop what I am being asked for", WITH_PERSON, .decide = decide_menu),
    ON_COMMAND("wallet", .about = "Your money", WITH_PERSON, .decide = decide_wallet),
    ON_COMMAND("new", .about = "Make a new trade", WITH_PERSON, .decide = decide_new),
    ON_COMMAND("trades", .about = "Your trades", WITH_TRADES, .decide = decide_trades),
    ON_COMMAND("help", .about = "How it works", WITH_PERSON, .decide = decide_help),
    {.name = "unknown_command",
     .kinds = UPDATE_COMMAND,
     .chats = CHAT_PRIVATE,
     WITH_PERSON,
     .decide = decide_unknown_command},
    ON_PRESS("menu", .toast = "", WITH_PERSON, .decide = decide_menu),
    ON_PRESS("stop", .toast = "", WITH_PERSON, .decide = decide_menu),
    ON_PRESS("wallet", .toast = "", WITH_PERSON, .decide = decide_wallet),
    ON_PRESS("new", .toast = "", WITH_PERSON, .decide = decide_new),
    ON_PRESS("trades", .toast = "", WITH_TRADES, .decide = decide_trades),
    ON_PRESS("help", .toast = "", WITH_PERSON, .decide = decide_help),
    ON_PRESS("cur", .toast = "", WITH_PERSON, .decide = decide_choose),
    ON_PRESS("confirm", .toast = WORKING, WITH_PERSON, .decide = decide_confirm),
    ON_PRESS("trade", .toast = "", WITH_TRADE, .decide = decide_show),
    ON_PRESS("accept", .toast = WORKING, WITH_TRADE, .decide = decide_deed),
    ON_PRESS("decline", .toast = WORKING, WITH_TRADE, .decide = decide_deed),
    ON_PRESS("drop", .toast = WORKING, WITH_TRADE, .decide = decide_deed),
    ON_PRESS("release", .toast = WORKING, WITH_TRADE, .decide = decide_deed),
    ON_PRESS("refund", .toast = WORKING, WITH_TRADE, .decide = decide_deed),
    ON_PRESS("dispute", .toast = WORKING, WITH_TRADE, .decide = decide_deed),
    {.name = "unknown_press",
     .kinds = UPDATE_PRESS,
     .chats = CHAT_PRIVATE,
     .toast = "",
     WITH_PERSON,
     .decide = decide_unknown_press},
    {.name = "text", .kinds = UPDATE_TEXT | UPDATE_MEDIA, .chats = CHAT_PRIVATE, WITH_PERSON, .decide = decide_text},
    {.name = "due_expire", .kinds = UPDATE_DUE, .word = ESCROW_DUE_EXPIRE, WITH_TRADE, .decide = decide_due},
    {.name = "due_resolved", .kinds = UPDATE_DUE, .word = ESCROW_DUE_RESOLVED, WITH_TRADE, .decide = decide_due},
    {.name = "member", .kinds = UPDATE_MEMBER, .chats = CHAT_PRIVATE, WITH_PERSON, .decide = decide_member},
    {.name = "refused", .kinds = UPDATE_REFUSED, WITH_PERSON, .decide = decide_member},
};

const struct bot bot_escrow = {
    .name = ESCROW,
    .platform = PLATFORM_TELEGRAM,
    .wants_name = true,
    .ncommands = sizeof(commands) / sizeof(commands[0]),
    .commands = commands,
};
