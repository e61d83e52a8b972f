#include <string.h>

#include "shoal/base/metrics.h"
#include "shoal/io/pg.h"
#include "shoal/io/pg_conn.h"

/* The longest prefix that fits wins, so the order does not matter. */
static const struct {
	const char *prefix;
	enum err err;
} states[] = {
    {"00", ERR_OK},
    {"08", ERR_UNKNOWN}, /* a pooler lost its server */
    {"08P01", ERR_INTERNAL},
    {"22", ERR_INVALID},
    {"23", ERR_INVALID},
    {"23505", ERR_EXISTS},
    {"25006", ERR_UNREACHABLE}, /* read-only */
    {"25P03", ERR_UNREACHABLE}, /* the session was idle for too long */
    {"25P04", ERR_UNREACHABLE},
    {"28", ERR_DENIED},
    {"3D", ERR_UNREACHABLE}, /* no such database */
    {"3F", ERR_UNREACHABLE}, /* no such schema */
    {"40001", ERR_CONFLICT},
    {"40003", ERR_UNKNOWN}, /* completion unknown */
    {"40P01", ERR_CONFLICT},
    /* the catalogue is fixed: where a table, column or function is missing, it is the schema that is not there (yet) */
    {"42501", ERR_DENIED},
    {"42703", ERR_UNREACHABLE},
    {"42704", ERR_UNREACHABLE},
    {"42883", ERR_UNREACHABLE},
    {"42P01", ERR_UNREACHABLE},
    {"53", ERR_FULL},
    {"53300", ERR_UNREACHABLE}, /* too many connections */
    {"55P03", ERR_UNREACHABLE}, /* a lock was not to be had in time */
    {"57014", ERR_TIMEOUT},
    {"57P", ERR_UNREACHABLE}, /* shutting down, starting, database dropped */
    {"58", ERR_UNREACHABLE},  /* trouble of the server's machine */
    {"SH001", ERR_CONFLICT},
};

enum err pg_classify(const char *sqlstate)
{
	enum err err = ERR_INTERNAL;
	size_t best = 0;

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		size_t len = strlen(states[i].prefix);

		if (len > best && strncmp(sqlstate, states[i].prefix, len) == 0) {
			best = len;
			err = states[i].err;
		}
	}
	return err;
}

void pg_count_error(const char *kind)
{
	struct metric *m = metric_counter("shoal_errors_total", "peer,kind", "Errors by peer and kind.");

	series_add(SERIES(m, "postgres", kind), 1);
}
