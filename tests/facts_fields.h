/* The facts and updates as tables of fields, so that tests can set each by its name, or by chance. */
#ifndef SHOAL_TESTS_FACTS_FIELDS_H
#define SHOAL_TESTS_FACTS_FIELDS_H

#include "shoal/model/facts.h"

enum type { FLAG, NUMBER, TEXT };

struct field {
	const char *name;
	enum type type;
	size_t offset;
};

#define F(type, member)                                                                                                \
	{                                                                                                              \
#member, type, offsetof(struct facts, member)                                                          \
	}
#define PERSONA(p)                                                                                                     \
	F(FLAG, p.found), F(NUMBER, p.id), F(TEXT, p.key), F(TEXT, p.name), F(TEXT, p.greeting), F(FLAG, p.active)
#define PARTY(p)                                                                                                       \
	F(FLAG, p.known), F(NUMBER, p.telegram_id), F(TEXT, p.first_name), F(TEXT, p.language_code), F(FLAG, p.blocked)
#define CHAT(c) F(FLAG, c.found), F(NUMBER, c.id), F(NUMBER, c.persona_id), F(NUMBER, c.turns)
static const struct field facts_fields[] = {
    F(NUMBER, now_ms),
    F(TEXT, conflict),
    F(FLAG, presumed),
    F(FLAG, user.known),
    F(NUMBER, user.id),
    F(FLAG, user.age_verified),
    F(FLAG, user.suspended),
    F(FLAG, user.blocked),
    F(TEXT, user.source),
    F(FLAG, code.found),
    F(NUMBER, code.id),
    F(NUMBER, code.persona_id),
    F(TEXT, code.code),
    F(FLAG, code.active),
    F(FLAG, code.limited),
    F(NUMBER, code.max_uses),
    F(FLAG, code.full),
    F(NUMBER, code.expires_ms),
    PERSONA(code_persona),
    PERSONA(persona),
    PERSONA(fallback),
    CHAT(chat),
    CHAT(code_chat),
    CHAT(fallback_chat),
    F(TEXT, answer),
    F(FLAG, conversation_known),
    F(TEXT, bot_username),
    F(TEXT, draft.step),
    F(TEXT, draft.amount),
    F(TEXT, draft.currency),
    F(TEXT, draft.terms),
    F(TEXT, draft.mark),
    F(FLAG, trade.found),
    F(NUMBER, trade.id),
    F(NUMBER, trade.amount),
    F(NUMBER, trade.scale),
    F(TEXT, trade.public_id),
    F(TEXT, trade.status),
    F(TEXT, trade.currency),
    F(TEXT, trade.terms),
    F(NUMBER, trade.expires_ms),
    PARTY(trade.buyer),
    PARTY(trade.seller),
    F(NUMBER, trade.invitation_id),
    F(TEXT, trade.invitation_token),
    F(NUMBER, trade.invited),
    F(FLAG, player.found),
    F(NUMBER, player.uid),
    F(TEXT, player.name),
    F(TEXT, player.country),
    F(TEXT, player.region),
    F(NUMBER, player.tos_ms),
    F(NUMBER, player.setup_ms),
    F(NUMBER, match.id),
    F(NUMBER, match.player_1),
    F(NUMBER, match.player_2),
    F(TEXT, match.name_1),
    F(TEXT, match.name_2),
    F(TEXT, match.report_1),
    F(TEXT, match.report_2),
    F(TEXT, match.result),
    F(NUMBER, match.channel_1),
    F(NUMBER, match.channel_2),
    F(NUMBER, match.mmr_1),
    F(NUMBER, match.mmr_2),
    F(NUMBER, match.if_1),
    F(NUMBER, match.if_2),
    F(NUMBER, match.if_draw),
    F(TEXT, line.state),
    F(NUMBER, line.serial),
    F(FLAG, board.known),
    F(TEXT, board.unknown),
    F(TEXT, board.race),
    F(TEXT, board.region),
    F(TEXT, board.country),
    F(TEXT, board.race_name),
    F(TEXT, board.region_name),
    F(TEXT, board.country_name),
    F(NUMBER, board.page),
    F(NUMBER, board.pages),
};
#undef F
#define F(type, member)                                                                                                \
	{                                                                                                              \
#member, type, offsetof(struct fact_wallet, member)                                                    \
	}
static const struct field wallet_fields[] = {F(TEXT, currency), F(NUMBER, scale), F(NUMBER, available),
                                             F(NUMBER, held)};
#undef F
#define F(type, member)                                                                                                \
	{                                                                                                              \
#member, type, offsetof(struct fact_listed, member)                                                    \
	}
static const struct field listed_fields[] = {F(NUMBER, id),     F(TEXT, public_id), F(TEXT, status), F(NUMBER, amount),
                                             F(TEXT, currency), F(NUMBER, scale),   F(FLAG, mine)};
#undef F
#define F(type, member)                                                                                                \
	{                                                                                                              \
#member, type, offsetof(struct fact_rating, member)                                                    \
	}
static const struct field rating_fields[] = {F(NUMBER, uid),   F(TEXT, name),  F(TEXT, country), F(TEXT, region),
                                             F(FLAG, set_up),  F(TEXT, races), F(TEXT, vetoes),  F(TEXT, race),
                                             F(NUMBER, mmr),   F(NUMBER, won), F(NUMBER, lost),  F(NUMBER, drawn),
                                             F(NUMBER, played)};
#undef F
#define F(type, member)                                                                                                \
	{                                                                                                              \
#member, type, offsetof(struct fact_entry, member)                                                     \
	}
static const struct field entry_fields[] = {F(NUMBER, place), F(TEXT, name), F(NUMBER, mmr), F(TEXT, race),
                                            F(TEXT, country)};
#undef F
#define F(type, member)                                                                                                \
	{                                                                                                              \
#member, type, offsetof(struct fact_rank, member)                                                      \
	}
static const struct field rank_fields[] = {F(NUMBER, place), F(NUMBER, mmr), F(TEXT, race)};
#undef F
#define F(type, member)                                                                                                \
	{                                                                                                              \
#member, type, offsetof(struct fact_choice, member)                                                    \
	}
static const struct field choice_fields[] = {F(TEXT, kind), F(TEXT, code), F(TEXT, name), F(FLAG, last),
                                             F(NUMBER, mmr)};
#undef F
#define F(type, member)                                                                                                \
	{                                                                                                              \
#member, type, offsetof(struct update, member)                                                         \
	}
static const struct field update_fields[] = {
    F(NUMBER, from.id),     F(TEXT, from.first_name),
    F(TEXT, from.username), F(TEXT, from.language_code),
    F(FLAG, from.is_bot),   F(NUMBER, chat_id),
    F(NUMBER, message_id),  F(TEXT, text),
    F(TEXT, media),         F(TEXT, word),
    F(TEXT, payload),       F(TEXT, mark),
    F(TEXT, kind_name),     F(FLAG, blocked),
    F(TEXT, token),         F(NUMBER, serial),
    F(NUMBER, received_ms),
};

/* Lists of facts, their elements' fields as they stand above. */
static const struct {
	const char *name;
	const struct field *fields;
	size_t nfields, element;
	size_t n, v; /* in struct facts */
} lists[] = {
#define LIST(name, fields, type, member)                                                                               \
	{                                                                                                              \
		name, fields, sizeof(fields) / sizeof((fields)[0]), sizeof(type), offsetof(struct facts, member.n),    \
		    offsetof(struct facts, member.v)                                                                   \
	}
    LIST("wallet", wallet_fields, struct fact_wallet, wallets),
    LIST("listed", listed_fields, struct fact_listed, listing),
    LIST("choice", choice_fields, struct fact_choice, choices),
    LIST("rating", rating_fields, struct fact_rating, ratings),
    LIST("entry", entry_fields, struct fact_entry, board),
    LIST("rank", rank_fields, struct fact_rank, ranks),
};

#endif
