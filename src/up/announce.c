#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shoal/base/clock.h"
#include "shoal/up/say.h"
#include "shoal/up/stack.h"

/* How the person would call this binary from here. */
static const char *self_name(struct arena *a)
{
	char *self = arena_alloc(a, PATH_MAX), *here = arena_alloc(a, PATH_MAX);
	size_t len;

	if (readlink("/proc/self/exe", self, PATH_MAX - 1) <= 0 || !getcwd(here, PATH_MAX))
		return "shoal";
	len = strlen(here);
	if (strncmp(self, here, len) == 0 && self[len] == '/')
		return self + len + 1;
	return self;
}

/* Where it is, and the tokens that it wants to see. */
static void say_admin(const struct stack *s)
{
	const char *why, *full = home_secret(s->home, "admin_token", "", &why),
	                 *view = home_secret(s->home, "viewer_token", "", &why);

	say_line("  Dashboard            http://127.0.0.1:%u/", stack_unit(s, U_ADMIN)->port);
	say_line("    with all rights    %s", full ? full : why);
	say_line("    to look only       %s", view ? view : why);
}

void stack_announce(struct stack *s)
{
	unsigned sim = stack_unit(s, U_SIM)->port, gateway = stack_unit(s, U_GATEWAY)->port, workers = 0;
	struct arena a;
	const char *self, *code, *why = NULL;

	arena_init(&a);
	if (!stack_write_env(s, &why))
		say_problem("%s", why);
	for (unsigned i = 0; i < s->nunits; i++)
		workers += s->units[i].kind == &unit_kinds[U_WORKER] && s->units[i].wanted;
	self = self_name(&a);
	code = file_read(&a, home_path(s->home, "start_code"), 64);
	say_line("\nShoal is up: %u worker%s, after %.1f s.\n", workers, workers == 1 ? "" : "s",
	         SAY_S(clock_ms() - s->began));
	say_line("  Chat with the bot    http://127.0.0.1:%u/", sim);
	if (code && *code)
		say_line("  With a start code    http://127.0.0.1:%u/?start=%s", sim, code);
	say_line("  Trade with money     http://127.0.0.1:%u/?bot=escrow", sim);
	say_line("  Ladder on Discord    http://127.0.0.1:%u/discord", sim);
	say_line("  Gateway              http://127.0.0.1:%u/", gateway);
	say_admin(s);
	say_line("  Redis, PostgreSQL    127.0.0.1:%u, 127.0.0.1:%u  (URLs with passwords in .shoal/secrets)",
	         stack_unit(s, U_REDIS)->port, stack_unit(s, U_POSTGRES)->port);
	say_line("  In another shell     . .shoal/env && %s workers", self);
	say_line("  Money for somebody   . .shoal/env && %s wallet credit ID USDT 100 --key demo-1", self);
	say_line("  More or fewer        %s up --workers N", self);
	say_line("  Logs                 .shoal/log/");
	say_line("  Stop                 Ctrl-C, or %s down\n", self);
	fflush(stdout);
	arena_release(&a);
}
