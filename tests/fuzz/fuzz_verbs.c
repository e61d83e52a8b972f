/* links: cli bots wire store io model base */
/* Every verb of the command line with any arguments, where no server can be reached: a byte chooses the verb, words are
 * ended by NUL. Nothing can be done then, so no verb may say that it was, and each says what is wrong. */
#include "fuzz.h"

#include "shoal/base/args.h"
#include "shoal/cli/cli.h"

enum { WORDS_MAX = 24 };

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	bool alone; /* does something without servers */
} verbs[] = {
    {"migrate", verb_migrate, false}, {"code", verb_code, false},       {"persona", verb_persona, false},
    {"user", verb_user, false},       {"wallet", verb_wallet, false},   {"trade", verb_trade, false},
    {"ladder", verb_ladder, false},   {"webhook", verb_webhook, false}, {"status", verb_status, true},
    {"workers", verb_workers, false}, {"queue", verb_queue, false},     {"dead", verb_dead, false},
    {"cache", verb_cache, false},     {"config", verb_config, true},
};

static FILE *nowhere;

static void start_once(void)
{
	if (nowhere)
		return;
	MUST(setenv("SHOAL_REDIS_URL", "unix:///nonexistent/redis.sock", 1) == 0);
	MUST(setenv("SHOAL_POSTGRES_URL", "postgresql:///shoal?host=/nonexistent", 1) == 0);
	MUST(setenv("SHOAL_TELEGRAM_API", "http://127.0.0.1:1", 1) == 0);
	MUST(setenv("SHOAL_DISCORD_API", "http://127.0.0.1:1", 1) == 0);
	MUST(freopen("/dev/null", "r", stdin)); /* no terminal to ask */
	MUST(nowhere = fopen("/dev/null", "w"));
}

/* What goes on until somebody ends it. */
static bool is_endless(const char *word)
{
	return strncmp(word, "--wa", 4) == 0;
}

static void fuzz(const uint8_t *data, size_t size)
{
	struct food food = food_of(data, size);
	char *argv[WORDS_MAX + 2];
	struct arena a;
	int argc = 0;
	char *said = NULL;
	size_t nsaid = 0;

	start_once();
	arena_init(&a);
	uint8_t which = food_byte(&food) % (sizeof(verbs) / sizeof(verbs[0]));
	argv[argc++] = arena_strdup(&a, verbs[which].name);
	while (food.p < food.end && argc <= WORDS_MAX) {
		struct span word = food_line(&food);
		argv[argc] =
		    (char *)(uintptr_t)exact(&a, (struct span){arena_strndup(&a, word.ptr, word.len), word.len + 1})
		        .ptr;
		if (is_endless(argv[argc]) || strcmp(argv[argc], "import") == 0)
			break;
		argc++;
	}
	argv[argc] = NULL;
	FILE *out = stdout, *err = stderr, *told = open_memstream(&said, &nsaid);
	MUST(told);
	stdout = nowhere;
	stderr = told;
	int code = verbs[which].run(argc, argv);
	stdout = out;
	stderr = err;
	fclose(told);
	if (code != EXIT_DONE || !verbs[which].alone)
		MUST(code >= EXIT_FAILED && code <= EXIT_NOT_THERE);
	if (code != EXIT_DONE && !verbs[which].alone)
		MUST(nsaid > 0);
	free(said);
	arena_release(&a);
}
