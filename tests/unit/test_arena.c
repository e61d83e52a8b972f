/* links: base */
#include "check.h"

#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shoal/base/arena.h"
#include "shoal/base/err.h"
#include "shoal/base/log.h"

static void memory_is_zeroed_and_aligned(void)
{
	struct arena a;

	arena_init(&a);
	for (size_t size = 0; size < 5000; size += 7) {
		char *p = arena_alloc(&a, size);

		CHECK((uintptr_t)p % _Alignof(max_align_t) == 0);
		for (size_t i = 0; i < size; i++)
			CHECK_INT(p[i], 0);
		memset(p, 0xAA, size);
	}
	CHECK(a.bytes > 5000);
	arena_release(&a);
	CHECK_INT(a.bytes, 0);
}

static void large_pieces_do_not_waste_the_open_block(void)
{
	struct arena a;
	char *first, *second;

	arena_init(&a);
	first = arena_alloc(&a, 16);
	arena_alloc(&a, 1000000);
	second = arena_alloc(&a, 16);
	CHECK(second == first + 16);
	arena_release(&a);
}

static void texts_are_copied_and_ended(void)
{
	struct arena a;
	struct span s;

	arena_init(&a);
	CHECK_STR(arena_strdup(&a, ""), "");
	CHECK_STR(arena_strndup(&a, "abcdef", 3), "abc");
	CHECK_STR(arena_strndup(&a, NULL, 0), "");
	s = arena_span(&a, (struct span){"a\0b", 3});
	CHECK_INT(s.len, 3);
	CHECK(memcmp(s.ptr, "a\0b", 4) == 0);
	CHECK_STR(arena_printf(&a, "%s-%d", "x", -7), "x--7");
	arena_release(&a);
}

static char order[8];

static void note(void *p)
{
	size_t len = strlen(order);

	order[len] = *(const char *)p;
}

static struct arena nested;

static void note_and_defer(void *p)
{
	note(p);
	arena_defer(&nested, note, "z");
}

static void cleanups_run_last_first_and_once(void)
{
	memset(order, 0, sizeof(order));
	arena_init(&nested);
	arena_defer(&nested, note, "a");
	arena_defer(&nested, note_and_defer, "b");
	arena_defer(&nested, note, "c");
	arena_release(&nested);
	CHECK_STR(order, "cbza");
	arena_release(&nested);
	CHECK_STR(order, "cbza");
	CHECK_STR(arena_strdup(&nested, "again"), "again");
	arena_release(&nested);
}

static void every_error_has_its_own_text(void)
{
	for (int i = 0; i < ERR_COUNT; i++) {
		for (int k = 0; k < i; k++)
			CHECK(strcmp(err_text((enum err)i), err_text((enum err)k)) != 0);
	}
	CHECK_STR(err_text((enum err) - 1), "no such error");
	CHECK_STR(err_text(ERR_COUNT), "no such error");
}

static _Noreturn void run_out(int to)
{
	struct arena a;

	setrlimit(RLIMIT_CORE, &(struct rlimit){0});
	dup2(to, STDERR_FILENO);
	log_init(LOG_INFO, LOG_JSON, "test", NULL);
	log_hold(true);
	log_info("what led to it");
	arena_init(&a);
	arena_calloc(&a, SIZE_MAX, 2);
	_exit(0);
}

static void without_memory_the_last_lines_are_told(void)
{
	char said[4096] = "";
	int ends[2], status;
	ssize_t n;
	size_t len = 0;
	pid_t child;

	CHECK_INT(pipe(ends), 0);
	fflush(NULL);
	child = fork();
	if (child == 0)
		run_out(ends[1]);
	close(ends[1]);
	while ((n = read(ends[0], said + len, sizeof(said) - 1 - len)) > 0)
		len += (size_t)n;
	close(ends[0]);
	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(strstr(said, "what led to it") != NULL);
	CHECK(strstr(said, "out of memory") > strstr(said, "what led to it"));
}

int main(void)
{
	RUN(memory_is_zeroed_and_aligned);
	RUN(large_pieces_do_not_waste_the_open_block);
	RUN(texts_are_copied_and_ended);
	RUN(cleanups_run_last_first_and_once);
	RUN(every_error_has_its_own_text);
	RUN(without_memory_the_last_lines_are_told);
	DONE();
}
