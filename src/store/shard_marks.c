#include "shoal/store/shard_marks.h"

#include "shoal/base/clock.h"

void shard_marks_told(struct shard_marks *m, unsigned shard, enum shard_mark mark)
{
	if (mark != MARK_NONE) {
		m->v[shard].anothers = mark == MARK_ANOTHERS;
		m->v[shard].bare_since_ms = 0;
	} else if (!m->v[shard].bare_since_ms) {
		m->v[shard].bare_since_ms = clock_ms();
	}
}

void shard_marks_unseen(struct shard_marks *m, unsigned shard)
{
	m->v[shard].bare_since_ms = 0;
}

bool shard_marks_may_mark(const struct shard_marks *m, unsigned shard)
{
	for (unsigned i = 0; i < SHARDS_LIMIT; i++)
		if (i != shard && m->v[i].anothers && !m->v[i].bare_since_ms)
			return false;
	return !m->v[shard].anothers ||
	       (m->v[shard].bare_since_ms && clock_ms() - m->v[shard].bare_since_ms >= SHARD_BARE_MS);
}
