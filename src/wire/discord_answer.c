/* What Discord's answers mean. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "shoal/wire/discord.h"

enum { BUCKET, LIMIT, REMAINING, RESET_AFTER, SCOPE, GLOBAL };
const char *const discord_headers[] = {
    [BUCKET] = "X-RateLimit-Bucket",
    [LIMIT] = "X-RateLimit-Limit",
    [REMAINING] = "X-RateLimit-Remaining",
    [RESET_AFTER] = "X-RateLimit-Reset-After",
    [SCOPE] = "X-RateLimit-Scope",
    [GLOBAL] = "X-RateLimit-Global",
    [GLOBAL + 1] = NULL,
};

#define LIMIT_LEAST_MS 50    /* fractions of a second are usual */
#define LIMIT_UNTOLD_MS 1000 /* where a 429 tells no time */
#define WAIT_MAX_MS (24 * 3600 * INT64_C(1000))

/* An error of the API itself: {"message","code"}; a 429 has retry_after and global. */
struct answer {
	int status;
	bool json;           /* an object, a list, or nothing where nothing is to be said */
	const char *message; /* NULL: not an error of the API itself */
	int64_t code;
	double retry_after_s; /* below 0: not told */
	bool global;          /* a 429 for all that the bot does */
	bool shared;          /* a 429 for a resource that others use up, too */
};

/* "" where it is not there. */
static const char *header(const struct response *res, int which)
{
	return res->headers && res->headers[which] ? res->headers[which] : "";
}

static void answer_read(struct answer *an, const struct response *res, struct arena *a)
{
	const char *ignored;
	const cJSON *root = json_parse(a, res->body, &ignored);

	*an = (struct answer){.status = res->status, .message = json_str(root, "message"), .retry_after_s = -1};
	an->json = cJSON_IsObject(root) || cJSON_IsArray(root) || (res->status == 204 && res->body.len == 0);
	json_i64(root, "code", &an->code);
	json_num(root, "retry_after", &an->retry_after_s);
	json_bool(root, "global", &an->global);
	an->global = an->global || strcmp(header(res, SCOPE), "global") == 0 || *header(res, GLOBAL);
	an->shared = strcmp(header(res, SCOPE), "shared") == 0;
}

/* ---- what it tells of the call's bucket */

#define BUCKET_BYTES 64
#define LIMIT_MAX 1000000

static bool is_bucket(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n <= BUCKET_BYTES &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == n;
}

static bool quota_read(const struct response *res, struct quota *q)
{
	const char *after = header(res, RESET_AFTER);
	char *end;
	double s = strtod(after, &end);

	if (!is_bucket(header(res, BUCKET)) || !span_i64(span_of(header(res, LIMIT)), &q->limit) ||
	    !span_i64(span_of(header(res, REMAINING)), &q->left) || end == after || *end)
		return false;
	if (q->limit < 1 || q->limit > LIMIT_MAX || q->left < 0 || q->left > q->limit || !(s >= 0) ||
	    s * 1000 > (double)WAIT_MAX_MS)
		return false;
	q->reset_ms = (int64_t)ceil(s * 1000);
	q->bucket = header(res, BUCKET);
	return true;
}

/* ms; -1: not told. The body knows fractions of a second. */
static int64_t wait_of(const struct answer *an, int64_t retry_after_ms)
{
	if (an->retry_after_s < 0)
		return retry_after_ms > WAIT_MAX_MS ? WAIT_MAX_MS : retry_after_ms;
	return an->retry_after_s * 1000 > (double)WAIT_MAX_MS ? WAIT_MAX_MS : (int64_t)ceil(an->retry_after_s * 1000);
}

/* What an error of the API itself means: by its status, some by its code. The first row that fits. */
static const struct {
	int status;   /* 0: any from 400 to 499 */
	int64_t code; /* 0: any */
	enum verdict verdict;
	const char *why; /* instead of the message: what an operator has to know */
} verdicts[] = {
    {401, 50027, CALL_GONE, "the interaction's token has run out"},
    {401, 0, CALL_DENIED, "Discord does not accept the bot's token (401)"},
    {404, 10002, CALL_DENIED, "Discord knows no application with this id (404)"},
    {404, 10015, CALL_GONE, "the interaction's token has run out, or is not of this application"},
    {408, 0, CALL_LATER, NULL},
    {0, 0, CALL_FINAL, NULL},
};

static void judge_error(const struct answer *an, struct ruling *out)
{
	size_t i = 0;

	if (an->status < 400 || an->status > 499)
		return;
	while ((verdicts[i].status && verdicts[i].status != an->status) ||
	       (verdicts[i].code && verdicts[i].code != an->code))
		i++;
	out->verdict = verdicts[i].verdict;
	out->early = an->status == 404 && an->code == 10015;
	if (verdicts[i].why)
		out->why = verdicts[i].why;
}

/* Whoever says it, a 429 is a limit. Where it is not the API that speaks, the whole address is shut out. */
static void judge_limit(const struct answer *an, struct ruling *out)
{
	out->verdict = CALL_LATER;
	out->limited = out->scoped = true;
	out->shut_out = !an->message;
	out->whole_bot = an->global || out->shut_out;
	if (out->wait_ms < 0)
		out->wait_ms = LIMIT_UNTOLD_MS;
	if (out->wait_ms < LIMIT_LEAST_MS)
		out->wait_ms = LIMIT_LEAST_MS;
}

/* Of these it bears 10,000 in ten minutes from an address (API v10, "Invalid Request Limit"). */
static bool is_refused(const struct answer *an)
{
	return an->status == 401 || an->status == 403 || (an->status == 429 && !an->shared);
}

void discord_judge(const struct response *res, struct arena *a, struct ruling *out)
{
	struct quota quota = {0};
	int status = res->status;
	struct answer an;

	answer_read(&an, res, a);
	*out = (struct ruling){
	    .verdict = CALL_OUTAGE, .wait_ms = wait_of(&an, res->retry_after_ms), .refused = is_refused(&an)};
	if (quota_read(res, &quota)) {
		out->quota = quota;
		out->quota.bucket = arena_strdup(a, quota.bucket);
	}
	out->why = an.message ? an.message : arena_printf(a, "HTTP status %d without an answer of the API", status);
	if (status >= 200 && status < 300 && an.json)
		out->verdict = CALL_DONE;
	else if (status == 429)
		judge_limit(&an, out);
	else if (an.message)
		judge_error(&an, out);
	if (out->verdict == CALL_DONE || out->verdict == CALL_FINAL || out->verdict == CALL_GONE)
		out->wait_ms = -1;
}
