#include <stddef.h>
#include <string.h>

#include "shoal/base/str.h"
#include "shoal/io/redis.h"

/* The first that the error begins with. */
static const struct fault {
	const char *code;
	enum err err;
	bool down;
} faults[] = {
    {"READONLY", ERR_UNREACHABLE, true},
    {"LOADING", ERR_UNREACHABLE, true},
    {"MASTERDOWN", ERR_UNREACHABLE, true},
    {"CLUSTERDOWN", ERR_UNREACHABLE, true},
    {"TRYAGAIN", ERR_UNREACHABLE, true},
    {"MOVED", ERR_UNREACHABLE, true}, /* a cluster's slot has another owner: found by connecting anew */
    {"ASK", ERR_UNREACHABLE, true},   /* until the slot has moved */
    {"MISCONF", ERR_UNREACHABLE, true},
    {"NOREPLICAS", ERR_UNREACHABLE, true},
    {"UNBLOCKED", ERR_UNREACHABLE, true}, /* a blocked command, when the server became a replica */
    {"BUSY", ERR_UNREACHABLE, true},      /* a script hangs; the greeting's PING finds out when it is over */
    {"ERR max number of clients", ERR_UNREACHABLE, true},
    {"OOM", ERR_FULL, false},
    {"NOAUTH", ERR_DENIED, false},
    {"WRONGPASS", ERR_DENIED, false},
    {"NOPERM", ERR_DENIED, false},
    {"ERR AUTH", ERR_DENIED, false},
    {"ERR invalid password", ERR_DENIED, false},
};

static const struct fault *fault_find(const char *text)
{
	if (text[0] == '-')
		text++;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		size_t len = strlen(faults[i].code);
		if (strncmp(text, faults[i].code, len) == 0 && (text[len] == ' ' || text[len] == '\0'))
			return &faults[i];
	}
	return NULL;
}

/* Before Redis 7 a script's error is "ERR Error running script (call to f_...): @user_script:1: -OOM command ..." */
static const struct fault *fault_find_wrapped(const char *text)
{
	const struct fault *f = NULL;
	if (!strstr(text, "Error running script"))
		return NULL;
	for (const char *at = text; !f && (at = strstr(at, ": -")) != NULL; at += 3)
		f = fault_find(at + 2);
	return f;
}

enum err redis_classify(const char *text, bool *down)
{
	const struct fault *f = fault_find(text);
	if (!f)
		f = fault_find_wrapped(text);
	*down = f && f->down;
	return f ? f->err : ERR_REFUSED;
}
