#include "turn_walk.h"

#define WORKERS 4
#define HANDS_MAX 300
#define LATE_MAX 16
#define KEY "shoal:{0}:"
#define NOT_ENDING_MS 600 /* between two calls while a walk ends: less than would look like a stall */

struct worker {
	int names[OLD_MAX + 1], nnames; /* the last is the present one; those before may still be registered */
	int hands[HANDS_MAX], nhands;   /* what it believes to hold */
	bool alive, connected;
	int asleep; /* steps that it sleeps through */
};

/* What a walk does often; each a chance in 1,000. */
struct mood {
	int lose, late, die, leave, reconnect, sleep, damage, pause, except;
	int poison; /* of entries */
	int appends, burst, large;
	int stall, far; /* jumps of the clock */
};

struct walk {
	struct model m;
	struct turn_redis *redis;
	uint64_t rng;
	struct mood mood;
	bool damaging; /* deletions and clocks by hand are part of this walk */
	struct worker workers[WORKERS];
	struct call *late[LATE_MAX];
	int nlate, until_mood;
	struct id next;
	FILE *trace;
	long step;
	struct call call;
};

/* --- chance */

static uint32_t chance(struct walk *w)
{
	w->rng ^= w->rng >> 12;
	w->rng ^= w->rng << 25;
	w->rng ^= w->rng >> 27;
	return (uint32_t)(w->rng * 0x2545f4914f6cdd1dULL >> 32);
}

static int below(struct walk *w, int n)
{
	return n > 0 ? (int)(chance(w) % (uint32_t)n) : 0;
}

static bool often(struct walk *w, int of_1000)
{
	return below(w, 1000) < of_1000;
}

__attribute__((format(printf, 2, 3))) static void trace(struct walk *w, const char *fmt, ...)
{
	if (!w->trace)
		return;
	va_list ap;
	va_start(ap, fmt);
	vfprintf(w->trace, fmt, ap);
	va_end(ap);
}

static const struct mood moods[] = {
    /* lose late die leave reconnect sleep damage pause except poison appends burst large stall far */
    {10, 10, 3, 5, 10, 3, 4, 2, 10, 0, 400, 5, 0, 1, 1},
    {150, 150, 10, 10, 60, 10, 4, 2, 10, 0, 400, 5, 0, 1, 1},  /* a bad network */
    {10, 10, 120, 10, 10, 10, 0, 0, 5, 0, 500, 5, 0, 0, 0},    /* nodes go down */
    {10, 10, 5, 10, 10, 5, 0, 0, 5, 60, 300, 2, 0, 0, 0},      /* entries that kill */
    {10, 10, 60, 10, 10, 10, 2, 5, 20, 30, 400, 5, 0, 1, 0},   /* both */
    {20, 20, 5, 10, 10, 5, 5, 60, 150, 5, 500, 5, 0, 1, 12},   /* operators at work */
    {20, 20, 20, 60, 20, 20, 60, 10, 20, 2, 400, 10, 0, 5, 5}, /* a bad day */
    {5, 5, 5, 5, 5, 5, 0, 2, 5, 0, 600, 60, 6, 1, 0},          /* much to do */
    {10, 10, 80, 10, 10, 10, 0, 0, 5, 0, 100, 0, 25, 0, 0},    /* large ones, and nodes go down */
};

/* --- the world beside the workers */

static void next_id(struct walk *w)
{
	switch (below(w, 8)) {
	case 0:
	case 1:
	case 2: w->next.seq++; break;
	case 3: w->next = (struct id){w->next.ms + 1, 0}; break;
	case 4: w->next = (struct id){w->next.ms + 1 + (uint64_t)below(w, 100), (uint64_t)below(w, 12)}; break;
	case 5: w->next = (struct id){w->next.ms + 7, 9}; break;
	case 6: w->next.seq += (uint64_t)below(w, 90) + 1; break;
	default: /* one digit more */
		if (w->next.ms < 1000000000000 && often(w, 100))
			w->next.ms *= 10;
		w->next = (struct id){w->next.ms + 2, 0};
	}
}

static int new_entry(struct walk *w)
{
	struct model *m = &w->m;
	int i = model_entry(m);
	struct entry *e = &m->entries[i];
	next_id(w);
	e->id = w->next;
	e->lane = below(w, often(w, 500) ? 2 : LANES);
	e->bot = below(w, BOTS);
	return i;
}

static void append(struct walk *w, int i)
{
	char id[48];
	const struct entry *e = &w->m.entries[i];
	turn_redis_send_entry(w->redis, &w->m, i);
	model_appended(&w->m, i);
	trace(w, "    append %s lane \"%.30s\" bot %s key %d%s%s%s\n", id_text(e->id, id), lane_names[e->lane],
	      bot_names[e->bot], e->key, e->odd >= BAD_NO_BOT ? " bad" : "", e->poison ? " poison" : "",
	      e->again ? " again" : "");
}

static void append_new(struct walk *w, bool large)
{
	struct model *m = &w->m;
	int i = new_entry(w);
	struct entry *e = &m->entries[i];
	if (often(w, 40))
		e->odd = (enum oddity)(1 + below(w, ODDITIES - 1));
	if (e->odd == SOUND && large)
		e->size = 300000 + (unsigned)below(w, 400000);
	e->poison = often(w, w->mood.poison);
	if (e->odd != SOUND_EMPTY_KEY && often(w, 500)) {
		bool known = often(w, 250) && m->nkeys > 0;
		e->key = known ? m->nkeys - 1 - below(w, m->nkeys < 12 ? m->nkeys : 12) : model_key(m);
	}
	append(w, i);
}

/* A dead letter is tried again, by the script that does it. */
static void second_life(struct walk *w)
{
	struct model *m = &w->m;
	int letter = below(w, LETTERS), i;
	bool force = often(w, 500);
	char id[48];
	if (!m->letters[letter].id[0] || m->entries[m->letters[letter].entry].odd >= BAD_NO_BOT)
		return;
	i = new_entry(w);
	trace(w, "    retry of the dead letter %s%s as %s\n", id_text(m->entries[m->letters[letter].entry].id, id),
	      force ? " by force" : "", id_text(m->entries[i].id, id));
	model_judge_retry(m, letter, force, i,
	                  turn_redis_retry(w->redis, m, m->letters[letter].id, force, m->entries[i].id));
}

/* The key of a dead letter is forgotten, and comes again with another entry. */
static void key_comes_again(struct walk *w)
{
	struct model *m = &w->m;
	const struct letter *l = &m->letters[below(w, LETTERS)];
	struct span f[FIELDS_MAX];
	char key[300];
	if (!l->id[0] || m->entries[l->entry].key < 0 || m->entries[l->entry].odd != SOUND)
		return;
	int i = new_entry(w), old = l->entry;
	m->entries[i].key = m->entries[old].key;
	for (int k = entry_fields(m, old, f) - 2; k >= 0; k -= 2)
		if (!strcmp(f[k].ptr, "key"))
			snprintf(key, sizeof(key), "%.*s", (int)f[k + 1].len, f[k + 1].ptr);
	turn_redis_send(w->redis, "HDEL " KEY "seen %s", key);
	turn_redis_send(w->redis, "HDEL " KEY "seen_old %s", key);
	m->marks[m->entries[i].key].entry = -1;
	append(w, i);
}

static void delete_entry(struct walk *w)
{
	struct model *m = &w->m;
	char id[48];
	if (!m->nlive)
		return;
	int i = m->live[below(w, m->nlive)];
	struct entry *e = &m->entries[i];
	if (!e->there)
		return;
	id_text(e->id, id);
	trace(w, "    XDEL %s\n", id);
	turn_redis_send(w->redis, "XDEL " KEY "updates %s", id);
	if (e->noted && e->place == UNREAD)
		turn_redis_send(w->redis, "HDEL " KEY "tries %s", id);
	model_deleted(m, i);
}

static void delete_stream(struct walk *w)
{
	struct model *m = &w->m;
	trace(w, "    DEL updates\n");
	turn_redis_send(w->redis, "DEL " KEY "updates");
	for (int i = 0; i < m->nlive; i++) {
		struct entry *e = &m->entries[m->live[i]];
		if (model_is_over(e))
			continue;
		if (e->noted && e->place == UNREAD) {
			char id[48];
			turn_redis_send(w->redis, "HDEL " KEY "tries %s", id_text(e->id, id));
		}
		model_deleted(m, m->live[i]);
	}
	model_group_lost(m);
	m->last = (struct id){0, 0};
}

static void destroy_group(struct walk *w)
{
	trace(w, "    XGROUP DESTROY workers\n");
	turn_redis_send(w->redis, "XGROUP DESTROY " KEY "updates workers");
	if (often(w, 300))
		turn_redis_send(w->redis, "XGROUP DESTROY " KEY "updates bell");
	model_group_lost(&w->m);
}

static void delete_tries(struct walk *w)
{
	struct model *m = &w->m;
	for (int i = 0; i < m->nlive; i++) {
		struct entry *e = &m->entries[m->live[i]];
		char id[48];
		if (model_is_over(e) || !e->noted || often(w, 500))
			continue;
		id_text(e->id, id);
		e->retries = e->takeovers = e->sent = 0;
		if (often(w, 500)) {
			turn_redis_send(w->redis, "HSET " KEY "tries %s nonsense", id);
		} else {
			e->noted = false;
			turn_redis_send(w->redis, "HDEL " KEY "tries %s", id);
		}
		trace(w, "    the tries of %s deleted\n", id);
	}
}

static void delete_bookkeeping(struct walk *w)
{
	trace(w, "    DEL lanes waiting due tries, XGROUP DESTROY workers\n");
	turn_redis_send(w->redis, "DEL " KEY "lanes " KEY "waiting " KEY "due " KEY "tries");
	turn_redis_send(w->redis, "XGROUP DESTROY " KEY "updates workers");
	model_bookkeeping_lost(&w->m);
}

/* A lane with one entry, and the group: it is read anew. */
static void delete_lane(struct walk *w)
{
	struct model *m = &w->m;
	int lane = below(w, LANES), i = m->lanes[lane].n == 1 ? m->lanes[lane].queue[0] : -1;
	char id[48], member[320];
	if (i < 0 || !m->entries[i].there || (m->entries[i].place != HELD && m->entries[i].place != DUE))
		return;
	id_text(m->entries[i].id, id);
	trace(w, "    the lane of %s deleted, XGROUP DESTROY workers\n", id);
	snprintf(member, sizeof(member), "%s %s", id, lane_names[lane]);
	turn_redis_send(w->redis, "HDEL " KEY "lanes %s", lane_names[lane]);
	turn_redis_send(w->redis, "ZREM " KEY "due %s", member);
	turn_redis_send(w->redis, "HDEL " KEY "tries %s", id);
	turn_redis_send(w->redis, "XGROUP DESTROY " KEY "updates workers");
	model_lane_lost(m, i);
}

static void delete_conf(struct walk *w)
{
	trace(w, "    DEL conf\n");
	turn_redis_send(w->redis, "DEL " KEY "conf");
	model_conf_lost(&w->m);
}

static void another_redis(struct walk *w)
{
	trace(w, "    conf is from another Redis\n");
	turn_redis_send(w->redis, "HSET " KEY "conf run another");
	w->m.run = RUN_ANOTHER;
	if ((int64_t)w->next.ms < w->m.now) /* what comes next has ids of now, and of a while ahead */
		w->next = (struct id){(uint64_t)(w->m.now + below(w, 90000)), 0};
}

static void delete_all(struct walk *w)
{
	trace(w, "    FLUSHALL\n");
	turn_redis_send(w->redis, "FLUSHALL");
	model_all_lost(&w->m);
}

static void put_junk_in_due(struct walk *w)
{
	char member[300];
	snprintf(member, sizeof(member), "0-%d %s", below(w, 9), lane_names[below(w, LANES)]);
	trace(w, "    junk in due: %s\n", member);
	turn_redis_send(w->redis, "ZADD " KEY "due %d %s", below(w, 1000), member);
	w->m.junk_due++;
}

/* An entry that waits, by the look of it, but is not in the stream. */
static void put_phantom_in_waiting(struct walk *w)
{
	struct model *m = &w->m;
	int lane = below(w, LANES), i;
	char member[400];
	if (!m->lanes[lane].n)
		return;
	for (int k = 0; k < m->nlive; k++) /* those that wait are older than those that are unread */
		if (m->entries[m->live[k]].place == UNREAD && m->entries[m->live[k]].lane == lane)
			return;
	i = new_entry(w);
	m->entries[i].lane = lane;
	snprintf(member, sizeof(member), "%s\1%020llu-%020llu", lane_names[lane], (unsigned long long)w->next.ms,
	         (unsigned long long)w->next.seq);
	trace(w, "    a phantom waits in %s\n", lane_names[lane]);
	turn_redis_send(w->redis, "ZADD " KEY "waiting 0 %s", member);
	model_phantom(m, i);
}

/* A deadline far ahead, as after a clock that went back. */
static void put_deadline_ahead(struct walk *w)
{
	struct model *m = &w->m;
	if (!m->nregistered)
		return;
	struct name *n = &m->names[m->registered[below(w, m->nregistered)]];
	n->deadline = m->now + 100 * TTL;
	trace(w, "    the deadline of %s far ahead\n", n->text);
	turn_redis_send(w->redis, "ZADD " KEY "workers %lld %s", (long long)n->deadline, n->text);
}

static void clock_back(struct walk *w)
{
	int ms = often(w, 500) ? 1 + below(w, 900) : 1100 + below(w, 4 * KEY_LIFE);
	trace(w, "    the clock goes back %d ms\n", ms);
	w->m.now -= ms;
}

static void damage(struct walk *w)
{
	static void (*const ways[])(struct walk *) = {
	    delete_entry, delete_entry,       delete_entry,       delete_entry,    delete_entry,
	    delete_entry, delete_entry,       delete_entry,       destroy_group,   destroy_group,
	    delete_tries, delete_bookkeeping, delete_lane,        put_junk_in_due, put_phantom_in_waiting,
	    delete_conf,  clock_back,         put_deadline_ahead, delete_stream,   another_redis};
	if (often(w, 10))
		delete_all(w);
	else
		ways[below(w, (int)(sizeof(ways) / sizeof(ways[0])))](w);
}

static void set_pause(struct walk *w, int pause)
{
	trace(w, "    pause \"%s\"\n", pause_texts[pause]);
	if (pause)
		turn_redis_send(w->redis, "HSET " KEY "conf paused %s", pause_texts[pause]);
	else
		turn_redis_send(w->redis, "HDEL " KEY "conf paused");
	model_set_pause(&w->m, pause);
}

/* Never exactly at a limit: what happens there is nobody's promise. */
static void leave_limits(struct model *m)
{
	for (bool moved = true; moved;) {
		moved = m->now - m->turned == TTL / 2 || m->now - m->rotated == KEY_LIFE || m->now - m->claim_till == 0;
		for (int i = 0; i < m->nregistered; i++)
			moved = moved || m->names[m->registered[i]].deadline == m->now;
		m->now += moved;
	}
}

static void move_clock(struct walk *w)
{
	struct model *m = &w->m;
	int r = below(w, 1000);
	if (r >= 400 && r < 850)
		m->now += below(w, 20);
	else if (r >= 850 && r < 970)
		m->now += below(w, 400);
	else if (r >= 970)
		m->now += 400 + below(w, 1000);
	if (often(w, w->mood.stall))
		m->now += TTL / 2 + below(w, 20000);
	if (often(w, w->mood.far))
		m->now += KEY_LIFE + below(w, KEY_LIFE);
}

static void world(struct walk *w)
{
	struct model *m = &w->m;
	move_clock(w);
	if (often(w, w->mood.appends) && m->nlive < 120)
		for (int n = 1 + below(w, 3); n > 0; n--)
			append_new(w, false);
	if (often(w, w->mood.burst) && m->nlive < 200)
		for (int n = 5 + below(w, 80); n > 0; n--)
			append_new(w, false);
	if (often(w, w->mood.large))
		for (int n = 6; n > 0; n--)
			append_new(w, true);
	if (often(w, 15))
		second_life(w);
	if (often(w, 3))
		key_comes_again(w);
	if (w->damaging && often(w, w->mood.damage))
		damage(w);
	/* with pauses the same ones for a while, without them none */
	if (m->conf && often(w, w->mood.pause))
		set_pause(w, below(w, PAUSES));
	else if (m->paused && often(w, 20))
		set_pause(w, 0);
	leave_limits(m);
}

/* --- calls */

static const char *const report_names[] = {"done", "later", "retry", "retry?", "dead", "sent"};
static const char *const mode_names[] = {"work", "leave", "hello"};

static void trace_call(struct walk *w, const struct call *c, const char *fate)
{
	const struct model *m = &w->m;
	char id[48];
	if (!w->trace)
		return;
	trace(w, "%ld: %s%s %s want %d%s except %x now %lld", w->step, fate, m->names[c->name].text,
	      mode_names[c->mode], c->want, c->empty_handed ? " empty" : "", c->except, (long long)m->now);
	for (int i = 0; i < c->nreports; i++)
		trace(w, " %s %s%s %lld", report_names[c->reports[i].kind],
		      id_text(m->entries[c->reports[i].entry].id, id),
		      m->entries[c->reports[i].entry].lane == c->reports[i].lane ? "" : "(wrong lane)",
		      (long long)c->reports[i].number);
	for (int i = 0; i < c->nold; i++)
		trace(w, " was %s", m->names[c->old[i]].text);
	for (int i = 0; i < c->nkept; i++)
		trace(w, " keep %s", id_text(m->entries[c->kept[i]].id, id));
	trace(w, "%s%s\n", c->foreign ? " version " : "", c->foreign ? c->foreign : "");
}

static void trace_reply(struct walk *w, const redisReply *r, int depth)
{
	if (!r)
		return;
	if (r->type == REDIS_REPLY_ARRAY) {
		trace(w, "%s", depth ? "{" : "    -> ");
		for (size_t i = 0; i < r->elements; i++) {
			trace(w, "%s", i ? " " : "");
			trace_reply(w, r->element[i], depth + 1);
		}
		trace(w, "%s", depth ? "}" : "\n");
	} else if (r->type == REDIS_REPLY_INTEGER) {
		trace(w, "%lld", r->integer);
	} else {
		trace(w, "%.40s%s", r->str ? r->str : "-", depth ? "" : "\n");
	}
}

static const struct answer *perform(struct walk *w, const struct call *c, const char *fate)
{
	struct model *m = &w->m;
	struct observed o;
	trace_call(w, c, fate);
	turn_redis_call(w->redis, m, c, &o);
	trace_reply(w, o.answer, 0);
	model_judge(m, c, &o, w->redis->redis);
	return &m->answer;
}

static void drop_hand(struct worker *k, int entry)
{
	for (int i = 0; i < k->nhands; i++)
		if (k->hands[i] == entry) {
			memmove(k->hands + i, k->hands + i + 1, (size_t)(k->nhands - i - 1) * sizeof(k->hands[0]));
			k->nhands--;
			return;
		}
}

static void process_ends(struct worker *k)
{
	k->alive = k->connected = false;
	k->nhands = k->nnames = k->asleep = 0;
}

/* Only the connection is lost: what is on its way may be executed later, or never. */
static void keep_for_later(struct walk *w, const struct call *c)
{
	if (w->nlate == LATE_MAX)
		return;
	struct call *copy = malloc(sizeof(*copy));
	if (!copy)
		abort();
	memcpy(copy, c, sizeof(*c));
	w->late[w->nlate++] = copy;
}

enum fate { ANSWERED, LOST, LATE };

static enum fate fate_of(struct walk *w)
{
	if (often(w, w->mood.lose))
		return LOST;
	return often(w, w->mood.late) ? LATE : ANSWERED;
}

static void call_late(struct walk *w)
{
	int i = below(w, w->nlate);
	struct call *c = w->late[i];
	w->late[i] = w->late[--w->nlate];
	memcpy(&w->call, c, sizeof(*c));
	free(c);
	w->m.tally[T_LATE]++;
	perform(w, &w->call, "late: ");
}

/* --- workers */

static void say_hello(struct walk *w, struct worker *k, enum fate fate)
{
	struct call *c = &w->call;
	char base[2] = {(char)('A' + (k - w->workers)), 0};
	if (k->nnames > OLD_MAX) { /* those between the first and the last hold nothing */
		fate = ANSWERED;
		k->names[1] = k->names[k->nnames - 1];
		k->nnames = 2;
	}
	memset(c, 0, offsetof(struct call, reports));
	c->mode = HELLO;
	c->name = model_name(&w->m, base);
	c->nold = k->nnames;
	c->past = c->nold > 0 || often(w, 300);
	c->no_mark = w->m.conf && fate != LATE && often(w, 300); /* a mark is there: nobody asks */
	memcpy(c->old, k->names, (size_t)k->nnames * sizeof(k->names[0]));
	for (int i = 0; i < k->nhands; i++)
		if (often(w, 900))
			c->kept[c->nkept++] = k->hands[i];
	if (often(w, 50) && w->m.nlive) /* what it believes, but never had */
		c->kept[c->nkept++] = w->m.live[below(w, w->m.nlive)];
	k->names[k->nnames++] = c->name;
	k->connected = false;
	if (fate == LATE) {
		keep_for_later(w, c);
		memcpy(k->hands, c->kept, (size_t)c->nkept * sizeof(c->kept[0]));
		k->nhands = c->nkept;
		trace(w, "    a hello of %s is on its way\n", w->m.names[c->name].text);
		return;
	}
	const struct answer *a = perform(w, c, fate == LOST ? "lost: " : "");
	if (fate == LOST) {
		w->m.tally[T_LOST]++;
		memcpy(k->hands, c->kept, (size_t)c->nkept * sizeof(c->kept[0]));
		k->nhands = c->nkept;
		return;
	}
	k->names[0] = c->name;
	k->nnames = 1;
	k->connected = true;
	memcpy(k->hands, a->kept, (size_t)a->nkept * sizeof(a->kept[0]));
	k->nhands = a->nkept;
}

static void add_report(struct walk *w, struct call *c, enum report_kind kind, int entry)
{
	static const int waits[] = {0, 0, 1, 30, 700, 4000};
	struct report *r = &c->reports[c->nreports++];
	const struct entry *e = &w->m.entries[entry];
	*r = (struct report){.kind = kind, .entry = entry, .lane = e->lane};
	if (kind == LATER || kind == RETRY || kind == RETRY_MAYBE)
		r->number = waits[below(w, 6)];
	else if (kind == DEAD)
		r->number = below(w, 2);
	else if (kind == SENT)
		r->number = e->sent + 1;
}

/* What stays in hand after these reports. */
static int left_in_hand(const struct worker *k, const struct call *c)
{
	int left = 0;
	for (int i = 0; i < k->nhands; i++) {
		bool closed = false;
		for (int j = 0; j < c->nreports; j++)
			closed = closed || (c->reports[j].entry == k->hands[i] && c->reports[j].kind != SENT);
		left += !closed;
	}
	return left;
}

/* What is done goes first in a call. */
static void dones_first(struct call *c)
{
	struct report others[REPORTS_MAX];
	int n = 0, nothers = 0;
	for (int i = 0; i < c->nreports; i++)
		if (c->reports[i].kind == DONE)
			c->reports[n++] = c->reports[i];
		else
			others[nothers++] = c->reports[i];
	for (int i = 0; i < nothers; i++)
		c->reports[n++] = others[i];
}

static void make_turn(struct walk *w, struct worker *k, struct call *c)
{
	static const enum report_kind kinds[] = {DONE,  DONE,        DONE, DONE, DONE, LATER,
	                                         RETRY, RETRY_MAYBE, DEAD, SENT, SENT};
	static const int wants[] = {0, 1, 1, 2, 3, 8, 32, 256};
	int share = often(w, 200) ? 1000 : below(w, 1000);
	memset(c, 0, offsetof(struct call, reports));
	c->name = k->names[k->nnames - 1];
	c->want = wants[below(w, 8)];
	for (int i = 0; i < k->nhands; i++)
		if (often(w, share))
			add_report(w, c, kinds[below(w, 11)], k->hands[i]);
	if (c->nreports && often(w, 30)) /* the same again */
		add_report(w, c, kinds[below(w, 11)], c->reports[below(w, c->nreports)].entry);
	if (w->m.nentries && often(w, 30)) { /* of somebody else, or over long ago */
		int other = often(w, 500) && w->m.nlive ? w->m.live[below(w, w->m.nlive)] : below(w, w->m.nentries);
		if (w->m.entries[other].place >= HELD)
			add_report(w, c, kinds[below(w, 11)], other);
	}
	if (c->nreports && often(w, 10))
		c->reports[below(w, c->nreports)].lane = below(w, LANES);
	dones_first(c);
	c->trailing = often(w, 10) ? 1 + below(w, 4) : 0;
	c->empty_handed = left_in_hand(k, c) == 0;
	if (often(w, w->mood.except))
		c->except = (unsigned)below(w, 1 << BOTS);
}

/* What an answered turn tells its worker. */
static void learn(struct walk *w, struct worker *k, const struct call *c, const struct answer *a)
{
	bool poisoned = false;
	if (a->word == ANSWER_GONE) {
		k->connected = false;
		return;
	}
	for (int i = 0; i < c->nreports; i++)
		if (c->reports[i].lane == w->m.entries[c->reports[i].entry].lane &&
		    (a->fenced[i] || c->reports[i].kind != SENT))
			drop_hand(k, c->reports[i].entry);
	for (int i = 0; i < a->ngiven; i++) {
		if (k->nhands == HANDS_MAX)
			model_fail(&w->m, "the walk's hands are full");
		k->hands[k->nhands++] = a->given[i];
		poisoned = poisoned || w->m.entries[a->given[i]].poison;
	}
	if (poisoned && often(w, 950)) {
		trace(w, "    which kills it\n");
		process_ends(k);
	}
}

static void work(struct walk *w, struct worker *k, enum fate fate)
{
	struct call *c = &w->call;
	make_turn(w, k, c);
	if (fate == LATE) {
		k->connected = false;
		keep_for_later(w, c);
		if (often(w, 500))
			say_hello(w, k, ANSWERED);
		return;
	}
	const struct answer *a = perform(w, c, fate == LOST ? "lost: " : "");
	if (fate == ANSWERED) {
		learn(w, k, c, a);
		return;
	}
	w->m.tally[T_LOST]++;
	k->connected = false;
}

static void leave(struct walk *w, struct worker *k)
{
	struct call *c = &w->call;
	make_turn(w, k, c);
	c->mode = LEAVE;
	c->want = below(w, 3);
	perform(w, c, "");
	process_ends(k);
}

/* Another version of the program, or a wrong list of shards, does nothing; nor, where no mark is, who may make none. */
static void turned_away(struct walk *w, struct worker *k)
{
	static const char *const texts[] = {"2", "0/2", "1/2", ""};
	struct call *c = &w->call;
	make_turn(w, k, c);
	c->no_mark = !w->m.conf;
	c->foreign = c->no_mark ? NULL : texts[below(w, 4)];
	c->mode = c->no_mark || often(w, 300) ? HELLO : often(w, 300) ? LEAVE : WORK;
	if (c->mode == HELLO)
		c->nreports = 0;
	perform(w, c, "");
}

static void one_step(struct walk *w)
{
	struct worker *k = &w->workers[below(w, WORKERS)];
	if (!w->until_mood--) {
		w->mood = moods[below(w, (int)(sizeof(moods) / sizeof(moods[0])))];
		w->until_mood = 100 + below(w, 500);
	}
	world(w);
	for (int i = 0; i < WORKERS && k->asleep > 0; i++) {
		k->asleep--;
		k = &w->workers[below(w, WORKERS)];
	}
	if (w->nlate && often(w, 250)) {
		call_late(w);
	} else if (!k->alive) {
		k->alive = true;
		say_hello(w, k, fate_of(w));
	} else if (k->nnames && often(w, w->m.conf ? 4 : 300)) {
		turned_away(w, k);
	} else if (!k->connected || often(w, w->mood.reconnect)) {
		say_hello(w, k, fate_of(w));
	} else if (often(w, w->mood.leave)) {
		leave(w, k);
	} else {
		work(w, k, fate_of(w));
		if (often(w, w->mood.die))
			process_ends(k);
		else if (often(w, w->mood.sleep))
			k->asleep = 20 + below(w, 200);
	}
}

/* --- the end: nobody dies any more, and everything must be over soon */

static void drop_late(struct walk *w)
{
	while (w->nlate)
		free(w->late[--w->nlate]);
}

static void finish_turn(struct walk *w, struct worker *k)
{
	struct call *c = &w->call;
	if (!k->alive || !k->connected) {
		k->alive = true;
		say_hello(w, k, ANSWERED);
		return;
	}
	memset(c, 0, offsetof(struct call, reports));
	c->name = k->names[0];
	c->want = 64;
	c->empty_handed = true;
	for (int i = 0; i < k->nhands; i++)
		add_report(w, c, DONE, k->hands[i]);
	const struct answer *a = perform(w, c, "");
	for (int i = 0; i < a->ngiven; i++)
		w->m.entries[a->given[i]].poison = false;
	learn(w, k, c, a);
}

static void come_to_rest(struct walk *w)
{
	struct model *m = &w->m;
	int calls = 0;
	drop_late(w);
	if (m->paused)
		set_pause(w, 0);
	for (; m->nlive || calls < 40; calls++) {
		char id[48];
		if (calls == 2000)
			model_fail(m, "%d entries never come to an end, the first is %s (%d)", m->nlive,
			           id_text(m->entries[m->live[0]].id, id), m->entries[m->live[0]].place);
		m->now += NOT_ENDING_MS;
		leave_limits(m);
		finish_turn(w, &w->workers[calls % WORKERS]);
	}
	model_check_keys(m, w->redis->redis);
	for (int i = 0; i < WORKERS; i++)
		leave(w, &w->workers[i]);
	if (m->nregistered)
		model_fail(m, "%d workers are left", m->nregistered);
	model_check_keys(m, w->redis->redis);
	for (int i = 0; i < m->nentries; i++)
		if (!model_is_over(&m->entries[i]))
			model_fail(m, "an entry is not over");
}

void walk_run(struct turn_redis *redis, uint64_t seed, long steps, FILE *trace_to, unsigned long long *tally,
              struct walk_result *out)
{
	struct walk *w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	model_init(&w->m, tally);
	w->redis = redis;
	w->rng = (seed + 1) * 0x9e3779b97f4a7c15ULL;
	for (int i = 0; i < 8; i++)
		chance(w);
	w->trace = trace_to;
	w->mood = moods[0];
	w->until_mood = 200;
	w->damaging = seed % 2;
	w->next = (struct id){1 + (uint64_t)below(w, 9), 0};
	memset(out, 0, sizeof(*out));
	turn_redis_send(redis, "FLUSHALL");
	if (!setjmp(w->m.failed)) {
		for (w->step = 1; w->step <= steps; w->step++) {
			one_step(w);
			if (w->step % 64 == 0) {
				turn_redis_flush(redis);
				model_check_keys(&w->m, redis->redis);
			}
		}
		w->step = steps;
		come_to_rest(w);
		out->ok = true;
	} else {
		turn_redis_flush(redis);
		snprintf(out->why, sizeof(out->why), "%s", w->m.why);
	}
	out->at = w->step;
	drop_late(w);
	model_release(&w->m);
	free(w);
}
