#include "shoal/bots/ladder.h"

#include "shoal/base/arena.h"
#include "shoal/bots/ladder_parts.h"

#define HELP "<b>The ladder</b>: one against one, by rating."

static void decide_help(const struct update *u, const struct facts *f, struct decision *d)
{
	const char *out = HELP;

	(void)f;
	for (size_t i = 0; i < bot_ladder.ncommands; i++) {
		const struct command *c = &bot_ladder.commands[i];

		if (c->about)
			out = arena_printf(d->arena, "%s\n/%s – %s", out, c->word, text_escape(d->arena, c->about));
	}
	decision_answer(d, u->token, out);
}

/* ---- what is filled in */

#define FIELDS(array) .nfields = sizeof(array) / sizeof((array)[0]), .fields = (array)

static const struct form_field setup_fields[] = {
    {.name = "name",
     .label = "Your name on the ladder",
     .required = true,
     .min = LADDER_NAME_MIN,
     .max = LADDER_NAME_MAX},
    {.name = "country", .label = "Your country", .required = true, .min = 2, .max = LADDER_PLACE_MAX},
    {.name = "region", .label = "Where you play from", .required = true, .max = LADDER_PLACE_MAX, .table = "regions"},
};
static const struct form setup_form = {.verb = LADDER_SETUP, .title = "Who are you?", FIELDS(setup_fields)};

static const struct form_field country_fields[] = {
    {.name = "country", .label = "Your country", .required = true, .max = LADDER_PLACE_MAX, .table = "countries"}};

static const struct form_field profile_fields[] = {
    {.name = "player", .label = "Whose: a name, a mention or an id; yours if left out", .max = LADDER_PLACE_MAX}};

static const struct form_field board_fields[] = {
    {.name = "race", .label = "Of one race only", .max = LADDER_PLACE_MAX, .table = "races"},
    {.name = "region", .label = "Of one region only", .max = LADDER_PLACE_MAX, .table = "regions"},
    {.name = "country", .label = "Of one country only", .max = LADDER_PLACE_MAX, .table = "countries"},
};

static const struct form_field queue_fields[] = {
    {.name = "races",
     .label = "What you play, one or several; as last time if left out",
     .table = "races",
     .several = true},
    {.name = "vetoes",
     .label = "Maps that you will not play; as last time if left out, or none",
     .table = "maps",
     .several = true},
};

static const struct choice results[] = {{"I won", "won"}, {"I lost", "lost"}, {"A draw", "draw"}};
static const struct form_field report_fields[] = {{.name = "result",
                                                   .label = "How your match ended",
                                                   .required = true,
                                                   .nchoices = sizeof(results) / sizeof(results[0]),
                                                   .choices = results}};

/* ---- the table */

/* A command of the menu. */
#define ON_SLASH(command, ...)                                                                                         \
	{                                                                                                              \
		.name = command, .kinds = UPDATE_SLASH, .word = command, __VA_ARGS__                                   \
	}

#define BOARD                                                                                                          \
	.needs = NEED_BOARD, .board = ladder_board_key, .load = "ladder_ranks", .ask = ladder_ask_ranks,               \
	.decide = ladder_board

static const struct command commands[] = {
    ON_SLASH("help", .about = "What the ladder can do", .first = FIRST_PRIVATE, .decide = decide_help),
    ON_SLASH("termsofservice", .about = "Read and accept the terms of service", .first = FIRST_PRIVATE,
             .needs = NEED_PLAYER, .decide = ladder_terms),
    {.name = "accept", .kinds = UPDATE_PRESS, .word = LADDER_ACCEPT, .needs = NEED_PLAYER, .decide = ladder_accept},
    ON_SLASH("setup", .about = "Tell your name, country and region", .first = FIRST_FORM, .form = &setup_form),
    {.name = "setup_done",
     .kinds = UPDATE_FORM,
     .word = LADDER_SETUP,
     .first = FIRST_PRIVATE,
     .needs = NEED_PLAYER,
     .decide = ladder_setup},
    ON_SLASH("setcountry", .about = "Change your country", FIELDS(country_fields), .first = FIRST_PRIVATE,
             .needs = NEED_PLAYER, .decide = ladder_country),
    ON_SLASH("profile", .about = "A player's ratings", FIELDS(profile_fields), .first = FIRST_PRIVATE,
             .needs = NEED_PLAYER, .load = "ladder_profile", .ask = ladder_ask_profile, .decide = ladder_profile),
    ON_SLASH("leaderboard", .about = "The best, of all or of a race, region or country", FIELDS(board_fields),
             .first = FIRST_PRIVATE, BOARD),
    ON_SLASH("queue", .about = "Wait for an opponent", FIELDS(queue_fields), .first = FIRST_PRIVATE,
             .needs = NEED_PLAYER | NEED_LINE, .load = "ladder_queue_load", .ask = ladder_ask_player,
             .decide = ladder_queue),
    ON_SLASH("leave", .about = "Wait no longer", .first = FIRST_PRIVATE, .needs = NEED_LEAVE, .decide = ladder_leave),
    ON_SLASH("report", .about = "Tell how your match ended", FIELDS(report_fields), .first = FIRST_PRIVATE,
             .needs = NEED_PLAYER, .load = "ladder_report_load", .ask = ladder_ask_player, .decide = ladder_report),
    {.name = "line_over", .kinds = UPDATE_DUE, .word = LADDER_OVER, .decide = ladder_over},
    {.name = "match",
     .kinds = UPDATE_DUE,
     .word = LADDER_MATCH,
     .load = "ladder_match_load",
     .ask = ladder_ask_match,
     .decide = ladder_match},
    {.name = "due_resolved",
     .kinds = UPDATE_DUE,
     .word = LADDER_DUE_RESOLVED,
     .load = "ladder_resolved_load",
     .ask = ladder_ask_resolved,
     .decide = ladder_resolved},
    {.name = "press_board", .kinds = UPDATE_PRESS, .word = LADDER_BOARD, BOARD},
};

const struct bot bot_ladder = {
    .name = "ladder",
    .platform = PLATFORM_DISCORD,
    .ncommands = sizeof(commands) / sizeof(commands[0]),
    .commands = commands,
};
