/* lua/turn.lua against a model, in random walks of millions of steps; then with seeded mistakes, which the walks must
 * find.
 *   STEPS=n    calls of the script in all, in walks of WALK=n (3000)        JOBS=n   processes, each with a Redis
 *   SEED=n     this walk alone, and with TRACE=1 every step of it           MUTANT=name   this mistake alone; with SEED
 * too MUTANTS=n  so many of the mistakes, others every time; all of them without it
 */
#include <dirent.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "turn_walk.h"

#define MUTANTS_DIR "tests/model/mutants"
#define MUTANTS_MAX 128
#define MUTANT_STEPS 300000L /* within so many a mistake is found */
#define MET_STEPS 200000L    /* after so many everything must have been met */
#define JOBS_MAX 16
#define TAIL 24 /* lines of the trace that a failure shows */

struct finding {
	bool done, caught;
	long steps, at;
	unsigned long long seed;
	char why[400];
};

/* What the processes share. */
struct shared {
	atomic_llong next_seed, next_mutant, steps, walks;
	atomic_bool failed;
	unsigned long long tally[JOBS_MAX][TALLIES];
	struct finding mutants[MUTANTS_MAX];
};

static struct shared *shared;
static char *mutants[MUTANTS_MAX];
static int nmutants, failures;
static long walk_steps = 3000;

static long long number(const char *name, long long otherwise)
{
	const char *s = getenv(name);
	return s && *s ? strtoll(s, NULL, 10) : otherwise;
}

static bool load(struct turn_redis *redis, const char *mutant, char *why, size_t why_size)
{
	char path[300];
	snprintf(path, sizeof(path), MUTANTS_DIR "/%s", mutant ? mutant : "");
	return turn_redis_load(redis, mutant ? path : NULL, why, why_size);
}

static void load_or_die(struct turn_redis *redis, const char *mutant)
{
	char why[400];
	if (load(redis, mutant, why, sizeof(why)))
		return;
	printf("# %s\nnot ok scripts_load\n", why);
	exit(1);
}

/* The last steps of a walk that failed, which is walked again for it. */
static void show(struct turn_redis *redis, unsigned long long seed)
{
	unsigned long long tally[TALLIES] = {0};
	struct walk_result again;
	char *text = NULL;
	size_t size = 0, lines = 0;
	FILE *f = open_memstream(&text, &size);
	if (!f)
		abort();
	walk_run(redis, seed, walk_steps, f, tally, &again);
	fclose(f);
	char *p = text + size;
	while (p > text && (p[-1] != '\n' || lines++ < TAIL))
		p--;
	printf("# the last of its steps:\n");
	for (char *line; (line = strsep(&p, "\n")) && *line;)
		printf("#   %.1000s\n", line);
	printf("# %s\n", again.ok ? "walked again it does not fail" : again.why);
	free(text);
}

/* --- the script as it is */

static void walk_job(int job, long steps)
{
	struct turn_redis redis;
	turn_redis_start(&redis);
	load_or_die(&redis, NULL);
	while (!shared->failed && shared->steps < steps) {
		struct walk_result r;
		unsigned long long seed = (unsigned long long)atomic_fetch_add(&shared->next_seed, 1);
		atomic_fetch_add(&shared->steps, walk_steps);
		walk_run(&redis, seed, walk_steps, NULL, shared->tally[job], &r);
		atomic_fetch_add(&shared->walks, 1);
		if (!r.ok && !atomic_exchange(&shared->failed, true)) {
			printf("# seed %llu, step %ld: %s\n", seed, r.at, r.why);
			show(&redis, seed);
			printf("# again: SEED=%llu WALK=%ld build/tests/model/test_turn\n", seed, walk_steps);
			fflush(stdout);
		}
	}
	turn_redis_stop(&redis);
}

/* --- with a mistake */

static bool try_mutant(struct turn_redis *redis, struct finding *f)
{
	unsigned long long tally[TALLIES] = {0};
	for (unsigned long long seed = 1; f->steps < MUTANT_STEPS; seed++) {
		struct walk_result r;
		walk_run(redis, seed, walk_steps, NULL, tally, &r);
		f->steps += r.at;
		if (r.ok)
			continue;
		f->seed = seed;
		f->at = r.at;
		snprintf(f->why, sizeof(f->why), "%s", r.why);
		return true;
	}
	return false;
}

static void mutant_job(void)
{
	struct turn_redis redis;
	turn_redis_start(&redis);
	for (long long i; (i = atomic_fetch_add(&shared->next_mutant, 1)) < nmutants;) {
		struct finding *f = &shared->mutants[i];
		f->caught = load(&redis, mutants[i], f->why, sizeof(f->why)) && try_mutant(&redis, f);
		f->done = true;
	}
	turn_redis_stop(&redis);
}

/* --- processes */

static void run_jobs(int jobs, long steps)
{
	pid_t pids[JOBS_MAX];
	fflush(stdout);
	for (int i = 0; i < jobs; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (steps)
			walk_job(i, steps);
		else
			mutant_job();
		exit(0);
	}
	for (int i = 0; i < jobs; i++) {
		int status = 0;
		waitpid(pids[i], &status, 0);
		if (status)
			shared->failed = true;
	}
}

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void verdict(bool ok, const char *name)
{
	printf("%s %s\n", ok ? "ok" : "not ok", name);
	fflush(stdout);
	failures += !ok;
}

static void walk_all(int jobs, long steps)
{
	double began = seconds();
	bool met = true;
	shared->next_seed = number("FIRST_SEED", 1);
	run_jobs(jobs, steps);
	printf("# %lld steps in %lld walks, %.1f s\n#", (long long)shared->steps, (long long)shared->walks,
	       seconds() - began);
	for (int t = 0; t < TALLIES; t++) {
		unsigned long long n = 0;
		for (int j = 0; j < jobs; j++)
			n += shared->tally[j][t];
		printf("%s %llu %s", t ? "," : "", n, tally_names[t]);
		met = met && n;
	}
	printf("\n");
	verdict(!shared->failed, "turn_keeps_to_the_model");
	if (steps >= MET_STEPS && !shared->failed)
		verdict(met, "walks_meet_every_rule");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list_mutants(void)
{
	DIR *d = opendir(MUTANTS_DIR);
	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.' && nmutants < MUTANTS_MAX)
			mutants[nmutants++] = strdup(e->d_name);
	if (d)
		closedir(d);
	qsort(mutants, (size_t)nmutants, sizeof(mutants[0]), by_name);
}

/* So many of them, others every time. */
static void take_some(int n)
{
	if (n >= nmutants)
		return;
	int from = (int)(time(NULL) / 60 % nmutants);
	char *some[MUTANTS_MAX] = {0};
	for (int i = 0; i < nmutants; i++)
		some[i] = mutants[(from + i) % nmutants];
	memcpy(mutants, some, sizeof(some));
	nmutants = n;
}

static void find_mistakes(int jobs)
{
	double began = seconds();
	char name[300];
	run_jobs(jobs < nmutants ? jobs : nmutants, 0);
	for (int i = 0; i < nmutants; i++) {
		const struct finding *f = &shared->mutants[i];
		if (f->caught)
			printf("# caught after %ld steps, in walk %llu at step %ld: %.120s\n", f->steps, f->seed, f->at,
			       f->why);
		else
			printf("# not caught in %ld steps%s%s\n", f->steps, f->why[0] ? ": " : "", f->why);
		snprintf(name, sizeof(name), "mistake_%s", mutants[i]);
		verdict(f->done && f->caught, name);
	}
	printf("# %d mistakes, %.1f s\n", nmutants, seconds() - began);
}

static void one_walk(unsigned long long seed, const char *mutant)
{
	struct turn_redis redis;
	struct walk_result r;
	unsigned long long tally[TALLIES] = {0};
	turn_redis_start(&redis);
	load_or_die(&redis, mutant);
	walk_run(&redis, seed, walk_steps, getenv("TRACE") ? stdout : NULL, tally, &r);
	if (!r.ok) {
		printf("# seed %llu, step %ld: %s\n", seed, r.at, r.why);
		if (!getenv("TRACE"))
			show(&redis, seed);
	}
	verdict(r.ok, "turn_walk");
	turn_redis_stop(&redis);
}

int main(void)
{
	int jobs = (int)number("JOBS", 2);
	long long steps = number("STEPS", 60000);
	const char *mutant = getenv("MUTANT");
	setvbuf(stdout, NULL, _IOLBF, 0);
	walk_steps = (long)number("WALK", walk_steps);
	jobs = jobs < 1 ? 1 : jobs > JOBS_MAX ? JOBS_MAX : jobs;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		server_die("mmap");
	if (getenv("SEED")) {
		one_walk((unsigned long long)number("SEED", 1), mutant);
		return failures ? 1 : 0;
	}
	if (mutant) {
		mutants[nmutants++] = strdup(mutant);
	} else {
		walk_all(jobs, steps > 0 ? (long)steps : 1);
		list_mutants();
		take_some((int)number("MUTANTS", MUTANTS_MAX));
	}
	if (nmutants)
		find_mistakes(jobs);
	for (int i = 0; i < nmutants; i++)
		free(mutants[i]);
	return failures ? 1 : 0;
}
