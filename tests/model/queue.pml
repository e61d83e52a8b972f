/* queue.pml: the queue's protocol, for spin. What stands for what, function by function: README.md beside it.
 *
 * Two workers, N entries in lanes of two, one Redis, one Postgres, one platform. A turn is one atomic step; between its
 * sending, its execution and the arrival of its answer anything may happen. FAULTS faults of the kinds allowed by macros
 * may strike at any point. Any process may rest for any time, so a pause is nothing in itself; what matters of it is
 * that the worker's certainty runs out (PAUSE) and then its deadline (deadline_passes).
 *
 *   N 3          entries; 0 and 1 share lane 0, 2 has lane 1         R 1       replies of an update
 *   INFLIGHT 2   in hand per worker                                  FAULTS 2  how many, of all kinds together
 *   ATTEMPTS 2   SUSPECT 1   FATAL 2   as in turn.lua, scaled down
 *   kinds        CRASH PAUSE CUT LEAVE UNKNOWN CONFLICT OUTAGE FAIL BAD FORGET
 *   DUP          the last entry bears the key of entry 0             ARRIVE    entries are appended while workers work
 *   KILLER e     entry e kills whoever loads it                      FAILS e   entry e fails in its handler, always
 *   SPLIT        between the sending of a turn and its execution others act (else only before and after)
 *   LIVE         for the claim `ends`: turns that change nothing are left out, what is due is ripe, all room is used
 *   BROKEN_...   a seeded mistake; spin must reject it
 *   BEHAVIOUR    judges only what people would see (effects, their order, replies, the end), not the state of Redis:
 *                so that a mistake is shown by its consequence
 *   STRICT_MAYBE also: a dead letter whose changes are in the tables, now or later, is known to be unsure
 */
#ifndef N
#define N 3
#endif
#ifndef R
#define R 1
#endif
#ifndef INFLIGHT
#define INFLIGHT 2
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 2
#endif
#ifndef SUSPECT
#define SUSPECT 1
#endif
#ifndef FATAL
#define FATAL 2
#endif
#ifndef KILLER
#define KILLER 99
#endif
#ifndef FAILS
#define FAILS 99
#endif

#define W 2 /* workers; slot W of the requests is the command of a closed connection that is still on its way */
#define LANES ((N + 1) / 2)
#define NAMES 8
#define bit(x) (1 << (x))
#define ALL (bit(N) - 1)
#define lane_of(e) ((e) / 2)
#define lane_mask(l) (3 << (2 * (l)))
#ifdef DUP
#define key_of(e) ((e) == N - 1 -> 0 : (e))
#else
#define key_of(e) (e)
#endif
#define J(w, e) ((w) * N + (e))

/* ---- Redis; a set of entries is a mask */
byte unread, pending, waiting, due; /* pending: read and not settled */
byte settled, dead, duplicate;
byte maybe; /* dead letters whose changes may be there, as lua/dead_retry.lua judges */
byte lane_is[LANES], lane_id[LANES];
byte retries[N], takeovers[N], marked[N];
byte seen[N];             /* by key: entry + 1 */
byte registered;          /* names; a deadline passes when a turn says so, see `silent` */
#define FREE 0
#define AT 1   /* "@ id" */
#define NEW 2  /* "@ id new" */
#define HAND 3 /* + n: "NAME id" */

/* ---- what is on the connections */
byte req[W + 1];
#define NONE 0
#define SENT 1
#define ANSWERED 2
byte mode[W + 1], name[W + 1], want[W + 1], old[W + 1], kept[W + 1];
byte ripe[W + 1];  /* lanes whose entry in due is ripe when this turn is executed */
bit sweeps[W + 1]; /* the deadlines of the silent have passed by then */
bit idle[W + 1];
byte kind[(W + 1) * N], count[(W + 1) * N]; /* the reports; kind: the stage of the reporting job */
byte given[W + 1], fenced[W + 1];           /* the answer, and `kept` to a hello */
bit gone[W + 1];
#define WORK 1
#define HELLO 2
#define LEAVING 3

/* ---- workers */
byte conn[W], cur[W], names[W];
#define DOWN 0
#define UP 1 /* connected; a hello is due or under way */
#define READY 2
bit certain[W]; /* queue_certain() */
bit slow[W];    /* the request under way began before the pause: its answer makes nobody certain */
bit draining[W];
byte job[W * N], delivered[W * N];
bit again[W * N];
/* stages of a job: first those that a turn tells of */
#define CONFIRM_C 1
#define CONFIRM_R 2
#define MARK 3
#define DONE 4
#define LATER 5
#define RETRY 6
#define BURY 7
#define LOAD 8
#define COMMITTING 9
#define SENDING 10
#define tells(w, e) (job[J(w, e)] >= CONFIRM_C && job[J(w, e)] <= BURY)
#define closing(w, e) (job[J(w, e)] >= DONE && job[J(w, e)] <= BURY)
#define active(w, e) (job[J(w, e)] != NONE && !closing(w, e))
#if N == 1
#define in_hand(w) (active(w, 0))
#define has_reports(w) (tells(w, 0))
#elif N == 2
#define in_hand(w) (active(w, 0) + active(w, 1))
#define has_reports(w) (tells(w, 0) || tells(w, 1))
#elif N == 3
#define in_hand(w) (active(w, 0) + active(w, 1) + active(w, 2))
#define has_reports(w) (tells(w, 0) || tells(w, 1) || tells(w, 2))
#else
#define in_hand(w) (active(w, 0) + active(w, 1) + active(w, 2) + active(w, 3))
#define has_reports(w) (tells(w, 0) || tells(w, 1) || tells(w, 2) || tells(w, 3))
#endif

/* ---- Postgres and the platform */
byte guard;       /* keys that have a guard row, and with it the effects */
byte applied;     /* keys whose changes are in the tables */
byte late_commit; /* entries whose statement is under way and nobody waits for it */
byte sends[N * R], excuses[N * R];

#ifdef BROKEN_NO_GUARD
#define guarded(e) false
#else
#define guarded(e) (guard & bit(key_of(e)))
#endif

byte faults = FAULTS;
byte arrived = N;

/* scratch of atomic steps */
hidden byte s, i, l, x, e1, me, room, half, ready, r, expired;

#define final (settled | dead | duplicate)
#define over (final == ALL)

/* ================================================================ what must always hold */

/* Every entry is in exactly one place, and nothing is left behind (turn.lua, "Invariant"). */
inline sound()
{
	e1 = 0;
	for (l : 0 .. LANES - 1) {
		if
		:: lane_is[l] != FREE ->
			e1 = e1 | bit(lane_id[l]);
			assert(lane_of(lane_id[l]) == l);
			assert(((due & bit(lane_id[l])) != 0) == (lane_is[l] < HAND));
			assert(lane_is[l] < HAND || (registered & bit(lane_is[l] - HAND)))
		:: else -> assert(!(waiting & lane_mask(l)))
		fi
	}
	assert((due & ~e1) == 0);
	assert((e1 & waiting) == 0 && (e1 | waiting) == pending);
	assert((unread | pending | final) == bit(arrived) - 1);
	assert((unread & pending) == 0 && ((unread | pending) & final) == 0);
	assert((settled & dead) == 0 && (settled & duplicate) == 0 && (dead & duplicate) == 0)
}

/* Redis says so: what is begun now is begun by the one live owner. */
#define owns(w, e) (lane_is[lane_of(e)] >= HAND && lane_id[lane_of(e)] == e && \
	(names[w] & bit(lane_is[lane_of(e)] - HAND)))

/* who is leaving only waits for what his last turn tells */
#define works_on(w, e) (active(w, e) && certain[w] && !(req[w] != NONE && mode[w] == LEAVING))

/* Whoever works on an entry and is certain does own it; so no two of a lane are. */
inline one_owner()
{
	for (x : 0 .. N - 1) {
		assert(!works_on(0, x) || owns(0, x));
		assert(!works_on(1, x) || owns(1, x))
	}
	x = 0
}

/* ================================================================ lua/turn.lua */

inline give(id, is_again)
{
	lane_is[lane_of(id)] = HAND + me;
	lane_id[lane_of(id)] = id;
	room--;
	given[s] = given[s] | bit(id);
	if
	:: s < W ->
#ifndef BEHAVIOUR
		assert(job[J(s, id)] == NONE);
#endif
		again[J(s, id)] = is_again;
		delivered[J(s, id)] = (is_again -> marked[id] : 0)
	:: else /* nobody will read the answer */
	fi
}

inline settle(id)
{
	pending = pending & ~bit(id);
	retries[id] = 0;
	takeovers[id] = 0;
	marked[id] = 0
}

inline back(lane)
{
	lane_is[lane] = AT;
	due = due | bit(lane_id[lane])
}

inline hand_on(id)
{
	if
	:: room > 0 -> give(id, 0)
	:: else ->
		lane_is[lane_of(id)] = NEW;
		lane_id[lane_of(id)] = id;
		due = due | bit(id)
	fi
}

inline next_in(lane)
{
	if
#ifndef BROKEN_NEXT_FORGETS_WAITING
	:: waiting & bit(2 * lane) -> e1 = 2 * lane
	:: !(waiting & bit(2 * lane)) && (waiting & bit(2 * lane + 1)) -> e1 = 2 * lane + 1
#endif
	:: else -> e1 = N
	fi;
	if
	:: e1 == N ->
		lane_is[lane] = FREE;
		lane_id[lane] = 0
	:: else ->
		waiting = waiting & ~bit(e1);
		hand_on(e1)
	fi
}

inline bury(id, maybe_applied)
{
	dead = dead | bit(id);
	assert(KILLER == 99 || id == KILLER); /* who kills takes no innocent ones with it */
#ifdef STRICT_MAYBE
	maybe = maybe | (maybe_applied || takeovers[id] > 0 -> bit(id) : 0);
#endif
#ifdef STRICT_MAYBE
	assert((maybe & bit(id)) || !(applied & bit(key_of(id))));
#endif
	settle(id)
}

inline retry(id)
{
	retries[id]++;
#ifdef BROKEN_RETRY_UNCOUNTED
	retries[id] = 0;
#endif
	if
	:: retries[id] < ATTEMPTS ->
#ifdef BROKEN_RETRY_FREES_LANE
		if
		:: waiting & lane_mask(lane_of(id)) ->
			r = id;
			e1 = id ^ 1;
			waiting = waiting & ~bit(e1) | bit(r);
			hand_on(e1)
		:: else -> back(lane_of(id))
		fi
#else
		back(lane_of(id))
#endif
	:: else ->
		bury(id, 0);
		next_in(lane_of(id))
	fi
}

inline done(id)
{
	settled = settled | bit(id);
	settle(id);
	for (i : 0 .. R - 1) {
		assert(sends[id * R + i] > 0) /* replies at least once */
	}
	next_in(lane_of(id))
}

inline report(id)
{
	if
	:: kind[J(s, id)] == NONE
#ifdef BROKEN_NO_REPORT_FENCE
	:: kind[J(s, id)] != NONE && !(pending & bit(id)) -> fenced[s] = fenced[s] | bit(id)
#else
	:: kind[J(s, id)] > CONFIRM_R && !(lane_is[lane_of(id)] == HAND + me && lane_id[lane_of(id)] == id) ->
		fenced[s] = fenced[s] | bit(id)
#endif
	:: else ->
		if
		:: kind[J(s, id)] == DONE -> done(id)
		:: kind[J(s, id)] == LATER -> back(lane_of(id))
		:: kind[J(s, id)] == MARK -> marked[id] = count[J(s, id)]
		:: kind[J(s, id)] == RETRY -> retry(id)
		:: kind[J(s, id)] == BURY ->
			bury(id, count[J(s, id)]);
			next_in(lane_of(id))
		:: else /* a confirmation tells Redis nothing */
		fi
	fi
}

/* the worker of lane l is dead */
inline take_over()
{
	x = lane_id[l];
#ifndef BROKEN_TAKEOVER_UNCOUNTED
	takeovers[x]++;
#endif
	if
	:: takeovers[x] >= FATAL ->
		bury(x, 1);
		next_in(l)
	:: else -> back(l)
	fi
}

#define is_due(l) ((lane_is[l] == AT || lane_is[l] == NEW) && (ready & bit(lane_id[l])))
#define in_hand_of(l, set) (lane_is[l] >= HAND && (bit(lane_is[l] - HAND) & (set)))

inline give_due()
{
	due = due & ~bit(lane_id[l]);
	r = (lane_is[l] == AT);
	give(lane_id[l], r)
}

inline take_careful()
{
	x = LANES;
	for (l : 0 .. LANES - 1) {
		if
		:: x == LANES && is_due(l) && takeovers[lane_id[l]] >= SUSPECT -> x = l
		:: else
		fi
	}
	if
	:: x < LANES ->
		l = x;
		give_due();
		room = 0
	:: else ->
		x = 0;
		for (l : 0 .. LANES - 1) {
			if
			:: is_due(l) && takeovers[lane_id[l]] > 0 && room > 0 ->
				give_due();
				x = 1
			:: else
			fi
		}
		room = (x == 1 -> 0 : room)
	fi
}

#ifdef BROKEN_SUSPECT_IN_COMPANY
#define is_suspect(l) false
#else
#define is_suspect(l) (takeovers[lane_id[l]] >= SUSPECT)
#endif

inline take_due(limit)
{
	half = limit;
	for (l : 0 .. LANES - 1) {
		if
		:: is_due(l) && half > 0 && room > 0 && !is_suspect(l) ->
			give_due();
			half--
		:: else
		fi
	}
}

inline take_unread()
{
	for (x : 0 .. N - 1) {
		if
		:: room > 0 && (unread & bit(x)) ->
			unread = unread & ~bit(x);
			pending = pending | bit(x);
			if
			:: seen[key_of(x)] && seen[key_of(x)] != x + 1 ->
				duplicate = duplicate | bit(x);
				settle(x)
			:: else ->
#ifdef DUP
				seen[key_of(x)] = x + 1;
#endif
				if
				:: lane_is[lane_of(x)] == FREE -> give(x, 0)
				:: else -> waiting = waiting | bit(x)
				fi
			fi
		:: else
		fi
	}
}

inline hello()
{
	registered = registered | bit(me);
	for (l : 0 .. LANES - 1) {
		if
		:: in_hand_of(l, old[s]) ->
			if
#ifdef BROKEN_HELLO_KEEPS_ALL
			:: true ->
#else
			:: kept[s] & bit(lane_id[l]) ->
#endif
				lane_is[l] = HAND + me;
				given[s] = given[s] | bit(lane_id[l])
#ifndef BROKEN_HELLO_KEEPS_ALL
			:: else -> back(l)
#endif
			fi
		:: else
		fi
	}
	registered = registered & ~(old[s] & ~bit(me))
}

#ifdef BROKEN_CERTAIN_TOO_LONG
#define silent 255
#else
/* Names whose deadline may have passed: of the dead, of closed connections, of who stood still. */
#define silent ((certain[0] -> ~names[0] : 255) & (certain[1] -> ~names[1] : 255))
#endif

inline work()
{
	ready = 0;
	for (l : 0 .. LANES - 1) {
		ready = ready | ((ripe[s] & bit(l)) -> (due & lane_mask(l)) : 0)
	}
	room = want[s];
	if
	:: idle[s] && room > 0 -> take_careful()
	:: else
	fi;
	for (x : 0 .. N - 1) {
		report(x)
	}
	expired = (sweeps[s] -> registered & silent & ~bit(me) : 0);
	for (l : 0 .. LANES - 1) {
		if
		:: in_hand_of(l, expired) -> take_over()
		:: else
		fi
	}
	registered = registered & ~expired;
	slow[0] = (slow[0] || (req[0] != NONE && (names[0] & expired)));
	slow[1] = (slow[1] || (req[1] != NONE && (names[1] & expired)));
	if
	:: mode[s] == LEAVING ->
		for (l : 0 .. LANES - 1) {
			if
			:: in_hand_of(l, bit(me)) ->
#ifdef BROKEN_LEAVE_FREES_LANE
				next_in(l)
#else
				back(l)
#endif
			:: else
			fi
		}
		registered = registered & ~bit(me)
	:: else ->
		take_due((room + 1) / 2);
		take_unread();
		take_due(room)
	fi
}

inline request_clear(c)
{
	mode[c] = 0; name[c] = 0; want[c] = 0; old[c] = 0; kept[c] = 0; ripe[c] = 0; sweeps[c] = 0; idle[c] = 0;
	given[c] = 0; fenced[c] = 0; gone[c] = 0;
	for (i : 0 .. N - 1) {
		kind[J(c, i)] = NONE;
		count[J(c, i)] = 0
	}
	req[c] = NONE
}


#ifdef BROKEN_NO_REPORT_FENCE
#define is_gone false
#else
#define is_gone !(registered & bit(me))
#endif
#define SET(m) (m) & 1, ((m) >> 1) & 1, ((m) >> 2) & 1, ((m) >> 3) & 1

/* Executes what stands on a connection. */
inline execute(connection)
{
	s = connection;
	me = name[s];
	if
	:: mode[s] == HELLO ->
		hello();
		printf("redis: hello of name %d: keeps [%d%d%d%d]\n", me, SET(given[s]))
	:: mode[s] != HELLO && is_gone ->
		gone[s] = 1;
		printf("redis: turn of name %d: gone\n", me)
	:: else ->
		work();
		printf("redis: turn of name %d: gives [%d%d%d%d], fenced [%d%d%d%d]", me, SET(given[s]), SET(fenced[s]));
		printf("; due [%d%d%d%d] settled [%d%d%d%d] dead [%d%d%d%d]\n", SET(due), SET(settled), SET(dead))
	fi;
	req[s] = ANSWERED;
	if
	:: s == W -> request_clear(W)
	:: else
	fi;
#ifndef BEHAVIOUR
	sound();
	one_owner();
#endif
	ghosts()
}

/* What nobody can ask for any more is no difference between states. */
inline ghosts()
{
	for (x : 0 .. N - 1) {
		if
		:: (final & bit(x)) && job[J(0, x)] == NONE && job[J(1, x)] == NONE ->
			for (i : 0 .. R - 1) {
				sends[x * R + i] = 0;
				excuses[x * R + i] = 0
			}
		:: else
		fi
	}
	x = 0
}

/* ================================================================ a worker's queue (src/store/queue.c) */

/* What is begun and not yet marked may be sent once more, by whoever comes next. */
inline excuse(w, e)
{
	if
	:: job[J(w, e)] == SENDING -> excuses[e * R + delivered[J(w, e)]]++
	:: (job[J(w, e)] == MARK || job[J(w, e)] == DONE) && delivered[J(w, e)] > 0 ->
		excuses[e * R + delivered[J(w, e)] - 1]++
	:: else
	fi
}

inline forget(w, e)
{
	job[J(w, e)] = NONE;
	delivered[J(w, e)] = 0;
	again[J(w, e)] = 0
}

/* The entry is not this worker's any more; what is under way goes on by itself. */
inline lose(w, e)
{
	if
	:: job[J(w, e)] == COMMITTING && !guarded(e) -> late_commit = late_commit | bit(e)
	:: else
	fi;
	forget(w, e)
}

/* The process ends, a new one starts. */
inline die(w)
{
	for (x : 0 .. N - 1) {
		excuse(w, x);
		lose(w, x)
	}
	cur[w] = 0;
	names[w] = 0;
	certain[w] = 1;
	slow[w] = 0;
	draining[w] = 0;
	conn[w] = DOWN
}

/* The connection is closed: what Redis has not yet read is lost, or is still on its way. */
inline cut(w, is_late)
{
	if
	:: is_late && req[w] == SENT ->
		req[W] = SENT;
		mode[W] = mode[w]; name[W] = name[w]; want[W] = want[w]; old[W] = old[w]; kept[W] = kept[w];
		ripe[W] = ripe[w]; sweeps[W] = sweeps[w]; idle[W] = idle[w];
		for (i : 0 .. N - 1) {
			kind[J(W, i)] = kind[J(w, i)];
			count[J(W, i)] = count[J(w, i)]
		}
	:: else
	fi;
	if
	:: req[w] == ANSWERED && mode[w] == WORK && !gone[w] ->
		for (x : 0 .. N - 1) {
			if
			:: given[w] & bit(x) -> forget(w, x)
			:: else
			fi
		}
	:: else
	fi;
	r = (req[w] != NONE && mode[w] == LEAVING);
	request_clear(w);
	slow[w] = 0;
	conn[w] = DOWN;
	if
	:: r -> /* its last turn: what is finished may still be told, the rest has ended */
		for (x : 0 .. N - 1) {
			if
			:: active(w, x) ->
				excuse(w, x);
				lose(w, x)
			:: else
			fi
		}
	:: else
	fi
}

inline send_hello(w)
{
	e1 = registered | names[w] | (req[W] == SENT -> old[W] | bit(name[W]) : 0);
	me = w * (NAMES / W); /* each worker has its own, only to have fewer states */
	for (i : 0 .. NAMES / W - 1) {
		me = ((e1 & bit(me)) -> me + 1 : me)
	}
	assert(me < (w + 1) * (NAMES / W));
	old[w] = names[w];
#ifdef BROKEN_ONE_NAME
	me = (names[w] -> cur[w] : me);
#endif
	cur[w] = me;
	names[w] = names[w] | bit(me);
	mode[w] = HELLO;
	name[w] = me;
	for (x : 0 .. N - 1) {
		kept[w] = kept[w] | (job[J(w, x)] != NONE -> bit(x) : 0)
	}
	req[w] = SENT;
	conn[w] = UP;
	printf("worker %d: says hello as name %d, has [%d%d%d%d]\n", w, me, SET(kept[w]))
}

/* The guard was not asked, so an earlier delivery may have committed. */
#if defined(STRICT_MAYBE) && !defined(BROKEN_UNTRUE_LETTERS)
#define may_be_applied(w, e) again[J(w, e)]
#else
#define may_be_applied(w, e) 0
#endif

inline send_turn(w, how, how_many, which, untold, sweep)
{
	mode[w] = how;
	name[w] = cur[w];
	want[w] = how_many;
	ripe[w] = which;
	sweeps[w] = sweep;
	idle[w] = (in_hand(w) == 0 && how != LEAVING);
	r = 0;
	for (x : 0 .. N - 1) {
		if
		:: how == LEAVING && active(w, x) && !tells(w, x) ->
			excuse(w, x);
			lose(w, x)
		:: else
		fi;
		if
		:: tells(w, x) && !(bit(x) & (untold)) ->
			r = r | bit(x);
			kind[J(w, x)] = job[J(w, x)];
			count[J(w, x)] = (job[J(w, x)] == MARK -> delivered[J(w, x)] :
				(job[J(w, x)] == BURY -> may_be_applied(w, x) : 0))
		:: else
		fi
	}
	req[w] = SENT;
	printf("worker %d: turn as name %d, wants %d, tells [%d%d%d%d]\n", w, cur[w], how_many, SET(r))
}

inline told(w, e)
{
	if
	:: kind[J(w, e)] == NONE
	:: kind[J(w, e)] != NONE && ((fenced[w] & bit(e)) || kind[J(w, e)] >= DONE) -> forget(w, e)
	:: else ->
		if
		:: kind[J(w, e)] == CONFIRM_C -> begin_commit(w, e)
		:: else -> begin_reply(w, e)
		fi
	fi;
	if
	:: given[w] & bit(e) ->
#ifndef BEHAVIOUR
		assert(job[J(w, e)] == NONE);
#endif
		job[J(w, e)] = LOAD
	:: else
	fi
}

inline answer(w)
{
	if
	:: gone[w] ->
		for (x : 0 .. N - 1) {
			lose(w, x)
		}
		conn[w] = UP
	:: !gone[w] && mode[w] == HELLO ->
		for (x : 0 .. N - 1) {
			if
			:: !(given[w] & bit(x)) -> lose(w, x)
			:: else
			fi
		}
		names[w] = bit(cur[w]);
		conn[w] = READY
	:: else ->
		for (x : 0 .. N - 1) {
			told(w, x)
		}
	fi
}

#define has_due(l, w) ((lane_is[l] == AT || lane_is[l] == NEW) && (!is_suspect(l) || in_hand(w) == 0))
#define takeable(w) (in_hand(w) < INFLIGHT && (unread || has_due(0, w) || (LANES > 1 && has_due(LANES - 1, w))))
#define sweepable(w) ((registered & silent & ~bit(cur[w])) != 0)
#define changes(w) (has_reports(w) || !certain[w] || sweepable(w) || takeable(w))
#define room_of(w) (INFLIGHT - in_hand(w))
#define EVERY (bit(LANES) - 1)
#define may_turn(w) (conn[w] == READY && req[w] == NONE && !draining[w])

/* ================================================================ an update on its way (src/worker) */

#ifdef BROKEN_NO_FENCE_BEFORE_COMMIT
#define fence_c(w) true
#else
#define fence_c(w) certain[w]
#endif
#ifdef BROKEN_NO_FENCE_BEFORE_SENDING
#define fence_r(w) true
#else
#define fence_r(w) certain[w]
#endif

/* must_confirm(), then commit_send() */
inline begin_commit(w, e)
{
	if
	:: fence_c(w) ->
		begun(w, e);
		job[J(w, e)] = COMMITTING
	:: else -> job[J(w, e)] = CONFIRM_C
	fi
}

inline begin_reply(w, e)
{
	if
	:: delivered[J(w, e)] >= R -> job[J(w, e)] = DONE
	:: delivered[J(w, e)] < R && fence_r(w) ->
		begun(w, e);
		job[J(w, e)] = SENDING
	:: else -> job[J(w, e)] = CONFIRM_R
	fi
}

/* what others will see is begun by the one live owner only */
inline begun(w, e)
{
#ifndef BEHAVIOUR
	assert(owns(w, e));
#endif
	skip
}

inline stored_effects(w, e)
{
#ifdef BROKEN_GUARD_WITHOUT_EFFECTS
	job[J(w, e)] = DONE
#else
	begin_reply(w, e)
#endif
}

inline load(w, e)
{
	printf("worker %d: loads %d\n", w, e);
	r = again[J(w, e)] && guarded(e);
	again[J(w, e)] = 0;
	if
	:: r -> stored_effects(w, e)
	:: !r && e == FAILS -> job[J(w, e)] = RETRY
	:: else -> begin_commit(w, e)
	fi
}

inline apply(e)
{
	guard = guard | bit(key_of(e));
	assert(!(applied & bit(key_of(e)))); /* effects at most once */
	applied = applied | bit(key_of(e));
	assert((e & 1) == 0 || (final & bit(e & ~1))); /* in the order of the lane */
#ifdef STRICT_MAYBE
	assert(!(dead & bit(e)) || (maybe & bit(e)));
#endif
#ifndef BROKEN_NO_GUARD
	late_commit = late_commit & ~bit(e);
#endif
	skip
}

inline committed(w, e)
{
	if
	:: guarded(e) ->
		printf("postgres: has %d already, tells worker %d\n", e, w);
		stored_effects(w, e)
	:: else ->
		printf("postgres: commits %d of worker %d\n", e, w);
		apply(e);
		begin_reply(w, e)
	fi
}

inline deliver(w, e)
{
	printf("platform: gets reply %d of %d from worker %d\n", delivered[J(w, e)], e, w);
	x = e * R + delivered[J(w, e)];
	sends[x]++;
	assert(sends[x] <= 1 + excuses[x]) /* once, but for what was under way at a fault */
}

inline replied(w, e)
{
	deliver(w, e);
	delivered[J(w, e)]++;
	if
	:: delivered[J(w, e)] == R -> job[J(w, e)] = DONE
	:: else ->
#ifdef BROKEN_NO_MARKS
		begin_reply(w, e)
#else
		job[J(w, e)] = MARK
#endif
	fi
}

#define at(w, e, stage) (job[J(w, e)] == stage)
#define FAULT(w, e, stage) faults > 0 && at(w, e, stage) -> faults--
#ifdef OUTAGE
#define OUTAGES(w, e) \
	:: d_step { FAULT(w, e, LOAD); printf("worker %d: CANNOT LOAD %d\n", w, e); job[J(w, e)] = LATER } \
	:: d_step { FAULT(w, e, SENDING); printf("worker %d: CANNOT SEND for %d\n", w, e); job[J(w, e)] = LATER }
#else
#define OUTAGES(w, e)
#endif
#ifdef FAIL
#define FAILURES(w, e) \
	:: d_step { faults > 0 && at(w, e, LOAD) && !(again[J(w, e)] && guarded(e)) -> faults--; \
		printf("worker %d: FAILS with %d\n", w, e); job[J(w, e)] = RETRY }
#else
#define FAILURES(w, e)
#endif
#ifdef BAD
#define BAD_ONES(w, e) \
	:: d_step { FAULT(w, e, LOAD); printf("worker %d: CANNOT DECODE %d\n", w, e); job[J(w, e)] = BURY }
#else
#define BAD_ONES(w, e)
#endif
#ifdef UNKNOWN
#define UNKNOWNS(w, e) \
	:: d_step { FAULT(w, e, COMMITTING); printf("postgres: commits %d, ANSWER LOST\n", e); \
		apply_if_new(e); job[J(w, e)] = LATER } \
	:: d_step { FAULT(w, e, COMMITTING); printf("worker %d: KNOWS NOT of its commit of %d\n", w, e); \
		lose(w, e); job[J(w, e)] = LATER } \
	:: d_step { FAULT(w, e, SENDING); deliver(w, e); printf("platform: ANSWER LOST\n"); \
		excuses[e * R + delivered[J(w, e)]]++; job[J(w, e)] = LATER }
#else
#define UNKNOWNS(w, e)
#endif
#ifdef CONFLICT
#define CONFLICTS(w, e) \
	:: d_step { faults > 0 && at(w, e, COMMITTING) && !guarded(e) -> faults--; \
		printf("postgres: CONFLICT of %d\n", e); job[J(w, e)] = LOAD }
#else
#define CONFLICTS(w, e)
#endif
#define JOB(w, e) \
	:: d_step { at(w, e, LOAD) && e != KILLER -> load(w, e) } \
	:: d_step { at(w, e, LOAD) && e == KILLER -> printf("worker %d: DIES of %d\n", w, e); cut(w, 0); die(w) } \
	:: d_step { at(w, e, COMMITTING) -> committed(w, e) } \
	:: d_step { at(w, e, SENDING) -> replied(w, e) } \
	OUTAGES(w, e) FAILURES(w, e) BAD_ONES(w, e) UNKNOWNS(w, e) CONFLICTS(w, e)

inline apply_if_new(e)
{
	if
	:: guarded(e)
	:: else -> apply(e)
	fi
}

/* ================================================================ the processes */

#ifdef SPLIT
#define calm true
#else
#define calm (req[0] != SENT && req[1] != SENT)
#endif

proctype Worker(byte w) provided (calm || req[w] == SENT)
{
end:	do
	:: d_step { conn[w] != READY && req[w] == NONE -> send_hello(w) }
	:: d_step { may_turn(w) && changes(w) ->
		send_turn(w, WORK, room_of(w), EVERY, 0, 1) }
#ifndef LIVE
	:: d_step { may_turn(w) && sweepable(w) && changes(w) ->
		send_turn(w, WORK, room_of(w), EVERY, 0, 0) }
	:: d_step { may_turn(w) && (has_reports(w) || !certain[w]) ->
		send_turn(w, WORK, 0, 0, 0, 0) }
	:: d_step { may_turn(w) && due && takeable(w) ->
		send_turn(w, WORK, room_of(w), 0, 0, 0) }
	:: d_step { may_turn(w) && has_reports(w) && takeable(w) ->
		send_turn(w, WORK, room_of(w), EVERY, ALL, 0) }
#endif
	:: d_step { req[w] == SENT -> execute(w) }
	:: d_step { calm && req[w] == ANSWERED && mode[w] != LEAVING ->
		printf("worker %d: hears the answer\n", w);
		certain[w] = !slow[w];
		answer(w);
		slow[w] = 0;
		request_clear(w)
	}
	JOB(w, 0)
#if N > 1
	JOB(w, 1)
#endif
#if N > 2
	JOB(w, 2)
#endif
#if N > 3
	JOB(w, 3)
#endif
#ifdef CUT
	:: d_step { faults && conn[w] != DOWN -> printf("worker %d: IS CUT OFF\n", w); faults--; cut(w, 0) }
	:: d_step { faults && req[W] == NONE && may_turn(w) ->
		printf("worker %d: IS CUT OFF, its last command still on its way\n", w); faults--;
		send_turn(w, WORK, room_of(w), EVERY, 0, 1); cut(w, 1) }
	:: d_step { faults && req[W] == NONE && conn[w] != READY && req[w] == NONE ->
		printf("worker %d: IS CUT OFF, its hello still on its way\n", w); faults--;
		send_hello(w); cut(w, 1) }
#endif
#ifdef CRASH
	:: d_step { faults && conn[w] != DOWN -> printf("worker %d: DIES\n", w); faults--; cut(w, 0); die(w) }
#ifdef CUT
	:: d_step { faults && req[W] == NONE && may_turn(w) ->
		printf("worker %d: DIES, its last command still on its way\n", w); faults--;
		send_turn(w, WORK, room_of(w), EVERY, 0, 1); cut(w, 1); die(w) }
#endif
#endif
#ifdef PAUSE
	:: d_step { faults && certain[w] && names[w] ->
		printf("worker %d: STANDS STILL\n", w);
		faults--;
		for (x : 0 .. N - 1) {
			excuse(w, x)
		}
		slow[w] = (req[w] != NONE);
		certain[w] = 0
	}
#endif
#ifdef LEAVE
	:: d_step { faults && conn[w] == READY && !draining[w] ->
		printf("worker %d: IS TO STOP\n", w); faults--; draining[w] = 1 }
	/* with nothing in hand, or because its time is up */
	:: d_step { draining[w] && conn[w] == READY && req[w] == NONE ->
		send_turn(w, LEAVING, 0, 0, 0, 0) }
	:: d_step { draining[w] && conn[w] == READY && req[w] == NONE && has_reports(w) ->
		send_turn(w, WORK, 0, 0, 0, 0) }
	:: d_step { calm && req[w] == ANSWERED && mode[w] == LEAVING ->
		printf("worker %d: has left\n", w);
		for (x : 0 .. N - 1) {
			forget(w, x)
		}
		request_clear(w);
		die(w)
	}
	:: d_step { draining[w] && conn[w] != READY && req[w] == NONE ->
		printf("worker %d: ends without leave\n", w); die(w) }
#endif
	od
}

#define LATE(e) :: d_step { (late_commit & bit(e)) && !guarded(e) -> \
	printf("postgres: a late commit of %d\n", e); late_commit = late_commit & ~bit(e); apply(e) } \
	:: d_step { late_commit & bit(e) -> late_commit = late_commit & ~bit(e) }

proctype World() provided (calm)
{
end:	do
	:: d_step { req[W] == SENT -> execute(W) }
	:: d_step { req[W] == SENT -> printf("network: the command of name %d never arrives\n", name[W]); request_clear(W) }
	LATE(0) LATE(1) LATE(2) LATE(3)
#ifdef ARRIVE
	:: d_step { arrived < N -> unread = unread | bit(arrived); arrived++ }
#endif
#ifdef FORGET
	:: d_step { faults && seen[0] -> printf("redis: FORGETS the keys\n");
		for (i : 0 .. N - 1) { seen[i] = 0 }
		faults-- }
#endif
	od
}

init
{
	atomic {
#ifdef ARRIVE
		arrived = 0;
#endif
		unread = bit(arrived) - 1;
		certain[0] = 1;
		certain[1] = 1;
		run Worker(0);
		run Worker(1);
		run World()
	}
}

#ifdef LIVE
ltl ends { <> over }
#endif
