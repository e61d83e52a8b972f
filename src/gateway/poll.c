#include "shoal/gateway/poll.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/base/clock.h"
#include "shoal/base/log.h"
#include "shoal/base/metrics.h"
#include "shoal/store/lock.h"
#include "shoal/wire/telegram.h"

#define LOCK_LIFE_MS 15000
#define BATCH 100
#define ASK_S 25           /* Telegram holds the question so long */
#define ANSWER_MS 40000    /* then the connection counts as dead */
#define PAUSE_MS 500       /* first pause after trouble, doubling ... */
#define PAUSE_MAX_MS 10000 /* ... to this */
#define CONFLICT_MS 5000   /* two pollers, or a webhook: somebody has to act */
#define HASTE_MS 200       /* an empty answer that came sooner was not a long poll */
#define QUIET_MS (INT64_C(6) * 24 * 3600 * 1000)

/* What it is at. Only move() changes it. */
enum state {
	POLL_AWAY,    /* without the lock */
	POLL_ASKING,  /* getUpdates is under way */
	POLL_STORING, /* entries[next] is under way to Redis */
	POLL_PAUSING, /* the timer goes on with what was to be done: ask, or store from entries[next] */
	POLL_STOPPED,
};

struct poller {
	struct poller_opts opts;
	struct lock *lock;
	char lock_name[64];
	enum state state;
	struct timer timer;
	int64_t pause_ms; /* the last pause; 0: all went well */
	struct metric *requests;
	char trouble[160]; /* why the last question had no good answer; "": it had, or none was asked */

	struct http_call *call;
	int64_t asked_ms, heard_ms; /* last question; last time that there was an update */
	int64_t offset;             /* confirms all below; 0: not known */

	struct arena arena; /* of the batch */
	struct entry *entries;
	size_t n, next;
	bool appending; /* Redis has not answered for the last append, which may be of a batch given up since */

	bool released; /* the lock, when stopping */
	void (*stopped)(void *arg);
	void *stopped_arg;
};

static void ask(struct poller *p);
static void store(struct poller *p);

static void move(struct poller *p, enum state to)
{
	ENSURE(p->state != POLL_STOPPED);
	p->state = to;
}

static void forget_batch(struct poller *p)
{
	arena_release(&p->arena);
	p->entries = NULL;
	p->n = p->next = 0;
}

/* How long an answer tells to stay away. Only of a limit is it known: who fails cannot know when that will be over. */
static int64_t told_wait(const struct ruling *r, int status)
{
	if (r->wait_ms <= 0)
		return status == 409 ? jitter_ms(CONFLICT_MS) : -1;
	return r->limited || r->wait_ms < PAUSE_MAX_MS ? r->wait_ms : PAUSE_MAX_MS;
}

/* wait_ms -1: as long as the trouble has lasted suggests. */
static void pause(struct poller *p, int64_t wait_ms)
{
	p->pause_ms = p->pause_ms == 0 ? PAUSE_MS : p->pause_ms * 2;
	if (p->pause_ms > PAUSE_MAX_MS)
		p->pause_ms = PAUSE_MAX_MS;
	move(p, POLL_PAUSING);
	timer_set(&p->timer, wait_ms >= 0 ? wait_ms : jitter_ms(p->pause_ms));
}

static void on_pause_over(void *arg)
{
	struct poller *p = arg;

	if (p->state != POLL_PAUSING)
		return;
	if (p->next < p->n)
		store(p);
	else
		ask(p);
}

static void end_of_batch(struct poller *p)
{
	int64_t highest = -1;

	for (size_t i = 0; i < p->n; i++) {
		if (p->entries[i].update_id > highest)
			highest = p->entries[i].update_id;
	}
	p->offset = highest + 1;
	p->heard_ms = clock_ms();
	p->pause_ms = 0;
	ask(p);
}

static void on_appended(void *arg, enum err err)
{
	struct poller *p = arg;

	p->appending = false;
	if (p->state == POLL_STOPPED) {
		if (p->released && p->stopped)
			p->stopped(p->stopped_arg);
	} else if (p->state == POLL_AWAY) {
		if (lock_held(p->lock))
			ask(p);
	} else if (err != ERR_OK) {
		pause(p, -1); /* the same entry again, then the rest; a repetition is dropped by its key */
	} else if (++p->next < p->n) {
		store(p);
	} else {
		end_of_batch(p);
	}
}

/* One at a time: an entry may only follow the one before, also when Redis fills up in between. */
static void store(struct poller *p)
{
	move(p, POLL_STORING);
	p->appending = intake_append(p->opts.in, &p->entries[p->next], &p->arena, on_appended, p);
	if (!p->appending)
		pause(p, -1);
}

static const struct trace *trace_begun(struct arena *a)
{
	struct trace *t = arena_new(a, struct trace);

	trace_new(t);
	return t;
}

static void read_batch(struct poller *p, struct span body)
{
	struct span *updates = NULL;
	size_t n = 0;
	const char *why = NULL;

	if (telegram_updates(arena_span(&p->arena, body), &p->arena, &updates, &n, &why) != ERR_OK) {
		log_error("getUpdates gave no updates", LOG_STR("bot", p->opts.bot->name), LOG_STR("error", why));
		pause(p, -1);
		return;
	}
	p->entries = arena_array(&p->arena, struct entry, n + 1);
	for (size_t i = 0; i < n; i++) {
		struct entry *e = &p->entries[p->n];

		if (entry_from_telegram(p->opts.bot, updates[i], clock_wall_ms(), &p->arena, e, &why) == ERR_OK) {
			e->trace = trace_begun(&p->arena);
			p->n++;
			continue;
		}
		log_error("getUpdates gave something that is no update; left out", LOG_STR("bot", p->opts.bot->name),
		          LOG_STR("error", why));
	}
	if (p->n > 0) {
		store(p);
	} else if (n > 0 || clock_ms() - p->asked_ms < HASTE_MS) {
		pause(p, n > 0 ? -1 : HASTE_MS);
	} else {
		p->pause_ms = 0;
		ask(p);
	}
}

static void say_trouble(const struct poller *p, int status, const char *why)
{
	if (status == 409 && strstr(why, "webhook"))
		log_error(
		    "a webhook is set for this bot, so Telegram refuses getUpdates: call its deleteWebhook, or set "
		    "SHOAL_TELEGRAM_MODE=webhook",
		    LOG_STR("bot", p->opts.bot->name), LOG_STR("answer", why));
	else if (status == 409)
		log_error("another program asks for this bot's updates", LOG_STR("bot", p->opts.bot->name),
		          LOG_STR("answer", why));
	else
		log_error("getUpdates was refused", LOG_STR("bot", p->opts.bot->name), LOG_INT("status", status),
		          LOG_STR("answer", why));
}

static void count(struct poller *p, int status)
{
	char word[16];

	snprintf(word, sizeof(word), "%d", status);
	series_add(SERIES(p->requests, "telegram", "getUpdates", word), 1);
}

static void on_answer(void *arg, enum err err, const struct http_response *res)
{
	struct poller *p = arg;
	struct ruling ruling;

	p->call = NULL;
	count(p, res ? res->status : 0);
	if (!res) {
		log_warn("getUpdates had no answer", LOG_STR("bot", p->opts.bot->name),
		         LOG_STR("error", err_text(err)));
		snprintf(p->trouble, sizeof(p->trouble), "telegram cannot be reached: %s", err_text(err));
		pause(p, -1);
		return;
	}
	const struct response heard = {res->status, res->body, res->retry_after_ms, NULL};
	platform_telegram.judge(&heard, &p->arena, &ruling);
	if (ruling.verdict == CALL_DONE) {
		p->trouble[0] = '\0';
		read_batch(p, res->body);
		return;
	}
	say_trouble(p, res->status, ruling.why);
	snprintf(p->trouble, sizeof(p->trouble), "getUpdates is refused: %.120s", ruling.why);
	pause(p, told_wait(&ruling, res->status));
}

static void ask(struct poller *p)
{
	const struct credentials who = {.api = p->opts.api, .token = p->opts.token};
	struct call call = {.method = "getUpdates"};
	struct http_request req = {.timeout_ms = ANSWER_MS, .peer = "telegram"};
	struct request request;

	forget_batch(p);
	/* After a week without updates Telegram begins to number anew, maybe below the offset. */
	if (p->offset != 0 && clock_ms() - p->heard_ms > QUIET_MS)
		p->offset = 0;
	move(p, POLL_ASKING);
	/* after trouble a short question tells soon whether it is over */
	call.body = telegram_get_updates(p->opts.bot, p->offset, BATCH, p->trouble[0] ? 0 : ASK_S, &p->arena);
	platform_telegram.request(&who, &call, &p->arena, &request);
	req.method = request.method;
	req.url = request.url;
	req.body = request.body;
	p->asked_ms = clock_ms();
	p->call = http_send(p->opts.http, &req, on_answer, p);
}

static void on_held(void *arg)
{
	struct poller *p = arg;

	log_info("polling", LOG_STR("bot", p->opts.bot->name));
	p->offset = 0; /* what another one has confirmed since is not known here */
	if (!p->appending)
		ask(p);
}

static void give_up(struct poller *p)
{
	if (p->call)
		http_cancel(p->call);
	p->call = NULL;
	timer_stop(&p->timer);
	if (!p->appending)
		forget_batch(p);
}

static void on_lost(void *arg)
{
	struct poller *p = arg;

	log_warn("polling no more: the lock is lost", LOG_STR("bot", p->opts.bot->name));
	give_up(p);
	p->trouble[0] = '\0';
	p->next = p->n = 0; /* Telegram still has what was not confirmed */
	move(p, POLL_AWAY);
}

struct poller *poller_open(const struct poller_opts *opts)
{
	struct poller *p = mem_zalloc(sizeof(*p));
	struct lock_opts lock = {.loop = opts->loop,
	                         .redis = opts->locks,
	                         .life_ms = LOCK_LIFE_MS,
	                         .on_held = on_held,
	                         .on_lost = on_lost,
	                         .arg = p};

	p->opts = *opts;
	arena_init(&p->arena);
	timer_init(&p->timer, opts->loop, on_pause_over, p);
	p->requests = metric_counter("shoal_platform_requests_total", "platform,method,status",
	                             "Calls of the platforms' APIs; status 0: no answer");
	snprintf(p->lock_name, sizeof(p->lock_name), "poll:%s", opts->bot->name);
	lock.name = p->lock_name;
	p->lock = lock_open(&lock);
	return p;
}

const char *poller_trouble(const struct poller *p)
{
	return p->trouble[0] ? p->trouble : NULL;
}

static void on_released(void *arg)
{
	struct poller *p = arg;

	p->released = true;
	if (!p->appending)
		p->stopped(p->stopped_arg);
}

void poller_stop(struct poller *p, void (*stopped)(void *arg), void *arg)
{
	give_up(p);
	move(p, POLL_STOPPED);
	p->stopped = stopped;
	p->stopped_arg = arg;
	lock_close(p->lock, on_released, p);
	p->lock = NULL;
}

void poller_free(struct poller *p)
{
	timer_release(&p->timer);
	arena_release(&p->arena);
	free(p);
}
