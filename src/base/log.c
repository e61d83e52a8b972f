#include "shoal/base/log.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shoal/base/arena.h"
#include "shoal/base/clock.h"
#include "shoal/base/json.h"

enum {
	LINE_MAX_BYTES = 4096, /* PIPE_BUF: one write is one piece, and poll() tells the truth about its room */
	VALUE_MAX_BYTES = 2048,
	SECRET_MIN_BYTES = 4,
	STUCK_MS = 200
};

struct secret {
	char *text;
	size_t len;
};

/* The one place for process-wide state that is not passed: a log line may come from anywhere. */
static struct {
	enum log_level level;
	enum log_format format;
	bool ascii;
	char *program, *id;
	struct secret *secrets; /* longest first, so that none is cut by a shorter one */
	size_t nsecrets;
	struct buf line, scratch; /* of the line under way; kept for the next one */
	struct buf held;          /* whole lines that log_flush writes */
	unsigned nheld;
	bool holds;
	uint64_t lost;
	bool torn, stuck;
} state = {.level = LOG_INFO,
           .format = LOG_TEXT,
           .ascii = true,
           .line = {.max = SIZE_MAX / 4},
           .scratch = {.max = SIZE_MAX / 4},
           .held = {.max = SIZE_MAX / 4}};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

bool log_utf8(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *v = getenv(names[i]);

		if (v && *v)
			return strcasestr(v, "UTF-8") || strcasestr(v, "utf8");
	}
	return false;
}

void log_init(enum log_level level, enum log_format format, const char *program, const char *id)
{
	struct sigaction pipe_action;

	free(state.program);
	free(state.id);
	state.level = level;
	state.format = format != LOG_AUTO ? format : isatty(STDERR_FILENO) ? LOG_TEXT : LOG_JSON;
	state.ascii = !log_utf8();
	state.program = program ? mem_strdup(program) : NULL;
	state.id = id ? mem_strdup(id) : NULL;
	/* A reader of stderr that went away must not end the program. */
	if (sigaction(SIGPIPE, NULL, &pipe_action) == 0 && pipe_action.sa_handler == SIG_DFL)
		signal(SIGPIPE, SIG_IGN);
}

bool log_enabled(enum log_level level)
{
	return level <= state.level;
}

void log_secret(const char *value)
{
	size_t len = value ? strlen(value) : 0, at = 0;

	if (len < SECRET_MIN_BYTES)
		return;
	for (size_t i = 0; i < state.nsecrets; i++) {
		if (strcmp(state.secrets[i].text, value) == 0)
			return;
		at += state.secrets[i].len >= len;
	}
	state.secrets = mem_realloc(state.secrets, (state.nsecrets + 1) * sizeof(*state.secrets));
	memmove(state.secrets + at + 1, state.secrets + at, (state.nsecrets - at) * sizeof(*state.secrets));
	state.secrets[at] = (struct secret){mem_strdup(value), len};
	state.nsecrets++;
}

/* --- values */

/* The first secret in s from i on, and where; of those that begin at one place the longest. */
static const struct secret *find_secret(struct span s, size_t i, size_t *at)
{
	const struct secret *found = NULL;

	for (size_t k = 0; k < state.nsecrets; k++) {
		const struct secret *secret = &state.secrets[k];
		const char *p =
		    secret->len <= s.len - i ? memmem(s.ptr + i, s.len - i, secret->text, secret->len) : NULL;

		if (p && (!found || (size_t)(p - s.ptr) < *at)) {
			found = secret;
			*at = (size_t)(p - s.ptr);
		}
	}
	return found;
}

/* Cuts at the limit before a character that would not fit. */
static struct span shorten(struct span s, size_t limit)
{
	if (s.len <= limit)
		return s;
	while (limit > 0 && ((unsigned char)s.ptr[limit] & 0xC0) == 0x80)
		limit--;
	return (struct span){s.ptr, limit};
}

/* s without secrets, at most limit bytes and "...". Masked before it is cut: half a secret is one too. */
static void add_masked(struct buf *out, struct span s, size_t limit)
{
	const struct secret *secret;
	size_t from = 0, at = 0;
	struct span cut;

	while (from < s.len && (secret = find_secret(s, from, &at))) {
		buf_add(out, s.ptr + from, at - from);
		buf_adds(out, "***");
		from = at + secret->len;
	}
	if (from < s.len)
		buf_add(out, s.ptr + from, s.len - from);
	cut = shorten(buf_span(out), limit);
	if (cut.len < out->len) {
		out->len = cut.len;
		buf_adds(out, "...");
	}
}

/* --- lines. Both forms write into a line whose values are at most `limit` bytes long. */

struct line {
	struct buf *out;
	size_t limit;
};

static struct span masked(struct line *l, struct span s)
{
	size_t at;

	if (s.len <= l->limit && !find_secret(s, 0, &at))
		return s;
	buf_clear(&state.scratch);
	add_masked(&state.scratch, s, l->limit);
	return buf_span(&state.scratch);
}

static bool field_text(const struct log_field *f, struct span *text)
{
	*text = f->kind == LOG_KIND_STR ? span_of(f->v.str) : f->v.span;
	return f->kind == LOG_KIND_STR || f->kind == LOG_KIND_SPAN;
}

static bool field_absent(const struct log_field *f)
{
	return f->kind == LOG_KIND_STR && !f->v.str;
}

/* At most three decimals: what is below a microsecond of a time in ms is noise. */
static void put_num(struct json_writer *w, double v)
{
	char text[32];
	int64_t n;
	int len;

	if (!(fabs(v) < 1e12)) {
		json_put_num(w, v);
		return;
	}
	n = llround(v * 1e3);
	len = snprintf(text, sizeof(text), "%s%lld.%03lld", n < 0 ? "-" : "", llabs(n) / 1000, llabs(n) % 1000);
	while (text[len - 1] == '0')
		len--;
	json_put_raw(w, (struct span){text, (size_t)(len - (text[len - 1] == '.'))});
}

static void put_scalar(struct json_writer *w, const struct log_field *f)
{
	if (f->kind == LOG_KIND_INT)
		json_put_i64(w, f->v.i);
	else if (f->kind == LOG_KIND_NUM)
		put_num(w, f->v.num);
	else
		json_put_bool(w, f->v.b);
}

static void json_line(struct line *l, const char *time, enum log_level level, const char *msg, size_t n,
                      const struct log_field *fields)
{
	struct json_writer w;

	json_writer_init(&w, l->out);
	json_begin_obj(&w);
	json_kv_str(&w, "time", time);
	json_kv_str(&w, "level", level_names[level]);
	if (state.program)
		json_kv_str(&w, "program", state.program);
	if (state.id)
		json_kv_str(&w, "id", state.id);
	json_key(&w, "msg");
	json_put_span(&w, masked(l, span_of(msg)));
	for (size_t i = 0; i < n; i++) {
		struct span text;

		if (field_absent(&fields[i]))
			continue;
		json_key(&w, fields[i].key);
		if (field_text(&fields[i], &text))
			json_put_span(&w, masked(l, text));
		else
			put_scalar(&w, &fields[i]);
	}
	json_end_obj(&w);
}

/* Nothing that moves a terminal's cursor or starts a new line: controls (C1 too) and, on a terminal that is not UTF-8,
 * everything beyond ASCII are written as numbers. */
static void add_printable(struct buf *out, struct span s, bool quoted)
{
	for (size_t i = 0; i < s.len;) {
		unsigned char c = (unsigned char)s.ptr[i];
		size_t n = utf8_char_len(s.ptr + i, s.len - i);
		unsigned code = n > 1 ? utf8_code(s.ptr + i, n) : c;

		if (n == 0)
			buf_adds(out, state.ascii ? "?" : "\xEF\xBF\xBD");
		else if (code < 0x20 || code == 0x7F || (n > 1 && (state.ascii || code < 0xA0)))
			buf_addf(out, code > 0xFFFF ? "\\U%08x" : "\\u%04x", code);
		else if (quoted && (c == '"' || c == '\\'))
			buf_addf(out, "\\%c", c);
		else
			buf_add(out, s.ptr + i, n);
		i += n ? n : 1;
	}
}

static bool needs_quotes(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.ptr[i] <= ' ' || s.ptr[i] == '"' || s.ptr[i] == '=' || s.ptr[i] == '\\')
			return true;
	}
	return s.len == 0;
}

static void text_value(struct line *l, struct span s)
{
	struct span value = masked(l, s);
	bool quoted = needs_quotes(value);

	if (quoted)
		buf_addc(l->out, '"');
	add_printable(l->out, value, quoted);
	if (quoted)
		buf_addc(l->out, '"');
}

static void text_line(struct line *l, const char *time, enum log_level level, const char *msg, size_t n,
                      const struct log_field *fields)
{
	struct json_writer w;

	buf_addf(l->out, "%s %-5s ", time, level_names[level]);
	if (state.program)
		buf_addf(l->out, "%s%s%s: ", state.program, state.id ? " " : "", state.id ? state.id : "");
	add_printable(l->out, masked(l, span_of(msg)), false);
	for (size_t i = 0; i < n; i++) {
		struct span text;

		if (field_absent(&fields[i]))
			continue;
		buf_addf(l->out, " %s=", fields[i].key);
		json_writer_init(&w, l->out);
		if (field_text(&fields[i], &text))
			text_value(l, text);
		else
			put_scalar(&w, &fields[i]);
	}
}

/* --- out of the door */

/* Waits for room, but only once for long: while the reader stands still, lines are dropped at once. */
static bool has_room(void)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

	state.stuck = poll(&p, 1, state.stuck ? 0 : STUCK_MS) == 0;
	return !state.stuck;
}

static void write_lines(const struct buf *b, unsigned lines)
{
	/* after a full disk the next line starts on its own */
	struct iovec parts[] = {{"\n", state.torn}, {b->ptr, b->len}};
	ssize_t whole = (ssize_t)b->len + state.torn, n;

	do {
		n = has_room() ? writev(STDERR_FILENO, parts, 2) : -1;
	} while (n < 0 && errno == EINTR && !state.stuck);
	if (n == whole)
		state.torn = false;
	else if (n > 0)
		state.torn = true;
	if (n != whole)
		state.lost += lines;
}

static void flush(void)
{
	if (state.nheld)
		write_lines(&state.held, state.nheld);
	buf_clear(&state.held);
	state.nheld = 0;
}

static void render(size_t limit, enum log_level level, const char *msg, size_t n, const struct log_field *fields)
{
	struct line l = {.out = &state.line, .limit = limit};
	char time[32];

	clock_rfc3339(clock_wall_ms(), time, sizeof(time));
	buf_clear(&state.line);
	(state.format == LOG_JSON ? json_line : text_line)(&l, time, level, msg, n, fields);
	buf_addc(&state.line, '\n');
}

static void emit(enum log_level level, const char *msg, size_t n, const struct log_field *fields)
{
	size_t limit = VALUE_MAX_BYTES;

	render(limit, level, msg, n, fields);
	/* Too long: shorter values first, then fewer fields. */
	while (state.line.len >= LINE_MAX_BYTES && (limit > 64 || n > 0)) {
		if (limit > 64)
			limit /= 2;
		else
			n /= 2;
		render(limit, level, msg, n, fields);
	}
	if (state.held.len + state.line.len >= LINE_MAX_BYTES) /* one less: a torn line's end may come before it */
		flush();
	buf_add(&state.held, state.line.ptr, state.line.len);
	state.nheld++;
	if (!state.holds || level < LOG_INFO)
		flush();
}

static void tell_lost(void)
{
	struct log_field lost = LOG_INT("lines", (int64_t)state.lost);

	if (state.lost == 0 || state.stuck || state.torn)
		return;
	state.lost = 0;
	emit(LOG_WARN, "log lines were lost: stderr took none", 1, &lost);
}

void log_flush(void)
{
	int saved = errno;

	flush();
	tell_lost();
	errno = saved;
}

void log_hold(bool hold)
{
	static bool at_exit;

	if (!at_exit)
		atexit(log_flush);
	at_exit = true;
	state.holds = hold;
	if (!hold)
		log_flush();
}

void log_emit(enum log_level level, const char *msg, size_t n, const struct log_field *fields)
{
	int saved = errno;

	emit(level, msg, n, fields);
	tell_lost();
	errno = saved;
}

bool log_due(int64_t *last, unsigned *suppressed)
{
	int64_t now = clock_ms();

	if (*last != 0 && now - *last < 1000) {
		++*suppressed;
		return false;
	}
	*last = now;
	return true;
}
