/* links: bots model base */
/* Runs the cases of tests/decisions: what an update and the facts at hand lead to. tests/decisions/README tells how
 * they are written. Links nothing but the bots and what they stand on: whatever reached for a server would not link. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facts_fields.h"
#include "shoal/base/embed.h"
#include "shoal/bots/registry.h"

#define FOLDER "tests/decisions"
enum { LINES_MAX = 400, DEFINITIONS_MAX = 40, REPLIES_MAX = 16 };

struct lines {
	size_t n;
	char *v[LINES_MAX];
};

struct definition {
	const char *name;
	struct lines lines;
};

/* One case while it is read. */
struct testcase {
	const char *file, *title;
	size_t line;
	struct lines given, then;
};

static struct arena memory;  /* of a file */
static struct arena scratch; /* of a case */
static struct definition definitions[DEFINITIONS_MAX];
static size_t ndefinitions;
static unsigned failures, cases;

static _Noreturn void broken(const char *file, size_t line, const char *what, const char *text)
{
	printf("not ok %s\n# %s:%zu: %s: %s\n", file, file, line, what, text);
	exit(1);
}

/* Chance, in the cases: letters of all kinds. */
#define CHANCE                                                                                                         \
	{                                                                                                              \
		0, 1, 9, 10, 17, 31, 32, 255, 64, 5, 0, 25, 26, 51, 52, 61, 62, 63, 64, 255, 128, 1, 2, 3, 4, 5, 6, 7, \
		    8, 9, 10, 11                                                                                       \
	}

static const struct {
	const char *word;
	int value;
} kinds[] = {
    {"command", UPDATE_COMMAND}, {"text", UPDATE_TEXT},     {"media", UPDATE_MEDIA},     {"service", UPDATE_SERVICE},
    {"press", UPDATE_PRESS},     {"member", UPDATE_MEMBER}, {"refused", UPDATE_REFUSED}, {"due", UPDATE_DUE},
    {"other", UPDATE_OTHER},     {"slash", UPDATE_SLASH},   {"form", UPDATE_FORM},       {"suggest", UPDATE_SUGGEST},
    {"private", CHAT_PRIVATE},   {"group", CHAT_GROUP},     {"channel", CHAT_CHANNEL},   {"none", CHAT_NONE}};

static int word_value(const char *word)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].word, word) == 0)
			return kinds[i].value;
	}
	return -1;
}

/* "\n" and "a*5000" (the letter so many times) are what a line cannot hold. */
static const char *text_value(const char *v)
{
	char *out = arena_alloc(&scratch, strlen(v) + 1), *at = out;
	int times;
	char unit[32];

	if (sscanf(v, "%31[^* ]*%d", unit, &times) == 2) {
		out = arena_alloc(&scratch, strlen(unit) * (size_t)times + 1);
		for (int i = 0; i < times; i++)
			memcpy(out + strlen(unit) * (size_t)i, unit, strlen(unit));
		out[strlen(unit) * (size_t)times] = '\0';
		return out;
	}
	for (; *v; v++) {
		if (v[0] == '\\' && v[1] == 'n') {
			*at++ = '\n';
			v++;
		} else {
			*at++ = *v;
		}
	}
	return out;
}

static bool set_field(const struct field *fields, size_t n, char *base, const char *name, const char *v)
{
	for (size_t i = 0; i < n; i++) {
		void *at = base + fields[i].offset;
		int64_t number;

		if (strcmp(fields[i].name, name) != 0)
			continue;
		switch (fields[i].type) {
		case FLAG: *(bool *)at = strcmp(v, "yes") == 0; return *(bool *)at || strcmp(v, "no") == 0;
		case NUMBER:
			if (!span_i64(span_of(v), &number))
				return false;
			*(int64_t *)at = number;
			return true;
		case TEXT: *(const char **)at = strcmp(v, "nothing") == 0 ? NULL : text_value(v); return true;
		}
	}
	return false;
}

/* "one | two | three" */
static void set_replies(struct fact_persona *p, const char *v)
{
	const char **replies = arena_array(&scratch, const char *, REPLIES_MAX);

	p->nreplies = 0;
	p->replies = replies;
	while (*v && p->nreplies < REPLIES_MAX) {
		const char *end = strstr(v, " | ");
		size_t len = end ? (size_t)(end - v) : strlen(v);

		replies[p->nreplies++] = text_value(arena_strndup(&scratch, v, len));
		v += len + (end ? 3 : 0);
	}
}

/* "one | two | three", each the value of one of the fields in turn, into the next element of a list. */
static bool add_element(const struct field *fields, size_t n, char *element, const char *v)
{
	for (size_t i = 0; i < n; i++) {
		const char *end = strstr(v, " | ");
		size_t len = end ? (size_t)(end - v) : strlen(v);

		if (!set_field(&fields[i], 1, element, fields[i].name, arena_strndup(&scratch, v, len)))
			return false;
		v += len + (end ? 3 : 0);
	}
	return !*v;
}

/* False: no list of that name, or no such values. */
static bool add_to_list(struct facts *f, const char *name, const char *v)
{
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		size_t *n = (size_t *)((char *)f + lists[i].n), size = lists[i].element;
		void **list = (void **)((char *)f + lists[i].v);
		char *grown;

		if (strcmp(lists[i].name, name) != 0)
			continue;
		grown = arena_calloc(&scratch, *n + 1, size);
		if (*n)
			memcpy(grown, *list, *n * size);
		*list = grown;
		return add_element(lists[i].fields, lists[i].nfields, grown + size * (*n)++, v);
	}
	return false;
}

static void set_args(struct update *u, const char *v)
{
	u->args[u->nargs++] = arena_strdup(&scratch, v);
}

/* update.option = NAME | VALUE */
static bool add_option(struct update *u, const char *v)
{
	struct option *list = arena_array(&scratch, struct option, u->noptions + 1);
	const char *end = strstr(v, " | ");

	if (!end)
		return false;
	if (u->noptions)
		memcpy(list, u->options, u->noptions * sizeof(*list));
	list[u->noptions] =
	    (struct option){.name = arena_strndup(&scratch, v, (size_t)(end - v)), .value = text_value(end + 3)};
	if (!span_i64(span_of(end + 3), &list[u->noptions].id))
		list[u->noptions].id = 0;
	u->options = list;
	u->noptions++;
	return true;
}

static bool set(struct update *u, struct facts *f, const char *name, const char *v)
{
	static const struct {
		const char *name;
		size_t offset;
	} replies[] = {{"persona.replies", offsetof(struct facts, persona)},
	               {"fallback.replies", offsetof(struct facts, fallback)},
	               {"code_persona.replies", offsetof(struct facts, code_persona)}};

	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		if (strcmp(replies[i].name, name) == 0) {
			set_replies((struct fact_persona *)((char *)f + replies[i].offset), v);
			return true;
		}
	}
	if (strncmp(name, "update.", 7) != 0)
		return add_to_list(f, name, v) ||
		       set_field(facts_fields, sizeof(facts_fields) / sizeof(facts_fields[0]), (char *)f, name, v);
	name += 7;
	if (strcmp(name, "kind") == 0 || strcmp(name, "chat") == 0) {
		int value = word_value(v);

		if (name[0] == 'k')
			u->kind = (enum update_kind)value;
		else
			u->chat = (enum chat_kind)value;
		return value >= 0;
	}
	if (strcmp(name, "option") == 0)
		return add_option(u, v);
	if (strcmp(name, "arg") == 0) {
		set_args(u, v);
		return true;
	}
	return set_field(update_fields, sizeof(update_fields) / sizeof(update_fields[0]), (char *)u, name, v);
}

static const struct lines *defined(const char *name)
{
	for (size_t i = 0; i < ndefinitions; i++) {
		if (strcmp(definitions[i].name, name) == 0)
			return &definitions[i].lines;
	}
	return NULL;
}

static void apply(const struct testcase *t, const struct lines *lines, struct update *u, struct facts *f)
{
	for (size_t i = 0; i < lines->n; i++) {
		const char *line = lines->v[i], *eq = strstr(line, " = ");

		if (!eq && defined(line))
			apply(t, defined(line), u, f);
		else if (!eq || !set(u, f, arena_strndup(&scratch, line, (size_t)(eq - line)), eq + 3))
			broken(t->file, t->line, "no such definition, fact or value", line);
	}
}

/* --- a decision as text */

static void say(struct lines *out, const char *line)
{
	if (out->n == LINES_MAX)
		broken(FOLDER, 0, "too many lines", line);
	out->v[out->n++] = arena_strdup(&scratch, line);
}

/* Each line of a text with a bar in front. */
static void say_text(struct lines *out, const char *text)
{
	while (text) {
		const char *end = strchr(text, '\n');
		size_t len = end ? (size_t)(end - text) : strlen(text);

		say(out, arena_printf(&scratch, len ? "| %.*s" : "|", (int)len, text));
		text = end ? end + 1 : NULL;
	}
}

/* The name of parameter n, as the statement's own comment gives it: "-- $4 first_name: ...". */
static const char *param_name(const char *statement, size_t n)
{
	const struct embed_file *f = embed_find(arena_printf(&scratch, "sql/queries/%s.sql", statement));
	const char *at = f ? strstr(f->data, arena_printf(&scratch, "\n-- $%zu ", n)) : NULL;
	char name[64];

	if (!at || sscanf(at, "\n-- $%*u %63[a-z_0-9]", name) != 1)
		broken(statement, n, "the statement does not name this parameter", "");
	return arena_strdup(&scratch, name);
}

/* As it is written in a case: a new line as "\n". */
static const char *on_one_line(const char *v)
{
	const char *end = strchr(v, '\n');

	return end ? arena_printf(&scratch, "%.*s\\n%s", (int)(end - v), v, on_one_line(end + 1)) : v;
}

/* A statement's parameters, the first of which is its $first. */
static void say_params(struct lines *out, const char *statement, const struct params *p, size_t first)
{
	const struct embed_file *f = embed_find(arena_printf(&scratch, "sql/queries/%s.sql", statement));

	for (size_t i = 0; i < p->n; i++) {
		const char *v = p->v[i].ptr;

		v = !v ? "nothing" : strcmp(v, "t") == 0 ? "yes" : strcmp(v, "f") == 0 ? "no" : v;
		say(out, arena_printf(&scratch, "%s =%s%s", param_name(statement, i + first), *v ? " " : "",
		                      on_one_line(v)));
	}
	if (!f || strstr(f->data, arena_printf(&scratch, "$%zu", p->n + first)))
		broken(statement, p->n, "the statement wants more parameters than it was given", "");
}

static void say_write(struct lines *out, const struct decision *d)
{
	say(out, arena_printf(&scratch, "write %s", d->commit));
	say_params(out, d->commit, &d->params, 3);
}

/* What is looked up before it is decided, where the case wants to know. */
static void say_load(struct lines *out, const struct testcase *t, const struct command *c, const struct update *u,
                     const struct facts *f)
{
	struct params p = {.arena = &scratch};
	bool wanted = false;

	for (size_t i = 0; i < t->then.n; i++)
		wanted = wanted || strncmp(t->then.v[i], "load ", 5) == 0;
	if (!wanted || !c->load)
		return;
	c->ask(u, f, &p);
	say(out, arena_printf(&scratch, "load %s", c->load));
	say_params(out, c->load, &p, 1);
}

/* "do forget: player 5"; an empty word as nothing. */
static void say_errand(struct lines *out, const struct errand *e)
{
	const char *line = arena_printf(&scratch, "do %s:", e->what);

	for (size_t i = 0; i < e->n; i++)
		line = arena_printf(&scratch, "%s %s", line, e->words[i][0] ? e->words[i] : "nothing");
	say(out, line);
}

static void say_reply(struct lines *out, const struct reply *r)
{
	static const char *const verbs[] = {"send to", "edit in", "disarm in", "reply", "then reply"};
	const char *line = arena_printf(&scratch, "%s %lld", verbs[r->kind], (long long)r->chat_id);

	if (r->token)
		line = arena_printf(&scratch, "%s by %s%s", verbs[r->kind], r->token, r->hidden ? ", hidden" : "");
	if (r->token && r->chat_id)
		line = arena_printf(&scratch, "%s, else in %lld", line, (long long)r->chat_id);
	if (r->mention)
		line = arena_printf(&scratch, "%s, calling %lld", line, (long long)r->mention);
	if (r->group)
		line = arena_printf(&scratch, "%s, a group", line);
	if (r->message_id)
		line = arena_printf(&scratch, "%s, message %lld", line, (long long)r->message_id);
	say(out, line);
	say_text(out, r->html);
	for (size_t i = 0; i < r->nrows; i++) {
		for (size_t k = 0; k < r->rows[i].n; k++)
			say(out, arena_printf(&scratch, "[%s] %s%s", r->rows[i].buttons[k].label,
			                      r->rows[i].buttons[k].url ? r->rows[i].buttons[k].url
			                                                : r->rows[i].buttons[k].data,
			                      r->rows[i].buttons[k].off ? ", off" : ""));
	}
}

static void say_decision(struct lines *out, const struct decision *d)
{
	if (d->failed)
		say(out, arena_printf(&scratch, "fail: %s", d->why));
	if (d->outcome == OUTCOME_IGNORED)
		say(out, "ignore");
	if (d->commit)
		say_write(out, d);
	else
		say(out, "write nothing");
	for (const struct errand *e = d->errands; e; e = e->next)
		say_errand(out, e);
	for (const struct reply *r = d->replies; r; r = r->next)
		say_reply(out, r);
}

/* --- comparing */

static bool heads_block(const char *line)
{
	static const char *const heads[] = {
	    "write ", "send to ", "edit in ", "disarm in ", "reply by ", "then reply by ", "ignore",
	    "fail: ", "command ", "code ",    "do ",        "load ",     "board "};

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		if (strncmp(line, heads[i], strlen(heads[i])) == 0)
			return true;
	}
	return false;
}

/* "~ words" is part of a line; "..." stands for any lines up to the next block. */
static bool line_matches(const char *want, const char *got)
{
	if (strncmp(want, "~ ", 2) == 0)
		return !heads_block(got) && strstr(got, want + 2);
	return strcmp(want, got) == 0;
}

static bool matches(const struct lines *want, const struct lines *got)
{
	size_t g = 0;

	for (size_t w = 0; w < want->n; w++) {
		if (strcmp(want->v[w], "...") == 0) {
			const char *next = w + 1 < want->n ? want->v[w + 1] : NULL;

			while (g < got->n && !heads_block(got->v[g]) && !(next && line_matches(next, got->v[g])))
				g++;
			continue;
		}
		if (g == got->n || !line_matches(want->v[w], got->v[g]))
			return false;
		g++;
	}
	return g == got->n;
}

static void report(const struct testcase *t, const struct lines *got)
{
	printf("not ok %s\n# %s:%zu\n# wanted:\n", t->title, t->file, t->line);
	for (size_t i = 0; i < t->then.n; i++)
		printf("#   %s\n", t->then.v[i]);
	printf("# got:\n");
	for (size_t i = 0; i < got->n; i++)
		printf("#   %.200s\n", got->v[i]);
	failures++;
}

/* The bot is the file's name. */
static void run(const struct testcase *t)
{
	const char *dot = strrchr(t->file, '.'), *slash = strrchr(t->file, '/');
	const struct bot *b = bots_find((struct span){slash + 1, (size_t)(dot - slash - 1)});
	struct update u = {.text = "", .payload = "", .kind_name = "message", .key = "telegram:persona:1"};
	struct facts f = {.mark = "mark0001", .chance = CHANCE};
	struct lines got = {0};
	const struct command *c;
	struct decision d;

	if (!b)
		broken(t->file, t->line, "no such bot", t->file);
	apply(t, &t->given, &u, &f);
	c = bot_command(b, &u);
	decision_init(&d, &scratch);
	say(&got, arena_printf(&scratch, "command %s", c ? c->name : "none"));
	if (c && c->code) {
		const char *code = c->code(&u, &scratch);

		say(&got, arena_printf(&scratch, "code %s", code ? code : "none"));
	}
	if (c && c->board) {
		const char *key = c->board(&u, &scratch);

		say(&got, arena_printf(&scratch, "board %s", key ? key : "none"));
	}
	if (f.presumed && !(c && c->presume && c->presume(&u, &f))) {
		say(&got, "presume nothing");
		f.presumed = false;
	}
	if (c) {
		say_load(&got, t, c, &u, &f);
		c->decide(&u, &f, &d);
		say_decision(&got, &d);
	}
	if (c && c->wants_answer && c->wants_answer(&u, &f))
		say(&got, "ask the responder");
	cases++;
	if (matches(&t->then, &got))
		printf("ok %s\n", t->title);
	else
		report(t, &got);
	arena_release(&scratch);
}

/* --- reading */

static char *trim(char *line)
{
	size_t n = strlen(line);

	while (n > 0 && strchr(" \t\r\n", line[n - 1]))
		line[--n] = '\0';
	return line + strspn(line, " \t");
}

/* Lines that begin at the margin are headings: "define NAME", "case TITLE", "then". */
static void read_file(const char *path)
{
	struct testcase t = {.file = path};
	struct lines *into = NULL;
	char line[2048];
	FILE *in = fopen(path, "r");

	if (!in)
		broken(path, 0, "cannot be read", strerror(errno));
	ndefinitions = 0;
	for (size_t n = 1; fgets(line, sizeof(line), in); n++) {
		bool heading = line[0] != ' ' && line[0] != '\t';
		char *text = trim(line);

		if (!*text || *text == '#')
			continue;
		if (!heading) {
			if (!into || into->n == LINES_MAX)
				broken(path, n, "not under a heading, or too many lines", text);
			into->v[into->n++] = arena_strdup(&memory, text);
			continue;
		}
		if (t.title && strcmp(text, "then") != 0) {
			run(&t);
			t.title = NULL;
		}
		if (strncmp(text, "define ", 7) == 0 && ndefinitions < DEFINITIONS_MAX) {
			definitions[ndefinitions] = (struct definition){.name = arena_strdup(&memory, text + 7)};
			into = &definitions[ndefinitions++].lines;
		} else if (strncmp(text, "case ", 5) == 0) {
			t = (struct testcase){.file = path, .title = arena_strdup(&memory, text + 5), .line = n};
			into = &t.given;
		} else if (strcmp(text, "then") == 0 && t.title) {
			into = &t.then;
		} else {
			broken(path, n, "no such heading", text);
		}
	}
	if (t.title)
		run(&t);
	fclose(in);
	arena_release(&memory);
}

int main(void)
{
	DIR *dir = opendir(FOLDER);
	struct dirent *e;

	if (!dir)
		broken(FOLDER, 0, "run it from the project's folder", strerror(errno));
	while ((e = readdir(dir))) {
		size_t n = strlen(e->d_name);
		char path[512];

		if (n < 4 || strcmp(e->d_name + n - 4, ".txt") != 0)
			continue;
		snprintf(path, sizeof(path), FOLDER "/%s", e->d_name);
		read_file(path);
	}
	closedir(dir);
	printf("%s decisions: %u cases, %u failed\n", failures || !cases ? "not ok" : "ok", cases, failures);
	return failures || !cases ? 1 : 0;
}
