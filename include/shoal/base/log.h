/* Structured log lines on stderr: JSON, or text for a terminal. One line an event, fields after the message.
 *
 *     log_info("redis connected", LOG_STR("peer", name), LOG_INT("after_ms", ms));
 *
 * Secrets given to log_secret() are replaced by "***" wherever they would appear. */
#ifndef SHOAL_BASE_LOG_H
#define SHOAL_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shoal/base/str.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_AUTO, LOG_JSON, LOG_TEXT }; /* auto: text on a terminal, else JSON */

enum log_kind { LOG_KIND_STR = 1, LOG_KIND_SPAN, LOG_KIND_INT, LOG_KIND_NUM, LOG_KIND_BOOL };
struct log_field {
	const char *key;
	enum log_kind kind;
	union {
		const char *str; /* NULL leaves the field out */
		struct span span;
		int64_t i;
		double num; /* printed with at most three decimals */
		bool b;
	} v;
};
#define LOG_STR(k, s) ((struct log_field){.key = (k), .kind = LOG_KIND_STR, .v.str = (s)})
#define LOG_SPAN(k, s) ((struct log_field){.key = (k), .kind = LOG_KIND_SPAN, .v.span = (s)})
#define LOG_INT(k, n) ((struct log_field){.key = (k), .kind = LOG_KIND_INT, .v.i = (n)})
#define LOG_NUM(k, x) ((struct log_field){.key = (k), .kind = LOG_KIND_NUM, .v.num = (x)})
#define LOG_BOOL(k, x) ((struct log_field){.key = (k), .kind = LOG_KIND_BOOL, .v.b = (x)})

/* program and id stand in every line. Before log_init lines go out as text at level info. */
void log_init(enum log_level level, enum log_format format, const char *program, const char *id);
bool log_enabled(enum log_level level);
/* Whether the terminal shows UTF-8, by LC_ALL, LC_CTYPE, LANG. Where it does not, text lines are plain ASCII. */
bool log_utf8(void);
void log_secret(const char *value); /* copied; shorter than 4 bytes is not masked */

/* One line, at most 4096 bytes: longer values end in "...", and the last fields go where that is not
 * enough. Where stderr takes nothing the line is dropped and counted, never waited for over 200 ms. */
void log_emit(enum log_level level, const char *msg, size_t n, const struct log_field *fields);
/* While held, lines of the levels info and debug wait for log_flush, so that many share a write(2) of at most 4096
 * bytes; of a program that is killed meanwhile they are lost. The loop holds them for one turn. */
void log_hold(bool hold);
void log_flush(void);
#define LOG_AT(level, msg, ...)                                                                                        \
	do {                                                                                                           \
		if (log_enabled(level)) {                                                                              \
			const struct log_field log_f_[] = {{.key = NULL}, __VA_ARGS__};                                \
			log_emit(level, msg, sizeof(log_f_) / sizeof(log_f_[0]) - 1, log_f_ + 1);                      \
		}                                                                                                      \
	} while (0)
#define log_error(...) LOG_AT(LOG_ERROR, __VA_ARGS__, )
#define log_warn(...) LOG_AT(LOG_WARN, __VA_ARGS__, )
#define log_info(...) LOG_AT(LOG_INFO, __VA_ARGS__, )
#define log_debug(...) LOG_AT(LOG_DEBUG, __VA_ARGS__, )

/* For what may happen thousands of times a second: true at most once a second per `last`, which the caller keeps
 * (start it at 0); *suppressed is how many were held back since: log it and set it to 0. */
bool log_due(int64_t *last, unsigned *suppressed);

#endif
