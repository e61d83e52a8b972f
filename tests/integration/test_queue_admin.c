/* links: base io store */
/* The calls of queue_admin.h and dead_letters.h sent without waiting, as a server does: several under way at once on
 * one connection, each answer read in its callback. What the scripts do is held by tests/e2e/test_queue_cli.py. */
#include "check.h"
#include "servers.h"

#include "shoal/base/log.h"
#include "shoal/io/loop.h"
#include "shoal/store/dead_letters.h"
#include "shoal/store/queue_admin.h"

static struct redis_server server;
static struct loop *loop;
static struct redis *redis;
static struct arena arena;
static int under_way;

static void on_up(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void on_down(void *arg, enum err why)
{
	(void)arg;
	(void)why;
}

static void command(size_t argc, const struct span *argv)
{
	redis_call(redis, NULL, NULL, argc, argv);
}
#define COMMAND(...) command(sizeof((struct span[]){__VA_ARGS__}) / sizeof(struct span), (struct span[]){__VA_ARGS__})

static void ask(const struct queue_call *c, redis_fn *fn)
{
	under_way++;
	redis_eval(redis, c->script, fn, NULL, c->nkeys, c->argc, c->argv);
}

static void answered(enum err err)
{
	CHECK_INT(err, ERR_OK);
	if (--under_way == 0)
		loop_stop(loop);
}

/* The arena goes with the answers that were asked for from it. */
static void wait_for_answers(void)
{
	loop_run(loop);
	arena_release(&arena);
}

/* --- looking */

static struct queue_rows rows;
static struct queue_lanes lanes;

static void on_rows(void *arg, enum err err, const redisReply *reply)
{
	(void)arg;
	CHECK_INT(queue_rows_read(reply, &arena, &rows), ERR_OK);
	CHECK_INT(rows.n, 2);
	CHECK(!rows.cursor && rows.now_ms > 1700000000000);
	CHECK_STR(rows.v[0].id, "5-1");
	CHECK_STR(queue_state_name(rows.v[0].state), "in_hand");
	CHECK_STR(rows.v[0].worker, "w1-ab");
	CHECK(span_is(rows.v[0].lane, "L") && span_is(rows.v[0].bot, "persona") && !rows.v[0].key.ptr);
	CHECK_INT(rows.v[0].received_ms, 5);
	CHECK_INT(rows.v[0].takeovers, 2);
	CHECK_INT(rows.v[0].due_in_ms, -1);
	CHECK_INT(rows.v[0].body_bytes, 2);
	CHECK_INT(rows.v[1].state, QUEUE_UNREAD);
	CHECK_INT(rows.v[1].received_ms, 77);
	CHECK_STR(rows.v[1].behind, "5-1");
	answered(err);
}

static void on_lanes(void *arg, enum err err, const redisReply *reply)
{
	(void)arg;
	CHECK_INT(queue_lanes_read(reply, &arena, &lanes), ERR_OK);
	CHECK_INT(lanes.n, 1);
	CHECK(!lanes.cursor && span_is(lanes.v[0].lane, "L") && lanes.v[0].state == QUEUE_IN_HAND);
	CHECK_STR(lanes.v[0].holder, "5-1");
	CHECK_INT(lanes.v[0].waiting, 0);
	answered(err);
}

static void on_nobody(void *arg, enum err err, const redisReply *reply)
{
	(void)arg;
	CHECK_INT(queue_rows_read(reply, &arena, &rows), ERR_OK);
	CHECK_INT(rows.n, 0);
	answered(err);
}

static void questions_go_side_by_side(void)
{
	COMMAND(SPAN("XADD"), SPAN("shoal:{3}:updates"), SPAN("5-1"), SPAN("bot"), SPAN("persona"), SPAN("lane"),
	        SPAN("L"), SPAN("body"), SPAN("{}"));
	COMMAND(SPAN("XADD"), SPAN("shoal:{3}:updates"), SPAN("6-1"), SPAN("lane"), SPAN("L"), SPAN("at"), SPAN("77"));
	COMMAND(SPAN("ZADD"), SPAN("shoal:{3}:workers"), SPAN("1"), SPAN("w1-ab~0123"));
	COMMAND(SPAN("HSET"), SPAN("shoal:{3}:lanes"), SPAN("L"), SPAN("w1-ab~0123 5-1"));
	COMMAND(SPAN("HSET"), SPAN("shoal:{3}:tries"), SPAN("5-1"), SPAN("0 2 0"));
	ask(queue_peek_call(&arena, 3, NULL, NULL, 10), on_rows);
	ask(queue_lanes_call(&arena, 3, NULL, 10), on_lanes);
	ask(queue_peek_call(&arena, 2, NULL, NULL, 10), on_nobody);
	ask(queue_entry_call(&arena, 3, "7-1"), on_nobody);
	wait_for_answers();
}

/* --- changing */

static const char *letter_id;

static void on_pause(void *arg, enum err err, const redisReply *reply)
{
	struct queue_pause p;
	const char *why;

	(void)arg;
	CHECK_INT(queue_pause_read(reply, &arena, &p, &why), ERR_OK);
	CHECK(p.changed);
	CHECK_STR(p.paused, "*");
	answered(err);
}

static void on_resume_of_one(void *arg, enum err err, const redisReply *reply)
{
	struct queue_pause p;
	const char *why;

	(void)arg;
	CHECK_INT(queue_pause_read(reply, &arena, &p, &why), ERR_CONFLICT);
	answered(err);
}

static void pauses_in_order(void)
{
	ask(queue_pause_call(&arena, 3, 4, true, NULL), on_pause);
	ask(queue_pause_call(&arena, 3, 4, false, "persona"), on_resume_of_one);
	wait_for_answers();
}

static void on_letters(void *arg, enum err err, const redisReply *reply)
{
	struct dead_letters found;

	(void)arg;
	CHECK_INT(dead_letters_read(reply, 3, &arena, &found), ERR_OK);
	CHECK_INT(found.n, 1);
	CHECK_INT(found.total, 1);
	CHECK_STR(found.v[0].entry_id, "5-5");
	CHECK_STR(found.v[0].worker, "w1-ab");
	CHECK(span_is(found.v[0].error, "broken") && found.v[0].maybe_applied && !found.v[0].retried);
	CHECK_INT(found.v[0].died_ms, 99);
	letter_id = mem_strdup(found.v[0].id);
	answered(err);
}

static void on_refused(void *arg, enum err err, const redisReply *reply)
{
	const char *entry, *why;

	(void)arg;
	CHECK_INT(dead_retry_read(reply, &arena, &entry, &why), ERR_CONFLICT); /* of 1970, and maybe applied */
	CHECK(strstr(why, "committed") != NULL);
	answered(err);
}

static void on_retried(void *arg, enum err err, const redisReply *reply)
{
	const char *entry, *why;

	(void)arg;
	CHECK_INT(dead_retry_read(reply, &arena, &entry, &why), ERR_OK);
	CHECK(queue_id_ms(entry) > 1700000000000);
	answered(err);
}

static void on_gone(void *arg, enum err err, const redisReply *reply)
{
	const char *entry, *why;

	(void)arg;
	CHECK_INT(dead_retry_read(reply, &arena, &entry, &why), ERR_NOT_FOUND);
	answered(err);
}

static void on_nothing_dropped(void *arg, enum err err, const redisReply *reply)
{
	struct dead_letter l;
	const char *why;

	(void)arg;
	CHECK_INT(dead_drop_read(reply, &arena, &l, &why), ERR_NOT_FOUND);
	answered(err);
}

static void a_letter_goes_back_once(void)
{
	COMMAND(SPAN("XADD"), SPAN("shoal:{3}:dead"), SPAN("*"), SPAN("id"), SPAN("5-5"), SPAN("error"), SPAN("broken"),
	        SPAN("maybe_applied"), SPAN("1"), SPAN("died_at"), SPAN("99"), SPAN("worker"), SPAN("w1-ab~0123"),
	        SPAN("entry"), SPAN("follows"), SPAN("bot"), SPAN("persona"), SPAN("lane"), SPAN("L"), SPAN("body"),
	        SPAN("{}"));
	ask(dead_list_call(&arena, 3, false, NULL, NULL, 10), on_letters);
	wait_for_answers();
	ask(dead_retry_call(&arena, 3, 4, letter_id, false), on_refused);
	ask(dead_retry_call(&arena, 3, 4, letter_id, true), on_retried);
	ask(dead_retry_call(&arena, 3, 4, letter_id, true), on_gone);
	ask(dead_drop_call(&arena, 3, 4, letter_id), on_nothing_dropped);
	wait_for_answers();
	free((char *)letter_id);
}

static void answers_that_make_no_sense_are_refused(void)
{
	redisReply word = {.type = REDIS_REPLY_STATUS, .str = "OK", .len = 2};
	struct queue_pause p;
	struct dead_letters found;
	struct dead_letter l;
	const char *entry, *why;

	CHECK_INT(queue_rows_read(&word, &arena, &rows), ERR_PROTOCOL);
	CHECK_INT(queue_lanes_read(&word, &arena, &lanes), ERR_PROTOCOL);
	CHECK_INT(queue_pause_read(&word, &arena, &p, &why), ERR_PROTOCOL);
	CHECK_INT(dead_letters_read(&word, 3, &arena, &found), ERR_PROTOCOL);
	CHECK_INT(dead_retry_read(&word, &arena, &entry, &why), ERR_PROTOCOL);
	CHECK_INT(dead_drop_read(&word, &arena, &l, &why), ERR_PROTOCOL);
	CHECK_INT(queue_rows_read(NULL, &arena, &rows), ERR_PROTOCOL);
	arena_release(&arena);
}

int main(void)
{
	log_init(LOG_ERROR, LOG_TEXT, "test", "queue_admin");
	redis_server_start(&server, NULL);
	loop = loop_new();
	arena_init(&arena);
	redis = redis_open(
	    loop, &(struct redis_opts){
	              .url = server.url, .label = "test", .timeout_ms = 5000, .on_up = on_up, .on_down = on_down});
	loop_run(loop);
	RUN(questions_go_side_by_side);
	RUN(pauses_in_order);
	RUN(a_letter_goes_back_once);
	RUN(answers_that_make_no_sense_are_refused);
	redis_close(redis);
	loop_free(loop);
	redis_server_stop(&server);
	DONE();
}
