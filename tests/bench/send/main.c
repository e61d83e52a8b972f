/* The load of the reference job.
 *
 *   send [-n COUNT] [-i FIRST] [-u PEOPLE] [-c CODES] [-r RATE | -k DEPTH -s PORT] [-p | -m] [-o FILE] WHERE
 *   WHERE: xadd HOST PORT STREAM | webhook PORT SECRET CONNECTIONS | print
 *
 * -r: so many a second, each when it is due, however long the ones before take (an open loop); else as fast as they are
 * taken; -k: with so many of them unanswered all the time, which the stand-in at PORT tells. -p: pressed buttons; -m:
 * all that the bot is asked. -o: what became of each, as struct sent, in order. print: only shows them, a line each.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "depth.h"
#include "shoal/base/arena.h"
#include "shoal/base/err.h"
#include "target.h"

#define LEAD_NS 50000000LL
#define PATIENCE_NS 60000000000LL
#define LOOK_NS 300000LL

/* How fast: at `rate` a second, or with `depth` of them unanswered; 0: neither. */
struct pace {
	double rate;
	size_t depth, replies;
	int standin;
};

int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int poll_until(struct pollfd *fds, size_t n, int64_t until_ns)
{
	int64_t left = until_ns - now_ns();
	struct timespec t = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};

	return ppoll(fds, n, left > 0 ? &t : &(struct timespec){0}, NULL);
}

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: send [-n COUNT] [-i FIRST] [-u PEOPLE] [-c CODES] [-r RATE | -k DEPTH -s PORT] [-p | "
	                "-m] [-o FILE]\n"
	                "            xadd HOST PORT STREAM | webhook PORT SECRET CONNECTIONS | print\n");
	exit(2);
}

/* When the nth update is due: now at the latest, where only the depth counts. */
static int64_t due_of(struct pace *p, size_t n, int64_t began, int64_t now)
{
	if (p->rate > 0)
		return began + (int64_t)((double)n * 1e9 / p->rate);
	if (p->depth && n - p->replies >= p->depth)
		p->replies = depth_replies(p->standin);
	return p->depth && n - p->replies >= p->depth ? now + LOOK_NS : now;
}

static void run(struct target *t, const struct load *load, struct pace *pace)
{
	int64_t began = now_ns() + (pace->rate > 0 ? LEAD_NS : 0), news = began;
	size_t next = 0, heard = 0;

	t->load = load;
	while (t->answered < load->count) {
		int64_t now = now_ns(), due = 0;

		for (; next < load->count; next++) {
			due = due_of(pace, next, began, now);
			if (due > now || !t->give(t, next))
				break;
			t->sent[next] = (struct sent){due, now_ns(), -1, update_person(load, next)};
		}
		t->turn(t, next < load->count && due > now ? due : now + PATIENCE_NS);
		if (t->answered > heard || pace->depth)
			news = now_ns();
		heard = t->answered;
		if (heard < next && now_ns() - news > PATIENCE_NS) {
			fprintf(stderr, "send: no answer any more after %zu of %zu\n", heard, load->count);
			exit(1);
		}
	}
}

static void print(const struct load *load)
{
	char text[UPDATE_MAX];

	for (size_t n = 0; n < load->count; n++) {
		update_text(load, n, text);
		puts(text);
	}
}

static void keep(const char *path, const struct sent *sent, size_t n)
{
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(sent, sizeof(*sent), n, f) != n || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

static struct target *target_of(char **argv, int n)
{
	if (n == 4 && strcmp(argv[0], "xadd") == 0)
		return target_xadd(argv[1], atoi(argv[2]), argv[3]);
	if (n == 4 && strcmp(argv[0], "webhook") == 0)
		return target_webhook(atoi(argv[1]), argv[2], strtoul(argv[3], NULL, 10));
	usage();
}

int main(int argc, char **argv)
{
	struct load load = {.count = 1, .people = 10000, .codes = 100};
	const char *file = NULL;
	struct pace pace = {0};
	struct target *t;

	for (int o; (o = getopt(argc, argv, "n:i:u:c:r:k:s:pmo:")) != -1;) {
		switch (o) {
		case 'n': load.count = strtoul(optarg, NULL, 10); break;
		case 'i': load.first = strtoul(optarg, NULL, 10); break;
		case 'u': load.people = strtoul(optarg, NULL, 10); break;
		case 'c': load.codes = strtoul(optarg, NULL, 10); break;
		case 'r': pace.rate = strtod(optarg, NULL); break;
		case 'k': pace.depth = strtoul(optarg, NULL, 10); break;
		case 's': pace.standin = depth_dial(atoi(optarg)); break;
		case 'p': load.press = true; break;
		case 'm': load.mix = true; break;
		case 'o': file = optarg; break;
		default: usage();
		}
	}
	if (!load.people || !load.codes || optind == argc || (pace.depth && !pace.standin))
		usage();
	if (strcmp(argv[optind], "print") == 0) {
		print(&load);
		return 0;
	}
	prctl(PR_SET_TIMERSLACK, 1UL);
	t = target_of(argv + optind, argc - optind);
	t->sent = mem_zalloc((load.count + 1) * sizeof(*t->sent));
	run(t, &load, &pace);
	if (file)
		keep(file, t->sent, load.count);
	free(t->sent);
	t->free(t);
	return 0;
}
