"""The judge of chaos runs must be able to fail: what a small run left is spoilt in one way after another, and each time
the judge has to name what is wrong, and nothing else.

    test_check.py FOLDER      after a run that was judged well"""
import copy
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import check, finish  # noqa: E402
import check as judge  # noqa: E402

HEALTHY = "w999"  # a worker that nothing befell
LONG_AGO = 1000000  # ms, before all times of a run


def spare(data, table):
    """A copy in which one table may be changed."""
    out = dict(data)
    out[table] = copy.deepcopy(data[table])
    return out


class Sample:
    """A chat of the run with enough in it, and where its things are."""

    def __init__(self, data):
        chats = judge.chats_of(data)
        # nothing in it came twice by itself
        self.chat = next(n for n, c in sorted(chats.items())
                         if len(c.texts) >= 6 and len(c.presses) >= 2 and self.calm(data, n, c))
        self.c = chats[self.chat]
        self.extra = next(u for c in chats.values() for u in c.extra)
        self.yes = next(u for c in chats.values() for u in c.presses if u["verb"] == "y")

    @staticmethod
    def calm(data, number, c):
        calls = [x for x in data["calls"][number] if judge.delivered(x)]
        return len(calls) == 1 + len(c.texts) + 2 * len(c.presses)

    def key(self, n):
        return judge.KEY % self.c.texts[n]["id"]

    def row(self, data, n):
        return next(i for i, row in enumerate(data["messages"]) if row[2] == self.key(n))

    def stored_answer(self, data, n):
        said = self.row(data, n)
        return next(i for i, row in enumerate(data["messages"]) if i > said and row[:2] == (self.chat, "out"))

    def calls(self, data):
        return data["calls"][self.chat]

    def answer(self, data, n):
        """Where the delivered answer to the nth text is among the chat's calls."""
        return [i for i, x in enumerate(self.calls(data))
                if judge.delivered(x) and (x.text or "").startswith("answer ")][n]

    def buttons(self, data):
        return next(i for i, x in enumerate(self.calls(data)) if judge.delivered(x) and x.message)

    def greeting(self, data):
        return next(i for i, x in enumerate(self.calls(data)) if judge.delivered(x) and x.text == judge.GREETING)


SPOILT = []


def spoils(table, *promises):
    """The table that the function spoils, and the promises that are broken then."""
    def note(fn):
        SPOILT.append((fn.__name__.replace("_", " "), table, set(promises), fn))
        return fn
    return note


# ---- effects

def answer_in_turn(d, s):
    """The stored answers in turn again, so that only what was said is wrong."""
    turn = 0
    for i, row in enumerate(d["messages"]):
        if row[0] == s.chat and row[1] == "out":
            d["messages"][i] = (*row[:3], "answer %d" % (turn % d["run"]["replies"]))
            turn += 1


@spoils("messages", "lost")
def a_message_and_its_answer_lost(d, s):
    out, said = s.stored_answer(d, 2), s.row(d, 2)
    del d["messages"][out], d["messages"][said]
    answer_in_turn(d, s)


@spoils("messages", "twice")
def a_message_stored_twice(d, s):
    out, said = s.stored_answer(d, 2), s.row(d, 2)
    d["messages"][out + 1:out + 1] = [d["messages"][said], d["messages"][out]]
    answer_in_turn(d, s)


@spoils("messages", "order")
def two_messages_of_a_chat_in_the_wrong_order(d, s):
    i, j = s.row(d, 2), s.row(d, 3)
    d["messages"][i], d["messages"][j] = d["messages"][j], d["messages"][i]


@spoils("messages", "order")
def an_answer_stored_in_the_wrong_turn(d, s):
    i = max(j for j, row in enumerate(d["messages"]) if row[0] == s.chat and row[1] == "out")
    d["messages"][i] = (*d["messages"][i][:3], "answer 0" if d["messages"][i][3] != "answer 0" else "answer 1")


@spoils("messages", "foreign", "lost")
def a_message_under_the_key_of_another(d, s):
    i = s.row(d, 2)
    d["messages"][i] = (*d["messages"][i][:3], "another text")


@spoils("messages", "foreign")
def a_message_that_nobody_sent(d, s):
    d["messages"].append((999, "in", judge.KEY % 1, "1"))


@spoils("activity", "twice")
def an_activity_counted_twice(d, s):
    d["activity"] = [(n, count + (n == s.chat)) for n, count in d["activity"]]


@spoils("activity", "lost")
def an_activity_not_counted(d, s):
    d["activity"] = [(n, count - (n == s.chat)) for n, count in d["activity"]]


@spoils("chats", "twice")
def a_turn_taken_twice(d, s):
    d["chats"] = [(n, i, turns + (n == s.chat)) for n, i, turns in d["chats"]]


@spoils("chats", "twice")
def a_second_chat_of_a_person(d, s):
    d["chats"].append((s.chat, 999999, 0))


@spoils("users", "lost")
def a_person_lost(d, s):
    d["users"] = [row for row in d["users"] if row[0] != s.chat]


@spoils("users", "lost")
def a_confirmed_age_lost(d, s):
    d["users"] = [(*row[:2], row[2] and row[0] != s.chat) for row in d["users"]]


@spoils("uses", "twice")
def a_place_too_many_given_away(d, s):
    code = next(iter(d["run"]["limited"]))
    chat = next(u["chat"] for u in d["sent"] if u["kind"] == "start" and u["text"] == "/start " + code and
                (u["chat"], code) in d["uses"])
    d["uses"].append((chat, code))


@spoils("uses", "lost")
def a_use_of_a_code_lost(d, s):
    # not of s.chat: who came by a code without a place left has no source
    d["uses"].remove(next((chat, source) for chat, source, _ in d["users"] if source and source not in d["run"]["limited"]))


@spoils("guards", "lost")
def the_guard_of_a_press_lost(d, s):
    d["guards"].remove((judge.KEY % s.yes["id"],))


@spoils("guards", "twice")
def a_second_click_with_an_effect(d, s):
    d["guards"].append((judge.KEY % s.extra["id"],))


@spoils("sent", "accepted", "lost", "missing")
def an_accepted_message_without_effect_and_reply(d, s):
    last = max((u for u in d["sent"] if u["chat"] == s.chat and u["kind"] == "text"), key=lambda u: u["n"])
    d["sent"].append({**last, "id": last["id"] + 10 ** 9, "n": last["n"] + 1, "text": str(int(last["text"]) + 1)})


@spoils("sent", "accepted", "foreign", "twice")
def an_update_that_was_never_accepted(d, s):
    """It has its effect and its reply all the same."""
    last = max((u for u in d["sent"] if u["chat"] == s.chat and u["kind"] == "text"), key=lambda u: u["n"])
    d["sent"].remove(last)


# ---- replies

@spoils("calls", "missing")
def a_reply_missing(d, s):
    del s.calls(d)[s.answer(d, -1)]


@spoils("calls", "missing")
def the_words_to_a_press_missing(d, s):
    del s.calls(d)[s.greeting(d)]


@spoils("calls", "missing")
def a_reply_that_never_took_effect(d, s):
    i = s.answer(d, -1)
    s.calls(d)[i] = s.calls(d)[i]._replace(applied=False, status=500)


@spoils("calls", "reply_order")
def two_replies_in_the_wrong_order(d, s):
    calls, i, j = s.calls(d), s.answer(d, 2), s.answer(d, 3)
    calls[i], calls[j] = calls[j], calls[i]


@spoils("calls", "cause")
def a_reply_twice_without_a_cause(d, s):
    calls, i = s.calls(d), s.answer(d, 2)
    calls[i] = calls[i]._replace(worker=HEALTHY, at=LONG_AGO, took=5, status=200)
    calls.insert(i + 1, calls[i]._replace(at=calls[i].at + 50))


@spoils("calls", "cause")
def a_disarming_twice_without_a_cause(d, s):
    calls, i = s.calls(d), s.buttons(d)
    calls[i] = calls[i]._replace(worker=HEALTHY, at=LONG_AGO, took=5)
    calls.insert(i + 1, calls[i]._replace(at=calls[i].at + 50))


SECOND = "w998"


def again(d, s, kind, begins, ends, worker=HEALTHY):
    """An answer comes a second time 4 s after the first, long before all that the run saw but one fault: it befell the
    first one's worker, or the one named, or Redis, so many ms from the first."""
    calls, i = s.calls(d), s.answer(d, 2)
    calls[i] = calls[i]._replace(worker=HEALTHY, at=LONG_AGO, took=5, status=200)
    calls.insert(i + 1, calls[i]._replace(worker=SECOND, at=LONG_AGO + 4000))
    fault = {"kind": kind, "worker": worker + "-", "at": LONG_AGO + begins, "end": LONG_AGO + ends}
    d["faults"] = [*d["faults"], fault]


@spoils("calls")
def a_reply_twice_whose_worker_was_killed(d, s):
    again(d, s, "kill", 10, 10)


@spoils("calls")
def a_reply_twice_whose_first_was_read_when_its_worker_was_dead(d, s):
    again(d, s, "kill", -150, -150)


@spoils("calls")
def a_reply_twice_whose_worker_was_stopped(d, s):
    again(d, s, "stop", -10, 3500)


@spoils("calls")
def a_reply_twice_while_Redis_was_away(d, s):
    again(d, s, "redis-kill", 10, 1500)


@spoils("calls")
def a_reply_sent_late_by_a_worker_that_had_been_stopped(d, s):
    again(d, s, "stop", -3000, 3900, SECOND)


@spoils("calls", "cause")
def a_reply_twice_whose_second_sender_was_stopped_in_between(d, s):
    again(d, s, "stop", 1000, 3900, SECOND)


@spoils("calls")
def a_reply_twice_whose_worker_got_no_processor(d, s):
    again(d, s, "starved", -10, 3500)


@spoils("calls", "cause")
def a_reply_twice_whose_worker_got_no_processor_before(d, s):
    again(d, s, "starved", -4500, -1000)


@spoils("calls", "cause")
def a_reply_twice_whose_worker_was_killed_later(d, s):
    again(d, s, "kill", 2000, 2000)


@spoils("calls", "cause")
def a_reply_twice_whose_worker_left(d, s):
    again(d, s, "term", 10, 100)


@spoils("calls", "cause")
def a_reply_twice_while_Postgres_was_away(d, s):
    again(d, s, "pg-fast", 10, 1500)


@spoils("calls", "cause")
def a_reply_twice_long_after_Redis_was_away(d, s):
    again(d, s, "redis-stop", -9000, -6000)


@spoils("calls", "cause")
def a_reply_again_long_after_its_cause(d, s):
    calls, i = s.calls(d), s.answer(d, 2)
    calls[i] = calls[i]._replace(status=0)
    calls.insert(i + 1, calls[i]._replace(status=200, at=calls[i].at + 10 * judge.AFTER_MS))


@spoils("calls")
def a_reply_again_after_a_long_time_without_processors(d, s):
    calls, i, late = s.calls(d), s.answer(d, 2), 10 * judge.AFTER_MS
    calls[i] = calls[i]._replace(status=0, at=LONG_AGO, took=5)
    calls.insert(i + 1, calls[i]._replace(status=200, at=LONG_AGO + late))
    d["faults"] = [*d["faults"], {"kind": "stall", "at": LONG_AGO + 100, "end": LONG_AGO + late}]


@spoils("calls", "foreign")
def a_reply_to_nobody(d, s):
    d["calls"][999] = [s.calls(d)[0]]


@spoils("calls", "foreign")
def words_that_nobody_should_hear(d, s):
    s.calls(d).append(s.calls(d)[-1]._replace(method="sendMessage", text="You are faster than I can follow."))


# ---- the queue

@spoils("queue", "dead")
def a_dead_letter(d, s):
    d["queue"]["dead"].append({"lane": "telegram:persona:1", "error": "killed its worker 3 times"})


def die(d, s, deaths):
    """The chat's last message is a dead letter, without effect or reply, after so many deaths of workers."""
    u = s.c.texts[-1]
    d["queue"]["dead"].append({"key": judge.KEY % u["id"], "lane": "telegram:persona:%d" % s.chat,
                               "error": "killed its worker 3 times", "died_at": str(u["first"] + 10)})
    d["queue"]["keys"]["shoal:{0}:dead"] = {"type": "stream", "size": 1, "life": -1}
    d["faults"] = d["faults"] + [
        {"kind": "kill", "worker": HEALTHY + "-", "at": u["first"] + n, "end": u["first"] + n} for n in range(deaths)]
    d["guards"] = [row for row in d["guards"] if row[0] != judge.KEY % u["id"]]
    d["messages"] = list(d["messages"])
    del d["messages"][s.stored_answer(d, -1)], d["messages"][s.row(d, -1)]
    d["calls"] = {**d["calls"], s.chat: [x for i, x in enumerate(s.calls(d)) if i != s.answer(d, -1)]}


@spoils("queue", "dead", "lost", "missing")
def a_dead_letter_after_two_deaths(d, s):
    die(d, s, 2)


@spoils("queue")
def a_dead_letter_after_three_deaths(d, s):
    die(d, s, 3)


@spoils("queue", "residue")
def a_lane_that_stays_held(d, s):
    d["queue"]["keys"]["shoal:{0}:lanes"] = {"type": "hash", "size": 1, "life": -1}


@spoils("queue", "residue")
def an_entry_left_in_the_stream(d, s):
    d["queue"]["keys"]["shoal:{0}:updates"]["size"] = 1


@spoils("queue", "residue")
def a_bell_that_was_rung_without_end(d, s):
    d["queue"]["keys"]["shoal:{0}:wake"] = {"type": "stream", "size": 5000, "life": -1}


@spoils("queue", "residue")
def a_key_that_nobody_knows(d, s):
    d["queue"]["keys"]["shoal:{0}:other"] = {"type": "hash", "size": 1, "life": -1}


@spoils("queue", "residue")
def a_pending_entry_left(d, s):
    d["queue"]["groups"][0]["pending"] = 1


@spoils("queue", "residue")
def a_key_without_an_end(d, s):
    d["queue"]["keys"]["shoal:{cache}:press:persona:1:2:y"] = {"type": "string", "size": 1, "life": -1}


@spoils("run", "books")
def an_imbalance_that_was_seen(d, s):
    d["run"]["watched"]["imbalance"] = 1


@spoils("run", "books")
def looks_that_saw_too_much(d, s):
    d["run"]["watched"]["blind"] = d["run"]["watched"]["looks"]


@spoils("run", "books")
def an_imbalance_in_the_metrics(d, s):
    d["run"]["metric_imbalance"] = [0, -2]


@spoils("run", "instant")
def a_press_that_was_not_answered(d, s):
    d["run"]["sender"]["answers"] -= 1


@spoils("faults", "exit")
def a_worker_that_ended_badly(d, s):
    d["faults"].append({"kind": "term", "worker": HEALTHY + "-", "at": 1, "end": 2, "code": -6})


# ---- standstills: a chat in hand at the death of its worker, at a time of its own

def stand(d, s, kind, until):
    """All that the chat was told from the third answer on is by another worker, with this fault before it."""
    calls, i = s.calls(d), s.answer(d, 2)
    calls[:i + 1] = [x._replace(at=LONG_AGO - 1, took=0, worker="w998") for x in calls[:i + 1]]
    calls[i + 1:] = [x._replace(at=LONG_AGO + until + n, worker=HEALTHY) for n, x in enumerate(calls[i + 1:])]
    d["sent"] = [{**u, "at": LONG_AGO - 1} if u["chat"] == s.chat else u for u in d["sent"]]
    d["faults"] = [{**f, "lanes": []} for f in d["faults"]] + [
        {"kind": kind, "worker": "w998-", "at": LONG_AGO, "end": LONG_AGO, "lanes": [s.chat], "code": 0}]
    d["run"] = {**d["run"], "calm": True, "kinds": [kind]}


@spoils("calls", "still_kill")
def a_chat_that_stood_still_for_six_seconds(d, s):
    stand(d, s, "kill", 6000)


@spoils("calls", "still_term")
def a_chat_that_a_drain_held_up(d, s):
    stand(d, s, "term", 300)


@spoils("calls")
def a_chat_that_went_on_in_time(d, s):
    stand(d, s, "term", 100)


def main():
    if len(sys.argv) != 2:
        sys.exit("test_check.py FOLDER")
    data = judge.load(sys.argv[1])
    clean = judge.judge(data)
    if not check("an honest run passes", not clean.broken(), clean.broken()):
        finish()
    sample = Sample(data)
    for name, table, promises, spoil in SPOILT:
        spoilt = spare(data, table)
        spoil(spoilt, sample)
        found = set(judge.judge(spoilt).broken())
        check("the judge %s %s" % ("sees" if promises else "allows", name), found == promises,
              "found %s, wanted %s" % (sorted(found), sorted(promises)))
    finish()


main()
