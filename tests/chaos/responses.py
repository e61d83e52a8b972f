"""The judge of interactions under chaos. Knows what the platform saw of each, what it was told by the bot's calls, and what
the tables hold in the end; nothing of the programs."""
from collections import Counter

LIMIT_S = 3.0          # so long Discord waits for a first response
DEFERRED = (5, 6, 7)   # first responses that promise an effect
SURE, DOUBT = "I cannot take this just now.", "I am not sure whether this has reached me."


class Attempt:
    """One post to one gateway. sent: when the last byte of it was with the kernel; kind: of the first response, None: none
    came; text: of a message; took: seconds, less those that the machine kept from us."""

    def __init__(self, gateway, sent, ended, took, status=None, kind=None, text="", failure=None):
        self.gateway, self.sent, self.ended, self.took = gateway, sent, ended, took
        self.status, self.kind, self.text, self.failure = status, kind, text, failure

    def answered(self):
        return self.kind is not None

    def __repr__(self):
        return "gateway %s, sent %.3f, took %.3f s: %s %s %s %s" % (
            self.gateway, self.sent, self.took, self.status, self.kind, self.text, self.failure or "")


class Sent:
    """An interaction. want: kinds of first responses that fit it, beside apologies; effects: rows that it leaves."""

    def __init__(self, name, user, token, want, effects):
        self.name, self.user, self.token, self.want, self.effects = name, user, token, want, effects
        self.attempts = []

    def apologies(self):
        return [a.text for a in self.attempts if a.kind == 4]

    def accepted(self):
        return any(a.kind in DEFERRED for a in self.attempts)

    def may_be_there(self):
        """Nobody knows: it was cut off, or the gateway has said so."""
        return any(not a.answered() or a.text.startswith(DOUBT) for a in self.attempts)

    def __repr__(self):
        return "%s of %s: %s" % (self.name, self.user, self.attempts)


def was_killed(attempt, faults):
    """By a signal that no program can answer, or told to go before it had the request whole."""
    for f in faults:
        if f.get("gateway") != attempt.gateway or attempt.sent > f["end"] / 1000:
            continue
        begun = f["at"] / 1000
        if f["kind"] == "gateway-kill" and begun <= attempt.ended or \
                f["kind"] == "gateway-term" and begun <= attempt.sent:
            return True
    return False


def wrong_answer(sent, attempt):
    if attempt.status != 200:
        return True
    apology = attempt.kind == 4 and attempt.text.startswith((SURE, DOUBT))
    return not apology and attempt.kind not in sent.want


def judge(sent, faults, rows, calls):
    """Promises as (name, kept, detail). rows: {user: rows that are there}, calls: {token: calls that answered}."""
    attempts = [(s, a) for s in sent for a in s.attempts]
    accepted = [s for s in sent if s.accepted()]
    denied = [s for s in sent if not s.accepted() and not s.may_be_there()]
    late = [(s, a) for s, a in attempts if a.answered() and a.took > LIMIT_S]
    lost = [(s, a) for s, a in attempts if not a.answered() and not was_killed(a, faults)]
    wrong = [(s, a) for s, a in attempts if a.answered() and wrong_answer(s, a)]
    unheard = [s for s in sent if not any(a.answered() for a in s.attempts)]
    undone = [s for s in accepted if rows.get(s.user, 0) < s.effects]
    twice = [s for s in sent if rows.get(s.user, 0) > s.effects]
    dreamt = [s for s in denied if rows.get(s.user, 0) > 0 or calls.get(s.token, 0) > 0]
    silent = [s for s in sent if (s.accepted() or rows.get(s.user)) and not calls.get(s.token)]
    return [(name, not found, found[:3]) for name, found in [
        ("no first response took more than %g s" % LIMIT_S, late),
        ("every request that was sent to a gateway was answered, unless that was killed", lost),
        ("every answer fits its interaction, or is an apology", wrong),
        ("every interaction was answered by some gateway in the end", unheard),
        ("what was accepted has its effect", undone),
        ("and nothing has it twice", twice),
        ("what was denied has none", dreamt),
        ("the bot answered by the token of all that was accepted or done", silent)]]


def summary(sent):
    took = sorted(a.took for s in sent for a in s.attempts if a.answered()) or [0]
    what = Counter("accepted" if s.accepted() else "in doubt" if s.may_be_there() else
                   "denied" if s.apologies() else "answered at once" for s in sent)
    return "%d interactions: %s; first response half within %.0f ms, 99 of 100 within %.0f, all within %.0f" % (
        len(sent), ", ".join("%d %s" % (n, name) for name, n in what.most_common()), took[len(took) // 2] * 1000,
        took[len(took) * 99 // 100] * 1000, took[-1] * 1000)
