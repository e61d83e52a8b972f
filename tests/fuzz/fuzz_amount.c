/* links: model base */
/* Amounts of money as people write them: the currency's scale, then the text. */
#include "fuzz.h"

#include "shoal/model/amount.h"

static void fuzz(const uint8_t *data, size_t size)
{
	struct food food = food_of(data, size);
	int64_t amount = -1, again = -1, any;
	struct arena a;

	arena_init(&a);
	int64_t scale = food_byte(&food) % 9;
	struct span rest = food_rest(&food);
	const char *text =
	    exact(&a, (struct span){arena_strndup(&a, rest.ptr, rest.len), strnlen(rest.ptr, rest.len) + 1}).ptr;
	enum amount_fault fault = amount_parse(text, scale, &amount);
	MUST(amount_readable(text) == (fault != AMOUNT_UNREADABLE));
	if (fault == AMOUNT_GOOD) {
		MUST(amount > 0 && amount <= AMOUNT_MAX);
		MUST(amount_parse(amount_format(&a, amount, scale), scale, &again) == AMOUNT_GOOD && again == amount);
	} else {
		MUST(amount == -1);
	}
	food = food_of(data, size);
	any = (int64_t)food_u64(&food);
	MUST(*amount_format(&a, any, scale));
	arena_release(&a);
}
