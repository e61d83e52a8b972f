/* Faults on request. */
#include "shoal/sim/faults.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shoal/base/clock.h"

static const char *const kind_names[] = {
    [FAULT_DELAY] = "delay", [FAULT_429] = "429", [FAULT_500] = "500", [FAULT_RESET] = "reset",
    [FAULT_HANG] = "hang",   [FAULT_400] = "400", [FAULT_403] = "403",
};
static const char *const scope_names[] = {
    [SCOPE_USER] = "user", [SCOPE_GLOBAL] = "global", [SCOPE_SHARED] = "shared", [SCOPE_ADDRESS] = "address"};
#define SCOPES (sizeof(scope_names) / sizeof(scope_names[0]))
#define KINDS (sizeof(kind_names) / sizeof(kind_names[0]))

static bool find_kind(const cJSON *spec, enum fault_kind *kind)
{
	const char *name = json_str(spec, "kind");
	for (size_t i = FAULT_NONE + 1; name && i < KINDS; i++) {
		if (strcmp(name, kind_names[i]) == 0) {
			*kind = (enum fault_kind)i;
			return true;
		}
	}
	return false;
}

static bool find_scope(const cJSON *spec, enum fault_scope *scope)
{
	const char *name = json_str(spec, "scope");

	for (size_t i = 0; name && i < SCOPES; i++) {
		if (strcmp(name, scope_names[i]) == 0) {
			*scope = (enum fault_scope)i;
			return true;
		}
	}
	return !name;
}

static const char *check(const cJSON *spec, struct fault *f)
{
	const char *when = json_str(spec, "when"), *method = json_str(spec, "method");

	if (!method || !*method)
		return "method: the name of a method or * is needed";
	if (!find_kind(spec, &f->kind))
		return "kind: delay, 429, 500, reset, hang, 400 or 403 is needed";
	if (when && strcmp(when, "before") != 0 && strcmp(when, "after") != 0)
		return "when: before or after";
	f->after = when && strcmp(when, "after") == 0;
	if (f->after && (f->kind == FAULT_429 || f->kind == FAULT_400 || f->kind == FAULT_403))
		return "when: a refusal has no effect before it; after goes with delay, 500, reset and hang";
	json_i64(spec, "ms", &f->ms);
	json_num(spec, "retry_after", &f->retry_after_s);
	json_i64(spec, "count", &f->left);
	json_num(spec, "probability", &f->probability);
	f->any_chat = !json_i64(spec, "chat_id", &f->chat_id);
	if (f->any_chat && json_get(spec, "chat_id"))
		return "chat_id: an integer";
	if (f->ms < 0 || f->ms > 3600000)
		return "ms: 0 to 3600000";
	if (!find_scope(spec, &f->scope))
		return "scope: user, global, shared or address";
	if (!(f->retry_after_s >= 0 && f->retry_after_s <= 1000000))
		return "retry_after: 0 to 1000000 seconds";
	if (f->left < -1)
		return "count: how many calls; -1 or none for no end";
	if (!(f->probability >= 0 && f->probability <= 1))
		return "probability: 0 to 1";
	return NULL;
}

static char *copy(const char *s)
{
	return s && strcmp(s, "*") != 0 ? mem_strdup(s) : NULL;
}

bool faults_add(struct faults *faults, const cJSON *spec, struct arena *a, const char **why)
{
	struct fault f = {.left = -1, .probability = 1, .ms = 1000, .retry_after_s = 1};
	const char *wrong = check(spec, &f);

	if (wrong) {
		*why = arena_strdup(a, wrong);
		return false;
	}
	struct fault *added = mem_alloc(sizeof(*added)), **end = &faults->first;
	f.method = copy(json_str(spec, "method"));
	f.bot = copy(json_str(spec, "bot"));
	f.description = copy(json_str(spec, "description"));
	*added = f;
	while (*end)
		end = &(*end)->next;
	*end = added;
	return true;
}

static bool matches(const struct fault *f, const char *method, const char *bot, int64_t chat_id)
{
	if (f->left == 0 || (f->method && strcasecmp(f->method, method) != 0) || (f->bot && strcmp(f->bot, bot) != 0))
		return false;
	if (!f->any_chat && f->chat_id != chat_id)
		return false;
	return f->probability >= 1 || (double)(random_u64() >> 11) * 0x1p-53 < f->probability;
}

const struct fault *faults_hit(struct faults *faults, const char *method, const char *bot, int64_t chat_id)
{
	for (struct fault *f = faults->first; f; f = f->next) {
		if (!matches(f, method, bot, chat_id))
			continue;
		f->hits++;
		if (f->left > 0)
			f->left--;
		return f;
	}
	return NULL;
}

void faults_clear(struct faults *faults)
{
	struct fault *next;
	for (struct fault *f = faults->first; f; f = next) {
		next = f->next;
		free(f->method);
		free(f->bot);
		free(f->description);
		free(f);
	}
	faults->first = NULL;
}

void faults_write(const struct faults *faults, struct json_writer *w)
{
	json_begin_arr(w);
	for (const struct fault *f = faults->first; f; f = f->next) {
		json_begin_obj(w);
		json_kv_str(w, "method", f->method ? f->method : "*");
		json_kv_str(w, "bot", f->bot ? f->bot : "*");
		if (!f->any_chat)
			json_kv_i64(w, "chat_id", f->chat_id);
		json_kv_str(w, "kind", kind_names[f->kind]);
		json_kv_str(w, "when", f->after ? "after" : "before");
		json_kv_i64(w, "ms", f->ms);
		json_kv_num(w, "retry_after", f->retry_after_s);
		json_kv_str(w, "scope", scope_names[f->scope]);
		json_kv_i64(w, "count", f->left);
		json_kv_num(w, "probability", f->probability);
		json_kv_i64(w, "hits", (int64_t)f->hits);
		json_end_obj(w);
	}
	json_end_arr(w);
}
