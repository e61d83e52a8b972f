/* answerCallbackQuery: once per press, while the press is young. */
#include "shoal/base/clock.h"
#include "shoal/sim/call.h"

#define TOAST_UNITS_MAX 200

enum outcome tg_answer_callback_query(struct call *c)
{
	const char *id_text = param_text(c, "callback_query_id"), *text = param_text(c, "text");
	struct query q;
	int64_t id = 0;

	if (!id_text)
		return call_fail(c, 400, "Bad Request: query ID is empty");
	if (text && !utf8_valid(span_of(text)))
		return call_fail(c, 400, "Bad Request: strings must be encoded in UTF-8");
	if (text && utf8_utf16_len(span_of(text)) > TOAST_UNITS_MAX)
		return call_fail(c, 400, "Bad Request: MESSAGE_TOO_LONG");
	if (!span_i64(span_of(id_text), &id) || !sim_take_query(c->sim, c->bot, id, &q))
		return call_fail(c, 400,
		                 "Bad Request: query is too old and response timeout expired or query ID is "
		                 "invalid");
	int64_t waited = clock_us() - q.at_us;
	samples_add(&c->sim->press_to_answer, waited);
	c->chat_id = q.chat->id;
	chat_note(q.chat, param_bool(c, "show_alert") ? "alert" : "toast", text, q.message_id,
	          c->worker[0] || c->req ? c->worker : "gateway", waited);
	return call_true(c);
}
