#include "shoal/worker/courtesy.h"

#include <string.h>

#include "shoal/base/clock.h"

/* What is said for every bot alike. */
enum courtesy_text { TOO_FAST, NO_SUCH_THING, SORRY, COURTESY_TEXTS };

/* The first one for all whose language is not here. */
static const struct {
	const char *tag;
	const char *texts[COURTESY_TEXTS];
} languages[] = {
    {"en",
     {[TOO_FAST] = "You are faster than I can follow. Please wait a little.",
      [NO_SUCH_THING] = "I do not know this command any more.",
      [SORRY] = "Something went wrong here, and this may not be done. It is noted for those who look after me. "
                "Please look before you try again."}},
    {"de",
     {[TOO_FAST] = "Du bist schneller, als ich folgen kann. Bitte warte ein wenig.",
      [NO_SUCH_THING] = "Diesen Befehl kenne ich nicht mehr.",
      [SORRY] =
          "Hier ist etwas schiefgegangen, und es ist vielleicht nicht geschehen. Wer sich um mich kümmert, erfährt "
          "davon. Bitte sieh nach, bevor du es noch einmal versuchst."}},
};

static const char *text_of(const struct update *u, enum courtesy_text text)
{
	for (size_t i = 0; i < sizeof(languages) / sizeof(languages[0]); i++) {
		if (text_is_language(u->from.language_code, languages[i].tag))
			return languages[i].texts[text];
	}
	return languages[0].texts[text];
}

/* The gateway has promised an answer. A press was promised none: its message stands there all the time. */
static bool promised(const struct platform *p, const struct update *u)
{
	return p->dismiss && u->token && (u->kind == UPDATE_SLASH || u->kind == UPDATE_FORM);
}

static void say(struct decision *d, const struct update *u, const char *text)
{
	if (u->token && u->kind == UPDATE_PRESS) /* its answer would take the message's place */
		decision_more(d, u->token, text, true);
	else if (u->token)
		decision_answer(d, u->token, text);
	else if (u->chat_id)
		decision_send(d, u->chat_id, text);
}

void courtesy_decide(struct job *j)
{
	decision_init(&j->decision, &j->arena);
	if (j->outcome == JOB_THROTTLED && j->notice)
		say(&j->decision, &j->update, text_of(&j->update, TOO_FAST));
	/* The gateway says so itself, but one of another version may know the command. */
	else if (!j->command && promised(j->platform, &j->update))
		say(&j->decision, &j->update, text_of(&j->update, NO_SUCH_THING));
}

void courtesy_dismiss(struct job *j)
{
	const struct update *u = &j->update;

	if (!promised(j->platform, u))
		return;
	for (const struct reply *r = j->decision.replies; r; r = r->next)
		if (r->token && strcmp(r->token, u->token) == 0)
			return;
	j->platform->dismiss(u->token, &j->effects.calls[j->effects.ncalls++]);
}

bool courtesy_sorry(const struct platform *p, const struct update *u, struct arena *a, struct call *out)
{
	struct decision d;
	const char *why;

	if (!p->dismiss || !u->token || clock_wall_ms() - u->received_ms > p->token_life_ms ||
	    !(u->kind & (UPDATE_SLASH | UPDATE_FORM | UPDATE_PRESS)))
		return false;
	decision_init(&d, a);
	say(&d, u, text_of(u, SORRY));
	return d.replies && p->encode(d.replies, "", a, out, &why) == ERR_OK;
}
