/* What Telegram answers: rulings on calls, batches of updates. */
#include <math.h>
#include <string.h>

#include "shoal/wire/telegram.h"

#define LIMIT_LEAST_MS 1000    /* where a 429 tells no time, or none that is worth a word */
#define WAIT_MAX_S (24 * 3600) /* Telegram itself forgets after a day */

/* An answer in the envelope {"ok","result","error_code","description","parameters"}. */
struct answer {
	bool sound; /* an object with a boolean ok */
	bool ok;
	int64_t code;
	const char *description;
	int64_t retry_after_s; /* -1: not told */
	int64_t migrated_to;   /* 0: no */
};

static void answer_read(struct answer *an, int status, struct span body, struct arena *a)
{
	const char *ignored;
	const cJSON *root, *parameters;
	double seconds;

	*an = (struct answer){.code = status, .retry_after_s = -1};
	if (status == 200 && span_starts(body, "{\"ok\":true,\"result\":")) { /* the result tells us nothing */
		an->sound = an->ok = true;
		return;
	}
	root = json_parse(a, body, &ignored);
	parameters = json_obj(root, "parameters");
	an->sound = cJSON_IsObject(root) && json_bool(root, "ok", &an->ok);
	an->description = json_str(root, "description");
	if (status >= 200 && status < 300)
		json_i64(root, "error_code", &an->code);
	if (json_num(parameters, "retry_after", &seconds) && seconds >= 0)
		an->retry_after_s = seconds > WAIT_MAX_S ? WAIT_MAX_S : (int64_t)ceil(seconds);
	json_i64(parameters, "migrate_to_chat_id", &an->migrated_to);
}

/* "Too Many Requests: retry after 35", where nothing else tells. */
static int64_t told_in_words(const char *description)
{
	static const char words[] = "retry after ";
	const char *at = description ? strstr(description, words) : NULL;
	int64_t seconds;

	if (!at)
		return -1;
	at += sizeof(words) - 1;
	return span_i64((struct span){at, strspn(at, "0123456789")}, &seconds) ? seconds : -1;
}

/* ms; -1: not told. */
static int64_t wait_of(const struct answer *an, int64_t retry_after_ms)
{
	int64_t longest = WAIT_MAX_S * INT64_C(1000), seconds = an->retry_after_s;

	if (seconds < 0 && retry_after_ms < 0)
		seconds = told_in_words(an->description);
	if (seconds >= 0)
		return seconds > WAIT_MAX_S ? longest : seconds * 1000;
	if (retry_after_ms < 0)
		return -1;
	return retry_after_ms > longest ? longest : retry_after_ms;
}

/* What an answer means: by its code, of the Bot API's own answers also by what the description says. The first row that
 * fits. */
static const struct {
	int code;
	const char *text; /* somewhere in the description, in any case; NULL: whatever it says */
	enum verdict verdict;
	bool limited, whole_bot;
	const char *why; /* instead of the description: what an operator has to know */
} verdicts[] = {
    /* what was wanted is so already */
    {400, "message is not modified", CALL_DONE, false, false, NULL},
    {400, "message to delete not found", CALL_DONE, false, false, NULL},
    /* deleted, or too old */
    {400, "message to edit not found", CALL_GONE, false, false, NULL},
    {400, "message can't be edited", CALL_GONE, false, false, NULL},
    {400, "MESSAGE_ID_INVALID", CALL_GONE, false, false, NULL},
    /* the same as a 403, in other words */
    {400, "USER_IS_BLOCKED", CALL_BLOCKED, false, false, NULL},
    {400, "user is deactivated", CALL_BLOCKED, false, false, NULL},
    {400, "INPUT_USER_DEACTIVATED", CALL_BLOCKED, false, false, NULL},
    {400, "bot was kicked", CALL_BLOCKED, false, false, NULL},
    {400, "group chat was deactivated", CALL_BLOCKED, false, false, NULL},
    {401, NULL, CALL_DENIED, false, false, "Telegram does not accept the bot's token (401)"},
    {403, "MESSAGE_", CALL_FINAL, false, false, NULL}, /* about one message: MESSAGE_DELETE_FORBIDDEN */
    {403, "", CALL_BLOCKED, false, false, NULL},
    {404, NULL, CALL_DENIED, false, false, "Telegram knows no bot with this token (404)"},
    {408, NULL, CALL_LATER, false, false, NULL},
    {409, NULL, CALL_LATER, false, true, NULL},
    {420, NULL, CALL_LATER, true, false, NULL},
    {429, NULL, CALL_LATER, true, false, NULL},
};

static bool fits(const struct answer *an, int code, const char *text)
{
	if (an->code != code)
		return false;
	return !text || (an->sound && !an->ok && strcasestr(an->description ? an->description : "", text));
}

static void judge_rest(const struct answer *an, int status, struct arena *a, struct ruling *out)
{
	if (!an->sound) {
		out->why = arena_printf(a, "HTTP status %d without an answer of the Bot API", status);
	} else if (an->ok && status >= 200 && status < 300) {
		out->verdict = CALL_DONE;
	} else if (!an->ok && an->code >= 400 && an->code < 500) {
		out->verdict = CALL_FINAL;
		if (an->migrated_to != 0)
			out->why =
			    arena_printf(a, "the group has become the supergroup %lld", (long long)an->migrated_to);
	}
}

void telegram_judge(const struct response *res, struct arena *a, struct ruling *out)
{
	size_t i = 0, n = sizeof(verdicts) / sizeof(verdicts[0]);
	struct answer an;

	answer_read(&an, res->status, res->body, a);
	*out = (struct ruling){.verdict = CALL_OUTAGE, .wait_ms = wait_of(&an, res->retry_after_ms)};
	out->why = an.description       ? an.description
	           : res->status == 200 ? "HTTP status 200"
	                                : arena_printf(a, "HTTP status %d", res->status);
	while (i < n && !fits(&an, verdicts[i].code, verdicts[i].text))
		i++;
	if (i == n) {
		judge_rest(&an, res->status, a, out);
	} else {
		out->verdict = verdicts[i].verdict;
		out->limited = verdicts[i].limited;
		out->whole_bot = verdicts[i].whole_bot;
		if (verdicts[i].why)
			out->why = verdicts[i].why;
	}
	if (out->verdict == CALL_DONE || out->verdict == CALL_FINAL || out->verdict == CALL_GONE ||
	    out->verdict == CALL_BLOCKED)
		out->wait_ms = -1;
	else if (out->limited && out->wait_ms < LIMIT_LEAST_MS)
		out->wait_ms = LIMIT_LEAST_MS;
}

const char *telegram_name_in(struct span answer, struct arena *a)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
	const char *ignored, *name = json_str(json_obj(json_parse(a, answer, &ignored), "result"), "username");

	return name && *name && !name[strspn(name, letters)] ? name : NULL;
}

/* Walks JSON that json_parse has found sound. */
struct walker {
	const char *p, *end;
};

static void skip_string(struct walker *w)
{
	for (w->p++; w->p < w->end && *w->p != '"'; w->p++) {
		if (*w->p == '\\')
			w->p++;
	}
	w->p++;
}

static void skip_blank(struct walker *w)
{
	while (w->p < w->end && strchr(" \t\r\n", *w->p))
		w->p++;
}

/* Steps over one value. Iterative: depth is only counted. */
static struct span skip_value(struct walker *w)
{
	const char *start = w->p;
	int depth = 0;

	do {
		if (*w->p == '"') {
			skip_string(w);
			continue;
		}
		if (*w->p == '{' || *w->p == '[')
			depth++;
		else if (*w->p == '}' || *w->p == ']')
			depth--;
		w->p++;
		/* a number or a literal lasts until something ends it */
	} while (w->p < w->end &&
	         (depth > 0 || (*start != '"' && *start != '{' && *start != '[' && !strchr(",}] \t\r\n", *w->p))));
	return (struct span){start, (size_t)(w->p - start)};
}

/* Moves to the value of the first member with this name. The text is an object. */
static bool find_member(struct walker *w, const char *quoted_name)
{
	skip_blank(w);
	w->p++;
	for (skip_blank(w); w->p < w->end && *w->p == '"'; skip_blank(w)) {
		struct span name = skip_value(w);

		skip_blank(w);
		w->p++; /* : */
		skip_blank(w);
		if (span_is(name, quoted_name))
			return true;
		skip_value(w);
		skip_blank(w);
		w->p += w->p < w->end && *w->p == ',';
	}
	return false;
}

enum err telegram_updates(struct span answer, struct arena *a, struct span **updates, size_t *n, const char **why)
{
	const cJSON *root = json_parse(a, answer, why), *result;
	struct walker w = {answer.ptr, answer.ptr + answer.len};
	bool ok = false;
	size_t count;

	if (!root)
		return ERR_INVALID;
	result = json_arr(root, "result");
	if (!json_bool(root, "ok", &ok) || !ok || !result || !find_member(&w, "\"result\"") || *w.p != '[') {
		*why = "an answer without a list of updates";
		return ERR_INVALID;
	}
	count = (size_t)cJSON_GetArraySize(result);
	*updates = arena_array(a, struct span, count + 1);
	w.p++;
	for (*n = 0; *n < count; (*n)++) {
		skip_blank(&w);
		(*updates)[*n] = skip_value(&w);
		skip_blank(&w);
		w.p++; /* , or ] */
	}
	return ERR_OK;
}
