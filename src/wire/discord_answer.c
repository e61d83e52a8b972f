/* What Discord's answers mean. */
#include <math.h>

#include "shoal/wire/discord.h"

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
	bool global;
};

static void answer_read(struct answer *an, int status, struct span body, struct arena *a)
{
	const char *ignored;
	const cJSON *root = json_parse(a, body, &ignored);

	*an = (struct answer){.status = status, .message = json_str(root, "message"), .retry_after_s = -1};
	an->json = cJSON_IsObject(root) || cJSON_IsArray(root) || (status == 204 && body.len == 0);
	json_i64(root, "code", &an->code);
	json_num(root, "retry_after", &an->retry_after_s);
	json_bool(root, "global", &an->global);
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
    {401, 50027, CALL_FINAL, "the interaction's token has run out"},
    {401, 0, CALL_DENIED, "Discord does not accept the bot's token (401)"},
    {404, 10002, CALL_DENIED, "Discord knows no application with this id (404)"},
    {404, 10015, CALL_FINAL, "the interaction's token has run out, or is not of this application"},
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
	if (verdicts[i].why)
		out->why = verdicts[i].why;
}

/* Whoever says it, a 429 is a limit. Where it is not the API that speaks, the whole address is shut out. */
static void judge_limit(const struct answer *an, struct ruling *out)
{
	out->verdict = CALL_LATER;
	out->limited = out->scoped = true;
	out->whole_bot = an->global || !an->message;
	if (out->wait_ms < 0)
		out->wait_ms = LIMIT_UNTOLD_MS;
	if (out->wait_ms < LIMIT_LEAST_MS)
		out->wait_ms = LIMIT_LEAST_MS;
}

void discord_judge(int status, struct span body, int64_t retry_after_ms, struct arena *a, struct ruling *out)
{
	struct answer an;

	answer_read(&an, status, body, a);
	*out = (struct ruling){.verdict = CALL_OUTAGE, .wait_ms = wait_of(&an, retry_after_ms)};
	out->why = an.message ? an.message : arena_printf(a, "HTTP status %d without an answer of the API", status);
	if (status >= 200 && status < 300 && an.json)
		out->verdict = CALL_DONE;
	else if (status == 429)
		judge_limit(&an, out);
	else if (an.message)
		judge_error(&an, out);
	if (out->verdict == CALL_DONE || out->verdict == CALL_FINAL)
		out->wait_ms = -1;
}
