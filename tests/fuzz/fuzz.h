/* What the fuzz targets share. A target is `void fuzz(const uint8_t *data, size_t size)`, which stops the program on
 * what must not be. With -DLIBFUZZER it is linked with libFuzzer or with AFL++'s driver; else with the plain driver
 * below, which runs its seeds and changes them blindly for a while: so the targets are part of `make test` whatever the
 * compiler.
 *
 *     TARGET [-max_total_time=SECONDS] [-seed=N] FILE-OR-FOLDER... */
#ifndef SHOAL_TESTS_FUZZ_H
#define SHOAL_TESTS_FUZZ_H

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shoal/base/arena.h"
#include "shoal/base/asan.h"
#include "shoal/base/str.h"

static void fuzz(const uint8_t *data, size_t size);

/* A promise of the code under test. */
#define MUST(cond)                                                                                                     \
	do {                                                                                                           \
		if (!(cond)) {                                                                                         \
			dprintf(2, "%s:%d: broken: %s\n", __FILE__, __LINE__, #cond);                                  \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

/* --- bytes used up one after the other */

struct food {
	const uint8_t *p, *end;
};

static inline struct food food_of(const uint8_t *data, size_t size)
{
	return (struct food){data, data + size};
}

static inline uint8_t food_byte(struct food *f)
{
	return f->p < f->end ? *f->p++ : 0;
}

static inline uint64_t food_u64(struct food *f)
{
	uint64_t v = 0;

	for (int i = food_byte(f) % 9; i > 0; i--)
		v = v << 8 | food_byte(f);
	return v;
}

/* Up to the next NUL, which is used up too, or to the end. */
static inline struct span food_line(struct food *f)
{
	size_t left = (size_t)(f->end - f->p);
	const uint8_t *stop = left ? memchr(f->p, 0, left) : NULL;
	struct span s = {(const char *)f->p, stop ? (size_t)(stop - f->p) : left};

	f->p += s.len + (stop != NULL);
	return s;
}

static inline struct span food_rest(struct food *f)
{
	struct span s = {(const char *)f->p, (size_t)(f->end - f->p)};

	f->p = f->end;
	return s;
}

/* A copy of just its size, so that reading beyond it is seen. */
static inline struct span exact(struct arena *a, struct span s)
{
	char *copy = malloc(s.len ? s.len : 1);

	if (!copy)
		abort();
	if (s.len)
		memcpy(copy, s.ptr, s.len);
	arena_defer(a, free, copy);
	return (struct span){copy, s.len};
}

#ifdef LIBFUZZER

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz(data, size);
	return 0;
}

#else

enum { SEEDS_MAX = 4096, INPUT_MAX = 65536 };

struct seed {
	uint8_t *data;
	size_t size;
};

static struct seed seeds[SEEDS_MAX];
static size_t nseeds;
static uint64_t chance_state;

static uint64_t chance(uint64_t below) /* splitmix64 */
{
	uint64_t z = chance_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % below;
}

static void seed_read(const char *path)
{
	struct stat st;
	FILE *in;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		struct dirent **names;
		int n = scandir(path, &names, NULL, alphasort);
		for (int i = 0; i < n; i++) {
			char inner[4096];
			snprintf(inner, sizeof(inner), "%s/%s", path, names[i]->d_name);
			if (names[i]->d_name[0] != '.')
				seed_read(inner);
			free(names[i]);
		}
		if (n >= 0)
			free(names);
		return;
	}
	in = fopen(path, "rb");
	if (!in || nseeds == SEEDS_MAX) {
		fprintf(stderr, "%s: cannot be read\n", path);
		exit(1);
	}
	struct seed *s = &seeds[nseeds++];
	s->data = malloc(INPUT_MAX);
	if (!s->data)
		abort();
	s->size = fread(s->data, 1, INPUT_MAX, in);
	fclose(in);
}

static uint8_t input[INPUT_MAX];
static size_t input_size;
static char dying_path[PATH_MAX] = "crash-input";

static void cut_out(size_t at, size_t n)
{
	memmove(input + at, input + at + n, input_size - at - n);
	input_size -= n;
}

static void put_in(size_t at, const uint8_t *from, size_t n)
{
	if (n > sizeof(input) - input_size)
		return;
	memmove(input + at + n, input + at, input_size - at);
	memcpy(input + at, from, n);
	input_size += n;
}

static void change_once(void)
{
	static const uint8_t odd[] = {0, 1, 0x7f, 0x80, 0xff, '0', '9', '-', '"', '\\', '{', '[', '\r', '\n', ':', '*'};
	size_t at = chance(input_size + 1);
	uint8_t bytes[8];
	struct seed *other = &seeds[chance(nseeds)];

	switch (chance(6)) {
	case 0:
		if (at < input_size)
			input[at] ^= (uint8_t)(1u << chance(8));
		return;
	case 1:
		if (at < input_size)
			input[at] = odd[chance(sizeof(odd))];
		return;
	case 2: cut_out(at, chance(input_size - at + 1) / (1 + chance(8))); return;
	case 3:
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = chance(2) ? odd[chance(sizeof(odd))] : (uint8_t)chance(256);
		put_in(at, bytes, 1 + chance(sizeof(bytes)));
		return;
	case 4:
		if (other->size) {
			size_t from = chance(other->size);
			put_in(at, other->data + from, chance(other->size - from) + 1);
		}
		return;
	default:
		if (at < input_size) { /* the same again: deeper, longer */
			size_t n = chance(input_size - at) + 1;
			uint8_t *copy = malloc(n);
			if (!copy)
				abort();
			memcpy(copy, input + at, n);
			for (uint64_t times = 1 + chance(4); times > 0; times--)
				put_in(at, copy, n);
			free(copy);
		}
	}
}

/* What ends the program is left in a file. */
static void on_end(int signum)
{
	int fd = open(dying_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, input, input_size) != (ssize_t)input_size)
		_exit(1);
	signal(signum, SIG_DFL);
	raise(signum);
}

static void run_input(void)
{
	uint8_t *copy = malloc(input_size ? input_size : 1); /* of just its size, so that reading beyond it is seen */

	if (!copy)
		abort();
	memcpy(copy, input, input_size);
	fuzz(copy, input_size);
	free(copy);
}

int main(int argc, char **argv)
{
	int64_t seconds = 0, runs = 0;
	struct timespec now;

	chance_state = 1;
	signal(SIGABRT, on_end);
#ifndef ASAN /* which tells of it, and then aborts */
	signal(SIGSEGV, on_end);
#endif
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "-max_total_time=", 16) == 0)
			seconds = atol(argv[i] + 16);
		else if (strncmp(argv[i], "-seed=", 6) == 0)
			chance_state = strtoull(argv[i] + 6, NULL, 10);
		else if (strncmp(argv[i], "-artifact_prefix=", 17) == 0)
			snprintf(dying_path, sizeof(dying_path), "%scrash-input", argv[i] + 17);
		else if (argv[i][0] != '-')
			seed_read(argv[i]);
	}
	for (size_t i = 0; i < nseeds; i++, runs++) {
		memcpy(input, seeds[i].data, input_size = seeds[i].size);
		run_input();
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	for (int64_t end = now.tv_sec + seconds; nseeds && now.tv_sec < end; runs++) {
		struct seed *s = &seeds[chance(nseeds)];
		memcpy(input, s->data, input_size = s->size);
		for (uint64_t n = 1 + chance(6); n > 0; n--)
			change_once();
		run_input();
		if (runs % 16 == 0)
			clock_gettime(CLOCK_MONOTONIC, &now);
	}
	printf("%lld runs, %zu seeds\n", (long long)runs, nseeds);
	for (size_t i = 0; i < nseeds; i++)
		free(seeds[i].data);
	return 0;
}

#endif
#endif
