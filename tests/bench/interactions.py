"""How soon Discord gets its first response: an even stream of interactions of all kinds, signed beforehand, by
tests/bench/interactions.c, which is the platform: it posts each when it is due and takes the calls of the workers. Times count
from the moment at which an interaction was due, so that no wait for the sender hides. Durable servers: every commit and every
accepted interaction is on the disk. By environment: RATE (500 a second), SECONDS (20), WORKERS (4), PEOPLE (400)."""
import json
import os
import random
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "../chaos")]
import discord  # noqa: E402
from faults import postgres_pids  # noqa: E402
from lib import PATIENCE, check, finish, free_port  # noqa: E402
from stack import Stack, binary_from_argv  # noqa: E402

FIRST = 80351110224678912
CONNECTIONS = 64  # of the platform, at once
WARM_S = 3        # before the rest, not counted in the times
COUNTRIES = ("DE", "FR", "PL", "SE", "US", "BR", "KR", "CN")
TYPED = ("", "g", "ger", "united", "ko", "cote", "x")
EDITED = (5, 6, 7)  # first responses after which the message is edited


def option(name, default):
    value = os.environ.get(name)
    return type(default)(value) if value else default


def setcountry(rng, user, _):
    return discord.command("setcountry", ("country", rng.choice(COUNTRIES)), user=user)


def press(_, user, n):
    mark = "terms_yes:%08d" % n
    return discord.press(mark, [{"type": 1, "components": [
        {"type": 2, "style": 3, "label": "I accept", "custom_id": mark}]}], user=user)


def submit(rng, user, n):
    return discord.form("setup", user=user, name="Player %d" % n, country=rng.choice(COUNTRIES), region=["euw"])


# kind, share, type of the first response, how it is made
MIX = [("command that writes", 25, 5, setcountry),
       ("command that reads", 20, 5, lambda _, user, n: discord.command(("profile", "help", "leaderboard")[n % 3], user=user)),
       ("button", 20, 7, press),
       ("autocomplete", 20, 8, lambda rng, user, _: discord.command(
           "setcountry", ("country", rng.choice(TYPED), True), kind=4, user=user)),
       ("modal that opens", 7, 9, lambda _, user, __: discord.command("setup", user=user)),
       ("modal that is sent", 8, 5, submit)]


def ticks(pid):
    """Of a process and its children that have ended: seconds of CPU."""
    try:
        with open("/proc/%d/stat" % pid, encoding="latin-1") as f:
            return sum(map(int, f.read().rpartition(")")[2].split()[11:15])) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0.0


def idle():
    """All processors together, since the start: time, and idle time of it."""
    with open("/proc/stat", encoding="ascii") as f:
        spent = [int(n) for n in f.readline().split()[1:9]]
    return sum(spent), spent[3]


def say(what, us):
    v = sorted(us)
    if v:
        print("# %-36s %6d  %s" % (what, len(v), "  ".join("%s %7.1f" % (name, v[min(int(len(v) * p), len(v) - 1)] / 1000)
                                                          for name, p in (("p50", .5), ("p90", .9), ("p99", .99), ("max", 1)))))


class Bench:
    def __init__(self):
        self.rate, self.seconds, self.people = option("RATE", 500.0), option("SECONDS", 20), option("PEOPLE", 400)
        self.signer, self.api_port, self.rng = discord.Signer(), free_port(), random.Random(1)
        durable = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "128MB"}
        self.binary = binary_from_argv()
        self.stack = Stack(self.binary, workers=option("WORKERS", 4), webhook=False, pg_conf=durable, SHOAL_BOTS="ladder",
                           SHOAL_LADDER_TOKEN=discord.TOKEN, SHOAL_LADDER_APP_ID=discord.APP_ID,
                           SHOAL_LADDER_PUBLIC_KEY=self.signer.public, SHOAL_USER_RATE="30/10",
                           SHOAL_DISCORD_API="http://127.0.0.1:%d/api/v10" % self.api_port, SHOAL_LOG="warn")

    def furnish(self):
        self.stack.pg.rows(
            "INSERT INTO players (discord_uid, player_name, country, region, tos_accepted_at, setup_completed_at) "
            "SELECT %s + n, 'Player ' || n, 'AT', 'euw', now(), now() FROM generate_series(0, %s - 1) n", FIRST, self.people)
        self.stack.pg.rows("INSERT INTO mmrs_1v1 (discord_uid, race, mmr) SELECT discord_uid, 'bw_zerg', 1500 FROM players")
        self.stack.pg.rows("ANALYZE")
        self.stack.shoal("ladder", "refresh")

    def request(self, one):
        body = json.dumps(one).encode()
        head = "".join("%s: %s\r\n" % h for h in self.signer.headers(body).items())
        return ("POST /discord/ladder HTTP/1.1\r\nHost: bot\r\n%sContent-Length: %d\r\n\r\n" % (head, len(body))).encode() + body

    def make(self, path):
        """Writes the requests; {token: kind} of them, and the tokens of the first seconds."""
        kinds, warm = {}, set()
        with open(path, "wb") as f:
            for n in range(int(self.rate * (self.seconds + WARM_S))):
                kind, _, _, how = self.rng.choices(MIX, [m[1] for m in MIX])[0]
                one = how(self.rng, FIRST + self.rng.randrange(self.people), n)
                one["token"] = one["id"]
                request, due = self.request(one), n / self.rate
                f.write(b"%d %s %d\n" % (due * 1e6, one["id"].encode(), len(request)) + request)
                kinds[int(one["id"])] = kind
                if due < WARM_S:
                    warm.add(int(one["id"]))
        return kinds, warm

    def cpu(self):
        groups = {"gateway": [self.stack.gateway.pid], "workers": [w.pid for w in self.stack.workers],
                  "redis": [self.stack.redis.pid], "postgres": postgres_pids(self)}
        return {name: sum(map(ticks, pids)) for name, pids in groups.items()}

    def send(self, path):
        """Lines of results; seconds of CPU by who spent them; the share of idle time."""
        program = os.path.join(os.path.dirname(os.path.abspath(self.binary)), "tests/bench/interactions")
        before, free = self.cpu(), idle()
        with open(path, "rb") as requests, open(path + ".results", "w+", encoding="ascii") as results:
            sender = subprocess.Popen([program, str(self.stack.gateway_port), str(CONNECTIONS), str(self.api_port)],
                                      stdin=requests, stdout=results)
            _, status, usage = os.wait4(sender.pid, 0)
            sender.returncode = os.waitstatus_to_exitcode(status)
            results.seek(0)
            lines = [tuple(map(int, line.split())) for line in results]
        spent, free = (b - a for a, b in zip(free, idle()))
        cpu = {name: s - before[name] for name, s in self.cpu().items()}
        cpu["sender"] = usage.ru_utime + usage.ru_stime
        check("the sender came to its end", sender.returncode == 0, sender.returncode)
        return lines, cpu, free / spent

    def run(self):
        self.furnish()
        path = os.path.join(self.stack.folder, "requests")
        kinds, warm = self.make(path)
        load = os.getloadavg()[0]
        lines, cpu, free = self.send(path)
        print("# %g interactions a second for %d s, %d workers, %d people, %d processors, load %.1f at the start; ms from the "
              "moment at which each was due, as the platform sees it" % (
                  self.rate, self.seconds, len(self.stack.workers), self.people, os.cpu_count(), load))
        self.tell([(kinds[line[0]], *line) for line in lines if line[0] not in warm])
        print("# seconds of CPU for 1,000 interactions: %s; the processors were idle %.0f%% of the time" % (
            ", ".join("%s %.2f" % (name, 1000 * s / len(lines)) for name, s in cpu.items()), 100 * free))
        self.judge([(kinds[line[0]], *line) for line in lines])

    def tell(self, lines):
        for kind, *_ in MIX:
            say("first response, " + kind, [ln[5] for ln in lines if ln[0] == kind and ln[5] >= 0])
        say("first response, all", [ln[5] for ln in lines if ln[5] >= 0])
        say("  of it the sender's delay", [ln[4] for ln in lines if ln[4] >= 0])
        for kind, _, first, _ in MIX:
            if first in EDITED:
                say("edited, " + kind, [ln[6] for ln in lines if ln[0] == kind and ln[6] >= 0])

    def judge(self, lines):
        fits = {m[0]: m[2] for m in MIX}
        wrong = [ln for ln in lines if ln[2] != 200 or ln[3] != fits[ln[0]]]
        unedited = [ln for ln in lines if ln[3] in EDITED and ln[6] < 0]
        check("every interaction got the first response of its kind", lines and not wrong, (len(wrong), wrong[:3]))
        check("every message that was to be edited was", not unedited, (len(unedited), unedited[:3]))
        check("the queue empties", self.stack.settled(PATIENCE), self.stack.queue())
        check("nothing became a dead letter", self.stack.queue()["dead"] == 0, self.stack.queue())


Bench().run()
finish()
