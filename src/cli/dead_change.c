/* shoal dead retry, drop. */
#include "shoal/cli/dead_each.h"

/* --- retry */

static struct queue_call *retry_call(struct shard_set *set, struct arena *a, const struct shard *shard, const char *id)
{
	return dead_retry_call(a, shard->n, set->n, id, args_has(set->s->args, "force"));
}

static enum err retry_read(const redisReply *r, struct arena *a, const char **text)
{
	const char *entry, *why;
	enum err err = dead_retry_read(r, a, &entry, &why);

	*text = err == ERR_OK         ? arena_printf(a, "it is entry %s now", entry)
	        : err == ERR_CONFLICT ? arena_printf(a, "%s; --force retries it all the same", why)
	                              : why;
	return err;
}

int dead_retry(struct session *s)
{
	static const struct dead_change retry = {"retrying", "retried", NULL, retry_call, retry_read};

	return dead_each(s, &retry, "retry");
}

/* --- drop */

static struct queue_call *drop_call(struct shard_set *set, struct arena *a, const struct shard *shard, const char *id)
{
	return dead_drop_call(a, shard->n, set->n, id);
}

static const char *or_none(struct span s)
{
	return s.ptr && s.len ? s.ptr : "none";
}

static enum err drop_read(const redisReply *r, struct arena *a, const char **text)
{
	struct dead_letter l;
	const char *why;
	enum err err = dead_drop_read(r, a, &l, &why);

	*text = err != ERR_OK ? why
	                      : arena_printf(a, "bot %s, lane %s, key %s, error %s", or_none(l.bot), or_none(l.lane),
	                                     or_none(l.key), or_none(l.error));
	return err;
}

/* Named ones are meant. */
static bool drop_confirm(struct session *s, bool all, size_t n)
{
	return !all || session_confirm(
	                   s, arena_printf(s->a, "Drop %zu dead letters, so that these updates are never handled?", n),
	                   "dropping them all", "dropped");
}

int dead_drop(struct session *s)
{
	static const struct dead_change drop = {"dropping", "dropped", drop_confirm, drop_call, drop_read};

	return dead_each(s, &drop, "drop");
}
