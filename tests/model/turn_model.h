/* What the queue promises, told without the script's code: entries, lanes, owners and the time, and a judge that holds
 * one answer of lua/turn.lua and the keys after it against them. The rules are those of the design of the queue and of
 * the script's header comment. All times are ms of a clock that the walk moves. */
#ifndef SHOAL_TESTS_TURN_MODEL_H
#define SHOAL_TESTS_TURN_MODEL_H

#include <hiredis/hiredis.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TTL 3000        /* deadline of a worker */
#define BEAT (TTL / 32) /* deadlines and the time of the last turn may be that old */
#define ATTEMPTS 4      /* attempts allowed */
#define KEY_LIFE 60000  /* life of idempotency keys */
#define BYTES (1 << 20) /* of bodies in one answer, and one more entry */
#define LANES 24
#define BOTS 3
#define PAUSES 5
#define PAUSE_ALL 3 /* pause_texts[3] is "*" */
#define NOBODY -1
#define NEVER INT64_MAX
#define GUARD_LIFE 100000 /* of what shows that a dead letter was applied */
#define LETTERS 16
#define REPORTS_MAX 400
#define OLD_MAX 12
#define BURIAL_FIELDS 5 /* what the answer says of a dead letter */

struct id {
	uint64_t ms, seq;
};

enum place {
	UNREAD,
	WAITING, /* read, another of its lane comes first */
	DUE,     /* first of its lane, in nobody's hands */
	HELD,    /* first of its lane, in the hands of its owner */
	SETTLED,
	BURIED,
	TWICE,   /* its key was there already */
	REMOVED, /* by hand, and the script knows or need not know */
};

/* What is wrong with an entry; sound ones first. */
enum oddity {
	SOUND,
	SOUND_EMPTY_BODY,
	SOUND_BINARY_BODY,
	SOUND_EMPTY_KEY,
	BAD_NO_BOT,
	BAD_EMPTY_BOT,
	BAD_NO_BODY,
	BAD_NO_LANE,
	BAD_EMPTY_LANE,
	BAD_LONG_LANE,
	BAD_CONTROL_LANE,
	BAD_NUL_LANE,
	BAD_HIGH_LANE,
	BAD_LONG_KEY,
	BAD_NUL_KEY,
	ODDITIES
};

#define FIELDS_MAX 16 /* names and values of an entry */

struct entry {
	struct id id;
	int lane, bot, key; /* key -1: none */
	enum oddity odd;
	bool again;       /* a dead letter's second life */
	int64_t born, at; /* fields; -1: there is none */
	bool as_gateways; /* its fields come in the order of theirs, if it has them all */
	bool traced;      /* has a traceparent */
	int body_of;      /* the entry that first had its body */
	unsigned size;    /* of a large body; 0: a small one */
	bool poison;      /* whoever gets it dies */

	enum place place;
	bool there; /* in the stream */
	bool given; /* ever handed out */
	bool noted; /* has a field in tries */
	int retries, takeovers, sent;
	int owner;        /* HELD: a name */
	int64_t lo, hi;   /* DUE: its score lies between; hi NEVER: it may be parked */
	int64_t ripe;     /* DUE and perhaps parked: its latest score if it is not */
	bool parked;      /* DUE: surely out of the way, its bot is paused */
	bool adrift;      /* parked, and the note that it is was deleted by hand: comes back, but nobody says when */
	unsigned put_off; /* DUE: the call that made it so for a later one */
	unsigned twice;   /* the call that found its key to be another's by now */
	unsigned ring;    /* DUE: the call that made it so for whoever comes first */
};

struct name {
	char text[24];
	bool registered;
	int64_t deadline;
};

enum mode { WORK, LEAVE, HELLO };
enum report_kind { DONE, LATER, RETRY, RETRY_MAYBE, DEAD, SENT }; /* MAYBE: it may be applied */

struct report {
	enum report_kind kind;
	int entry, lane;
	int64_t number;
};

struct call {
	enum mode mode;
	int name, want;
	bool empty_handed;
	bool past;           /* the fleet has done updates before */
	bool no_mark;        /* a hello that may not mark a shard without a mark */
	unsigned except;     /* bots, as bits */
	const char *foreign; /* another format or shard; NULL: ours */
	int trailing;        /* arguments that make no report */
	int nreports, nold, nkept;
	struct report reports[REPORTS_MAX];
	int old[OLD_MAX];
	int kept[REPORTS_MAX];
};

/* What Redis said after a call. */
struct observed {
	redisReply *answer;
	bool group, bell;
	struct id read, rung; /* last delivered to the groups `workers` and `bell` */
	struct id wake;       /* the last ring */
	long long listed;     /* as pending by the group `workers` itself */
	long long xlen, lanes, waiting, due, tries, dead, workers;
};

/* What a worker learns from an answer. */
enum word { ANSWER_OK, ANSWER_KEPT, ANSWER_GONE, ANSWER_VERSION, ANSWER_BARE };
struct answer {
	enum word word;
	int given[REPORTS_MAX], ngiven;
	int kept[REPORTS_MAX], nkept;
	bool fenced[REPORTS_MAX]; /* by report */
	int careful;
};

struct burial {
	int entry;
	char error[48]; /* empty: any */
	bool maybe_applied, there, killer, found;
	int worker; /* NOBODY: empty */
	int retries, takeovers, sent;
};

struct letter {
	char id[48]; /* empty: no longer there */
	int entry, sent;
	bool there, unsure; /* its entry's fields; whether it may have been applied */
};

struct mark {
	struct id name; /* the key is this id; 0-0: "k" and its number */
	int entry;      /* -1: none */
	unsigned epoch; /* of the keys' rotation */
};

/* What happened, over all walks: a walk that never meets a rule does not test it. */
enum tally {
	T_CALLS,
	T_GIVEN,
	T_SETTLED,
	T_BURIED,
	T_BAD,
	T_TWICE,
	T_DELETED,
	T_FENCED,
	T_GONE,
	T_BARE,
	T_KEPT,
	T_NOT_KEPT,
	T_LATE,
	T_LOST,
	T_GRACE,
	T_TAKEN_OVER,
	T_KILLERS,
	T_STORM_SPARED,
	T_SUSPECT_ALONE,
	T_ORPHAN_EMPTY,
	T_ORPHAN_COMPANY,
	T_CLAIMS,
	T_PARKED,
	T_EXCEPTED,
	T_HANDED_ON,
	T_ROTATED,
	T_FORGOTTEN,
	T_GROUP_LOST,
	T_READ_ANEW,
	T_SECOND_LIFE,
	T_CLOCK_BACK,
	T_RINGS,
	T_FULL_CHECKS,
	TALLIES
};
extern const char *const tally_names[TALLIES];

struct lane {
	int *queue; /* read and not over, oldest first */
	int n, cap;
};

struct model {
	int64_t now;
	struct entry *entries;
	int nentries, cap;
	int *live, nlive; /* entries that are not over */
	struct lane lanes[LANES];
	struct name *names;
	int nnames, names_cap;
	int registered[256], nregistered;
	struct mark *marks;
	int nkeys, keys_cap;
	unsigned epoch;

	int64_t turned, rotated;
	/* Of entries that another Redis may have handed out: those up to this ms all were perhaps, none after the other
	 * was */
	int64_t lost_must, lost_may;
	enum { RUN_UNKNOWN, RUN_OURS, RUN_ANOTHER } run; /* which Redis conf names */
	int paused, paused_seen;                         /* an index of pauses[] */
	double deaths;
	int64_t deaths_at;
	int claimant;
	int64_t claim_till;
	bool conf;      /* conf exists */
	bool group;     /* so does the group */
	struct id read; /* last delivered */
	struct id last; /* last appended */
	struct id wake;
	int junk_due; /* members of due put there by hand, which may be there yet */
	bool was_adrift;
	long long ndead;

	unsigned ncalls;
	struct burial burials[REPORTS_MAX];
	int nburials, twice[BOTS];
	struct answer answer;
	struct letter letters[LETTERS];
	unsigned nletters;

	unsigned long long *tally;
	jmp_buf failed;
	char why[400];
};

extern const char *const lane_names[LANES], *const bot_names[BOTS], *const pause_texts[PAUSES];

void model_init(struct model *, unsigned long long *tally);
void model_release(struct model *);
_Noreturn void model_fail(struct model *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A new entry's number; the caller fills in what it is before it is appended. */
int model_entry(struct model *);
int model_name(struct model *, const char *base);
int model_key(struct model *);
int model_find(const struct model *, struct id id);
bool model_is_paused(const struct model *, int bot);
bool model_is_over(const struct entry *);
bool parse_id(const char *s, struct id *out);
const char *id_text(struct id id, char out[48]);

/* The fields of an entry as they are appended: at most 14 spans, names and values in turn; their number. */
struct span {
	const char *ptr;
	size_t len;
};
int entry_fields(const struct model *, int entry, struct span out[FIELDS_MAX]);
/* Its fields are those of gateways, in their order: it is handed out without their names. */
bool entry_nameless(const struct model *, int entry);

/* What the walk does beside the script. */
void model_appended(struct model *, int entry);
void model_deleted(struct model *, int entry);   /* XDEL */
void model_group_lost(struct model *);           /* XGROUP DESTROY */
void model_bookkeeping_lost(struct model *);     /* lanes, waiting, due, tries and the group deleted */
void model_lane_lost(struct model *, int entry); /* all that says of this first of a lane that it is, and the group */
void model_conf_lost(struct model *);            /* conf deleted */
void model_all_lost(struct model *);             /* every key deleted */
void model_phantom(struct model *, int entry);   /* a member of waiting whose entry is nowhere */
void model_set_pause(struct model *, int pause);

/* Holds the answer of this call and the keys' sizes against the model, which then knows what the call did. */
void model_judge(struct model *, const struct call *, const struct observed *, redisContext *);
/* Holds the answer of lua/dead_retry.lua against the model; entry: a new one, for what comes of it. */
void model_judge_retry(struct model *, int letter, bool force, int entry, const redisReply *);
/* Holds every key against the model, member by member. */
void model_check_keys(struct model *, redisContext *);

/* --- for the judge's own parts */

void entry_texts_init(void);
size_t model_entry_bytes(const struct model *, const struct entry *); /* of its fields' values */
int id_cmp(struct id, struct id);
/* The first entry whose id is above this one. */
int model_entry_after(const struct model *, struct id);
struct entry *model_named(struct model *, const redisReply *id, const char *where);
struct entry *model_head(struct model *, int lane);
void *model_grown(void *, int n, int *cap, size_t size);

/* What becomes of an entry. */
void model_end(struct model *, struct entry *, enum place);
void model_make_due(struct entry *, int64_t lo, int64_t hi);
/* First of its lane, for whoever comes first; out of the way while its bot is paused. */
void model_make_free(struct model *, struct entry *);
/* Behind the one that is in hand or due, in the order of the ids. true: there was none, and it is the first. */
bool model_line_up(struct model *, int entry);
/* The first of this lane is over: the oldest behind it that still exists comes next. */
void model_advance(struct model *, int lane);
/* Head of its lane, or read just now and bad. */
void model_bury(struct model *, struct entry *, const char *error, bool maybe_applied, int worker);
void model_note(struct entry *, int retries, int takeovers, int sent);
void model_enlist(struct model *, int name);
void model_unregister(struct model *, int name);

void model_judge_fields(struct model *, int entry, const redisReply *, size_t from);
void model_judge_burials(struct model *, const redisReply *buried, redisContext *);
void model_judge_killers(struct model *, const redisReply *killers);

#endif
