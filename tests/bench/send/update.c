#include "update.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define STRIDE 7368787 /* prime, and more than there are people */
#define UPDATE_ID 1000000000ULL

static const char from_and_chat[] =
    "\"from\":{\"id\":%lld,\"is_bot\":false,\"first_name\":\"Persephone\",\"last_name\":\"K. %lld\","
    "\"username\":\"anchor_lantern_%lld\",\"language_code\":\"en\"}";

static const char chat[] = "\"chat\":{\"id\":%lld,\"first_name\":\"Persephone\",\"last_name\":\"K. %lld\","
                           "\"username\":\"anchor_lantern_%lld\",\"type\":\"private\"}";

static const char bot_message[] = "{\"message_id\":%zu,\"from\":{\"id\":100000001,\"is_bot\":true,\"first_name\":"
                                  "\"Shoal\",\"username\":\"shoal_bot\"},"
                                  "%s,\"date\":%lld,\"text\":\"Nothing here for now. Open a link.\"}";

int64_t update_person(const struct load *load, size_t n)
{
	return FIRST_PERSON + (int64_t)(n % load->people * STRIDE % load->people);
}

struct words {
	const char *text; /* NULL: a button */
	bool code;        /* the number of a start code follows */
};

static const struct words start = {"/start CODE", true}, press = {NULL, false};

/* What everybody does, one after the other. */
static const struct words mix[] = {{"/start CODE", true}, {"Hello there, it rains again", false},
                                   {"/help", false},      {NULL, false},
                                   {"/start CODE", true}, {"/start NOWHERE", false},
                                   {"/stop", false},      {"And how was your day? Mine was long and wet.", false},
                                   {"/start", false},     {"/sing", false}};

static const struct words *said(const struct load *load, size_t n)
{
	size_t at = load->first + n;

	if (load->mix)
		return &mix[(at + at / load->people) % (sizeof(mix) / sizeof(mix[0]))];
	return load->press ? &press : &start;
}

bool update_presses(const struct load *load, size_t n)
{
	return !said(load, n)->text;
}

static int put_press(char out[UPDATE_MAX], size_t at, const char *person, const char *before)
{
	return snprintf(out, UPDATE_MAX,
	                "{\"update_id\":%llu,\"callback_query\":{\"id\":\"4382bfdwdsb%zu\",%s,\"message\":%s,"
	                "\"chat_instance\":\"-3893172943871\",\"data\":\"y:-:%08zx\"}}",
	                UPDATE_ID + at, at, person, before, at);
}

size_t update_text(const struct load *load, size_t n, char out[UPDATE_MAX])
{
	long long who = update_person(load, n), now = time(NULL);
	size_t round = load->people > load->codes ? load->people : load->codes;
	size_t code = (n * 31 + n / round) % load->codes, at = load->first + n;
	char person[320], place[256], before[640], text[64], entity[96] = "";
	const struct words *words = said(load, n);

	snprintf(person, sizeof(person), from_and_chat, who, who, who);
	snprintf(place, sizeof(place), chat, who, who, who);
	snprintf(before, sizeof(before), bot_message, at * 2 + 1, place, now - 60);
	if (!words->text)
		return (size_t)put_press(out, at, person, before);
	snprintf(text, sizeof(text), words->code ? "%s%zu" : "%s", words->text, code);
	if (text[0] == '/')
		snprintf(entity, sizeof(entity),
		         ",\"entities\":[{\"offset\":0,\"length\":%zu,\"type\":\"bot_command\"}]", strcspn(text, " "));
	return (size_t)snprintf(out, UPDATE_MAX,
	                        "{\"update_id\":%llu,\"message\":{\"message_id\":%zu,%s,%s,\"date\":%lld,"
	                        "\"reply_to_message\":%s,\"text\":\"%s\"%s}}",
	                        UPDATE_ID + at, at * 2 + 2, person, place, now, before, text, entity);
}
