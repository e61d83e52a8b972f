#include "shoal/worker/schema.h"

#include <stdlib.h>
#include <string.h>

#include "shoal/base/embed.h"
#include "shoal/base/log.h"
#include "shoal/store/sql.h"

#define FOLDER "sql/migrations/"

/* The number of the last file, as they are sorted: "sql/migrations/018_ladder_rules.sql". */
static int64_t newest_known(void)
{
	int64_t version = 0;

	for (const struct embed_file *f = embed_files; f->name; f++)
		if (strncmp(f->name, FOLDER, strlen(FOLDER)) == 0)
			version = strtoll(f->name + strlen(FOLDER), NULL, 10);
	return version;
}

static void on_newest(void *arg, enum err err, struct pg_rows *rows, const struct pg_fault *fault)
{
	int64_t has, known = newest_known();
	const PGresult *res;

	(void)arg;
	(void)fault; /* no schema at all is told by those who need it */
	if (err != ERR_OK)
		return;
	res = pg_rows_whole(rows);
	if (PQntuples(res) == 1 && span_i64(span_of(PQgetvalue(res, 0, 0)), &has) && has != known) {
		if (has > known)
			log_info("the schema is newer than this program, which goes on with it",
			         LOG_INT("known", known), LOG_INT("schema", has),
			         LOG_STR("name", PQgetvalue(res, 0, 1)));
		else
			log_warn("the schema is older than this program: run `shoal migrate`", LOG_INT("known", known),
			         LOG_INT("schema", has), LOG_STR("name", PQgetvalue(res, 0, 1)));
	}
}

void schema_look(struct pg *pg)
{
	pg_exec(pg, sql_get("schema_newest"), NULL, on_newest, NULL);
}
