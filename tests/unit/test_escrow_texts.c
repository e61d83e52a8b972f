/* links: base model bots wire */
/* What the escrow bot says, in each of its languages: all of it is there, has the same places to be filled, and is HTML
 * that Telegram takes. */
#include "check.h"

#include <stdbool.h>

#include "shoal/bots/escrow_texts.h"
#include "shoal/model/decision.h"
#include "shoal/wire/telegram.h"

static struct arena a;

/* The places of a text, "{amount}{name}", each once and in one order for all languages. */
static const char *places(const char *text)
{
	static const char *const names[] = {"amount", "available", "code",   "currency", "digits", "held",
	                                    "icon",   "id",        "lines",  "link",     "list",   "most",
	                                    "name",   "now",       "status", "terms",    "time"};
	const char *found = "";

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *place = arena_printf(&a, "{%s}", names[i]);

		if (strstr(text, place))
			found = arena_printf(&a, "%s%s", found, place);
	}
	return found;
}

static size_t braces(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '{';
	return n;
}

static void all_is_said_in_all_languages(void)
{
	for (int lang = 0; lang < ESCROW_LANGS; lang++) {
		for (int text = 0; text < ESCROW_TEXTS; text++) {
			const char *said = escrow_text((enum escrow_lang)lang, (enum escrow_text)text);

			if (text_blank(said)) {
				printf("# language %d does not say text %d\n", lang, text);
				check_failed_here++;
				continue;
			}
			CHECK_STR(places(said), places(escrow_text(ESCROW_EN, (enum escrow_text)text)));
			/* no place that no code fills */
			CHECK_INT(braces(said), braces(places(said)));
		}
	}
}

static void all_is_sound_html(void)
{
	for (int lang = 0; lang < ESCROW_LANGS; lang++) {
		for (int text = 0; text < ESCROW_TEXTS; text++) {
			const char *said = escrow_text((enum escrow_lang)lang, (enum escrow_text)text), *why = "";
			size_t units;
			bool blank;

			if (!telegram_html_units(span_of(said), &units, &blank, &why)) {
				printf("# %s: %s\n", said, why);
				check_failed_here++;
			}
			CHECK(units < 1500); /* leaves room for terms and names */
			/* buttons are plain text */
			CHECK(text < ESCROW_B_MENU || !strpbrk(said, "<&"));
		}
	}
}

static void languages_are_chosen_by_their_tag(void)
{
	CHECK_INT(escrow_lang_of("de"), ESCROW_DE);
	CHECK_INT(escrow_lang_of("DE-at"), ESCROW_DE);
	CHECK_INT(escrow_lang_of("de_CH"), ESCROW_DE);
	CHECK_INT(escrow_lang_of("en-GB"), ESCROW_EN);
	CHECK_INT(escrow_lang_of("den"), ESCROW_EN);
	CHECK_INT(escrow_lang_of("d"), ESCROW_EN);
	CHECK_INT(escrow_lang_of("fr"), ESCROW_EN);
	CHECK_INT(escrow_lang_of(""), ESCROW_EN);
	CHECK_INT(escrow_lang_of(NULL), ESCROW_EN);
}

int main(void)
{
	arena_init(&a);
	RUN(all_is_said_in_all_languages);
	RUN(all_is_sound_html);
	RUN(languages_are_chosen_by_their_tag);
	arena_release(&a);
	DONE();
}
