/* links: cli base */
/* Arguments of a verb, ended by NUL, by a table like those of the verbs; the same bytes as a CSV file of codes. */
#include "fuzz.h"

#include "shoal/base/args.h"
#include "shoal/cli/csv.h"

enum { ARGS_MAX = 24 };

static const struct arg_opt options[] = {
    {"json", false, false}, {"limit", true, false}, {"bot", true, false}, {"race", true, true}, {0}};

static void as_arguments(struct food *food, struct arena *a)
{
	char *argv[ARGS_MAX + 2] = {(char[]){"verb"}};
	struct args args;
	int argc = 1;
	int64_t limit = 7;

	while (food->p < food->end && argc <= ARGS_MAX) {
		struct span word = food_line(food);
		argv[argc++] = arena_strndup(a, word.ptr, word.len);
	}
	if (!args_parse(&args, a, argc, argv, options))
		return;
	MUST(args.ngiven + args.noperands <= (size_t)argc && args.operands[args.noperands] == NULL);
	if (args_i64(&args, "limit", 1, 1000, &limit))
		MUST(args_has(&args, "limit") ? limit >= 1 && limit <= 1000 : limit == 7);
	for (size_t n = 0; args_get_nth(&args, "race", n); n++)
		MUST(n < (size_t)argc);
	MUST(args_has(&args, "bot") == (args_get(&args, "bot") != NULL));
	if (args_count(&args, 0, 2, "ID"))
		MUST(args.noperands <= 2);
}

/* What was read is written and read again as the same. */
static void as_csv(struct span text, struct arena *a)
{
	struct csv c;
	enum csv_got got;

	csv_open(&c, a, text);
	while ((got = csv_next(&c)) == CSV_RECORD) {
		struct csv again;
		struct buf b;
		buf_init(&b, 1 << 22);
		csv_put(&b, c.field, c.nfields);
		csv_open(&again, a, buf_span(&b));
		if (csv_next(&again) == CSV_RECORD) {
			MUST(again.nfields == c.nfields);
			for (size_t i = 0; i < c.nfields; i++)
				MUST(strcmp(again.field[i], c.field[i]) == 0);
		} else {
			MUST(c.nfields == 1 && !*c.field[0]); /* an empty line */
		}
		buf_release(&b);
	}
	MUST(got == CSV_END || c.why);
}

static void fuzz(const uint8_t *data, size_t size)
{
	struct food food = food_of(data, size);
	struct arena a;

	if (fileno(stderr) == STDERR_FILENO) /* what is wrong is told to people; sanitizers write to 2 */
		stderr = fopen("/dev/null", "w");
	MUST(stderr);
	arena_init(&a);
	as_arguments(&food, &a);
	as_csv(exact(&a, (struct span){(const char *)data, size}), &a);
	arena_release(&a);
}
