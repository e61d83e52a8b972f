#include "shoal/gateway/shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/base/metrics.h"

#define UNDER_WAY_MAX 2048 /* of one shard: one that hangs leaves half of the gateway's connections to the others */
#define TIMEOUT_MS 2000
#define CONFIRM_MS                                                                                                     \
	"1000" /* so long a replica is waited for; less than TIMEOUT_MS, and than Discord's three seconds              \
	        */
#define PROBE_MS 1000
#define LOOK_MS 1000
/* A master that has lost its last replica may have been replaced without knowing: it stood still, or is cut off. So
 * long it is not believed; Sentinels tell such a one within about 20 s that it is none any more. */
#define ALONE_MS 30000

struct append {
	struct append *next;
	struct shard *shard;
	shard_fn *fn;
	void *arg;
	char id[48];
};

enum question { WHOSE = 1, ROLE = 2 };

static struct redis_script guard_script = {.name = "lua/guard.lua"};

static void list_init(struct append_list *l)
{
	l->first = NULL;
	l->last = &l->first;
}

static void list_add(struct append_list *l, struct append *p)
{
	p->next = NULL;
	*l->last = p;
	l->last = &p->next;
}

/* ---- whether a server that is there takes entries: it may be full, or read-only since a failover */

static void note(struct shard *s, enum err err)
{
	s->refused = err;
	if (err == ERR_OK)
		timer_stop(&s->probe);
	else if (!timer_armed(&s->probe))
		timer_set(&s->probe, jitter_ms(PROBE_MS));
}

static void on_probed(void *arg, enum err err, const redisReply *reply)
{
	(void)reply;
	note(arg, err);
}

/* Sets a key only if it is there, which it never is. Who refuses this refuses entries, for want of room or of rights.
 */
static void probe(void *arg)
{
	struct shard *s = arg;
	const struct span argv[] = {SPAN("SET"), span_of(s->probe_key), SPAN("1"), SPAN("XX")};

	redis_call(s->redis, on_probed, s, sizeof(argv) / sizeof(argv[0]), argv);
}

/* ---- whose it is, and who has a copy */

static void answered(struct shard *s, enum question q)
{
	bool before = s->unanswered != 0;

	s->unanswered &= ~(unsigned)q;
	if (before && !s->unanswered)
		probe(s);
}

static void on_guard(void *arg, enum err err, const redisReply *r)
{
	struct shard *s = arg;
	bool before = s->alien[0] != '\0', ours, bare;

	if (err == ERR_OK &&
	    (r->type != REDIS_REPLY_ARRAY || r->elements != 2 || !r->element[0]->str || !r->element[1]->str))
		err = ERR_PROTOCOL;
	s->untold = err;
	if (err != ERR_OK)
		return; /* asked again in a second, or on the next connection */
	bare = r->element[0]->len == 0;
	ours = strcmp(r->element[0]->str, QUEUE_FORMAT) == 0 && strcmp(r->element[1]->str, s->number) == 0;
	shard_marks_told(s->marks, s->check.shard, ours ? MARK_OURS : bare ? MARK_NONE : MARK_ANOTHERS);
	s->alien[0] = '\0';
	if (bare)
		snprintf(s->alien, sizeof(s->alien), "%s", QUEUE_BARE_TEXT);
	else if (!ours)
		snprintf(s->alien, sizeof(s->alien),
		         "it is format %.8s, shard %.16s of the queue; SHOAL_REDIS_URL makes it format %s, shard %s",
		         r->element[0]->str, r->element[1]->str, QUEUE_FORMAT, s->number);
	if (!ours && !before)
		log_error("this Redis is not known to be of our list of shards: nothing is appended there",
		          LOG_INT("shard", s->check.shard), LOG_STR("why", s->alien));
	answered(s, WHOSE);
}

static void set_replicas(struct shard *s, unsigned n)
{
	struct metric *m = metric_gauge("shoal_shard_replicas", "shard",
	                                "Replicas of a shard, one of which must confirm what is appended");
	char shard[12];

	if (n != s->replicas)
		log_info("a shard has another number of replicas", LOG_INT("shard", s->check.shard),
		         LOG_INT("replicas", n), LOG_INT("before", s->replicas));
	s->replicas = n;
	snprintf(shard, sizeof(shard), "%u", s->check.shard);
	series_set(SERIES(m, shard), n);
	if (n == 0)
		return;
	s->had_replica_ms = clock_ms();
	snprintf(s->had_replica, sizeof(s->had_replica), "%s", s->check.run_id);
}

/* ["master", offset, [replicas that are in step]] */
static void on_role(void *arg, enum err err, const redisReply *r)
{
	struct shard *s = arg;

	if (err == ERR_OK && r->type == REDIS_REPLY_ARRAY && r->elements >= 3) {
		if (r->element[0]->str && strcmp(r->element[0]->str, "slave") == 0) {
			redis_drop(s->redis, "READONLY: it has become a replica");
			return;
		}
		set_replicas(s, r->element[2]->type == REDIS_REPLY_ARRAY ? (unsigned)r->element[2]->elements : 0);
	}
	answered(s, ROLE);
}

static void ask(struct shard *s)
{
	bool may_mark = shard_marks_may_mark(s->marks, s->check.shard);
	const struct span guard[] = {span_of(s->conf), SPAN(QUEUE_FORMAT), span_of(s->number),
	                             may_mark ? SPAN("1") : SPAN("0")},
	                  role = SPAN("ROLE");

	redis_eval(s->redis, &guard_script, on_guard, s, 1, sizeof(guard) / sizeof(guard[0]), guard);
	redis_call(s->redis, on_role, s, 1, &role);
}

static void look(void *arg)
{
	struct shard *s = arg;

	timer_set(&s->look, LOOK_MS);
	if (redis_up(s->redis))
		ask(s);
}

static void on_up(void *arg)
{
	struct shard *s = arg;

	redis_check_start(&s->check); /* first: by its answer the server is known that ROLE tells of */
	shard_marks_unseen(s->marks, s->check.shard);
	s->unanswered = WHOSE | ROLE;
	s->untold = ERR_OK;
	s->replicas = 0;
	s->unconfirmed = false;
	ask(s);
}

/* It had replicas, and has none now. */
static bool is_alone(const struct shard *s)
{
	return s->replicas == 0 && s->had_replica_ms && clock_ms() - s->had_replica_ms < ALONE_MS &&
	       s->had_replica[0] && strcmp(s->had_replica, s->check.run_id) == 0;
}

const char *shard_trouble(struct shard *s)
{
	const char *check = redis_check_trouble(&s->check);

	if (!redis_up(s->redis)) {
		snprintf(s->trouble, sizeof(s->trouble), "no connection (%s)", redis_trouble(s->redis));
		return s->trouble;
	}
	if (check)
		return check;
	if (s->alien[0])
		return s->alien;
	if (is_alone(s))
		return "its replicas are gone";
	if (s->unconfirmed)
		return "no replica confirms";
	if ((s->unanswered & WHOSE) && s->untold) {
		snprintf(s->trouble, sizeof(s->trouble), "it does not tell whose it is: %s", err_text(s->untold));
		return s->trouble;
	}
	if (s->unanswered)
		return "not asked yet";
	if (s->refused == ERR_FULL)
		return "full";
	return s->refused ? err_text(s->refused) : NULL;
}

/* ---- entries */

static void end(struct append *p, enum err err)
{
	p->shard->under_way--;
	p->fn(p->arg, err, err == ERR_OK ? p->id : NULL);
	free(p);
}

static void end_all(struct append_list *l, enum err err)
{
	struct append *p = l->first;

	list_init(l);
	while (p) {
		struct append *next = p->next;

		end(p, err);
		p = next;
	}
}

static void confirm(struct shard *s);

/* WAIT speaks for all that this connection has written before. */
static void on_confirmed(void *arg, enum err err, const redisReply *reply)
{
	static const struct span role = SPAN("ROLE");
	struct shard *s = arg;

	s->waiting = false;
	if (err == ERR_OK)
		err = reply->type == REDIS_REPLY_INTEGER && reply->integer > 0 ? ERR_OK : ERR_TIMEOUT;
	else if (err != ERR_TIMEOUT)
		err = ERR_UNKNOWN; /* the master has it */
	s->unconfirmed = err == ERR_TIMEOUT;
	if (s->unconfirmed && redis_up(s->redis))
		redis_call(s->redis, on_role, s, 1, &role);
	note(s, err);
	end_all(&s->covered, err);
	confirm(s);
}

/* One WAIT at a time, for all that came while the last one was under way: the connection stands still meanwhile. */
static void confirm(struct shard *s)
{
	static const struct span argv[] = {SPAN("WAIT"), SPAN("1"), SPAN(CONFIRM_MS)};

	if (s->waiting || !s->unsure.first)
		return;
	s->waiting = true;
	s->covered.first = s->unsure.first;
	s->covered.last = s->unsure.last;
	list_init(&s->unsure);
	redis_call(s->redis, on_confirmed, s, sizeof(argv) / sizeof(argv[0]), argv);
}

static void on_appended(void *arg, enum err err, const redisReply *reply)
{
	struct append *p = arg;
	struct shard *s = p->shard;

	if (err == ERR_OK && reply->type != REDIS_REPLY_STRING)
		err = ERR_PROTOCOL;
	if (err == ERR_OK) /* p->id is zero yet */
		memcpy(p->id, reply->str, reply->len < sizeof(p->id) ? (size_t)reply->len : sizeof(p->id) - 1);
	if (err == ERR_OK && s->replicas > 0) {
		list_add(&s->unsure, p);
		confirm(s);
		return;
	}
	note(s, err);
	end(p, err);
}

static void tell(void *arg)
{
	struct shard *s = arg;

	end_all(&s->turned_away, ERR_UNREACHABLE);
}

static struct append *append_new(struct shard *s, shard_fn *fn, void *arg)
{
	struct append *p;

	if (s->under_way >= UNDER_WAY_MAX)
		return NULL;
	s->under_way++;
	p = mem_alloc(sizeof(*p));
	*p = (struct append){.shard = s, .fn = fn, .arg = arg};
	return p;
}

bool shard_turn_away(struct shard *s, shard_fn *fn, void *arg)
{
	struct append *p = append_new(s, fn, arg);

	if (!p)
		return false;
	list_add(&s->turned_away, p);
	loop_defer(s->loop, &s->tell);
	return true;
}

bool shard_append(struct shard *s, size_t argc, const struct span *argv, shard_fn *fn, void *arg)
{
	struct append *p;

	if (redis_up(s->redis) && (s->unanswered || s->alien[0] || is_alone(s)))
		return shard_turn_away(s, fn, arg);
	p = append_new(s, fn, arg);
	if (p)
		redis_call(s->redis, on_appended, p, argc, argv);
	return p != NULL;
}

/* ---- life */

void shard_open(struct shard *s, struct loop *l, const char *url, unsigned i, unsigned n, struct shard_marks *marks)
{
	s->loop = l;
	s->marks = marks;
	queue_key(s->updates, i, "updates");
	queue_key(s->probe_key, i, "probe");
	queue_key(s->conf, i, "conf");
	snprintf(s->number, sizeof(s->number), "%u/%u", i, n);
	list_init(&s->covered);
	list_init(&s->unsure);
	list_init(&s->turned_away);
	s->tell = (struct task){.fn = tell, .arg = s};
	timer_init(&s->probe, l, probe, s);
	timer_init(&s->look, l, look, s);
	timer_set(&s->look, jitter_ms(LOOK_MS));
	s->redis = redis_open(
	    l, &(struct redis_opts){
	           .url = url, .home = s->conf, .label = "queue", .timeout_ms = TIMEOUT_MS, .on_up = on_up, .arg = s});
	s->check.redis = s->redis;
	s->check.shard = i;
}

void shard_close(struct shard *s)
{
	task_cancel(&s->tell);
	end_all(&s->turned_away, ERR_UNREACHABLE); /* who hears it may ask what is wrong with the connection */
	redis_close(s->redis);                     /* answers what it was asked, and so all that waits for a replica */
	timer_release(&s->probe);
	timer_release(&s->look);
}
