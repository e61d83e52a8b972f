#include "shoal/wire/menu.h"

#include <string.h>

static const char *text_of(const cJSON *entry, const char *name)
{
	const char *s = json_str(entry, name);

	return s ? s : "";
}

static bool same(const cJSON *a, const cJSON *b, const struct menu_field *f);

static bool entries_same(const cJSON *a, const cJSON *b, const struct menu_field *fields)
{
	for (const struct menu_field *f = fields; f->name; f++)
		if (!same(a, b, f))
			return false;
	return true;
}

static bool same(const cJSON *a, const cJSON *b, const struct menu_field *f)
{
	int64_t numbers[2] = {0};
	bool flags[2] = {false};

	switch (f->kind) {
	case MENU_TEXT: return strcmp(text_of(a, f->name), text_of(b, f->name)) == 0;
	case MENU_NUMBER:
		json_i64(a, f->name, &numbers[0]);
		json_i64(b, f->name, &numbers[1]);
		return numbers[0] == numbers[1];
	case MENU_FLAG:
		json_bool(a, f->name, &flags[0]);
		json_bool(b, f->name, &flags[1]);
		return flags[0] == flags[1];
	case MENU_LIST: return menu_lists_same(json_arr(a, f->name), json_arr(b, f->name), f->of, false);
	}
	return false;
}

static const cJSON *find(const cJSON *list, const char *field, const char *name)
{
	const cJSON *entry;

	cJSON_ArrayForEach(entry, list)
	{
		if (strcmp(text_of(entry, field), name) == 0)
			return entry;
	}
	return NULL;
}

bool menu_lists_same(const cJSON *a, const cJSON *b, const struct menu_field *fields, bool by_name)
{
	const cJSON *entry, *other = b ? b->child : NULL;

	if (cJSON_GetArraySize(a) != cJSON_GetArraySize(b))
		return false;
	cJSON_ArrayForEach(entry, a)
	{
		if (by_name)
			other = find(b, fields->name, text_of(entry, fields->name));
		if (!other || !entries_same(entry, other, fields))
			return false;
		other = other->next;
	}
	return true;
}
