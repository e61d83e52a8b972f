"""A Redis Cluster with a replica for each master, as it is met by a fleet: shards spread, a master that dies under load,
replicas that do not confirm. `make failover` does it at length, and with plain shards and Sentinels."""
import json
import os
import signal
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from cluster import Cluster, shard_of  # noqa: E402
from lib import check, finish, http, wait_for  # noqa: E402
from stack import Stack, binary_from_argv  # noqa: E402

SHARDS, CHATS = 6, 30


class Fleet:
    """The cluster, seen as one Redis by Stack."""

    def __init__(self):
        self.cluster = Cluster()
        self.url = self.cluster.url(SHARDS)

    def client(self, shard=0):
        return self.cluster.client("shoal:{%d}:updates" % shard)


def ready_of(stack):
    return json.loads(http("GET", "http://127.0.0.1:%d/readyz" % stack.gateway_metrics).body)


def text(number, chat):
    person = {"id": chat, "is_bot": False, "first_name": "P%d" % chat}
    return {"update_id": number, "message": {"message_id": number, "from": person, "date": 1, "text": "m%d" % number,
                                             "chat": {"id": chat, "type": "private", "first_name": "P"}}}


class Sender:
    """One update of each chat after the other, each until it is accepted."""

    def __init__(self, stack):
        self.stack, self.accepted, self.refused, self.number = stack, {}, 0, 1000
        self.lock = threading.Lock()

    def round(self, chats):
        def one(chat):
            with self.lock:
                self.number += 1
                number = self.number

            def posted():
                status = self.stack.post(text(number, chat)).status
                self.refused += status == 503
                return status == 200
            if wait_for(posted, every=0.2):
                with self.lock:
                    self.accepted.setdefault(chat, []).append("m%d" % number)
        threads = [threading.Thread(target=one, args=(c,)) for c in chats]
        for t in threads:
            t.start()
        for t in threads:
            t.join()


def stored(stack):
    out = {}
    for chat, said in stack.pg.rows(
            "SELECT u.telegram_id, m.text FROM messages m JOIN chats c ON c.id = m.chat_id JOIN users u ON u.id = c.user_id "
            "WHERE m.direction = 'in' ORDER BY m.id"):
        out.setdefault(chat, []).append(said)
    return out


def main():
    fleet = Fleet()
    cluster = fleet.cluster
    stack = Stack(binary_from_argv(), workers=2, webhook=False, redis=fleet, SHOAL_LOG_UPDATES=0)
    stack.pg.rows("INSERT INTO personas (key, name, greeting, replies) VALUES ('default', 'Echo', 'Hi', '{yes}')")
    stack.pg.rows("INSERT INTO users (telegram_id, first_name, age_verified_at) SELECT n, 'P', now() "
                  "FROM generate_series(1, %s) n", CHATS)
    chats = range(1, CHATS + 1)
    for n in chats:
        stack.control("POST", "messages", {"bot": "persona", "updates": [{"user_id": n, "text": "hello"}]})
    check("all shards take entries", wait_for(lambda: ready_of(stack)["checks"]["shards"] == "ok"), ready_of(stack))
    where = {n: cluster.owner("shoal:{%d}:updates" % n).port for n in range(SHARDS)}
    check("the shards are spread over all masters", len(set(where.values())) == 3, where)
    sender = Sender(stack)
    sender.round(chats)
    check("every chat has its first message", len(sender.accepted) == CHATS)

    victim = cluster.owner("shoal:{1}:updates")
    victim.kill()
    sender.round(chats)
    sender.round(chats)
    check("a master killed: all is accepted in the end, refused first", sum(map(len, sender.accepted.values())) == 3 * CHATS
          and sender.refused > 0, sender.refused)
    check("a replica has taken over", cluster.owner("shoal:{1}:updates") not in (None, victim))
    check("all shards take entries again", wait_for(lambda: ready_of(stack)["checks"]["shards"] == "ok"), ready_of(stack))
    done = wait_for(lambda: sum(map(len, stored(stack).values())) >= 3 * CHATS, every=0.2)
    check("everything took effect once, in order", done and stored(stack) == sender.accepted,
          [(c, stored(stack).get(c), said) for c, said in sender.accepted.items() if stored(stack).get(c) != said][:3])

    # a master whose replica hears nothing accepts nothing: what it alone has would be lost with it
    master = next(n for n in cluster.running() if n.client().execute_command("ROLE")[0] == b"master" and
                  n.client().execute_command("ROLE")[2])
    shard = next(n for n in range(SHARDS) if cluster.owner("shoal:{%d}:updates" % n) is master)
    replica = next(n for n in cluster.running() if n.client().execute_command("ROLE")[0] == b"slave" and
                   n.client().execute_command("ROLE")[2] == master.port)
    replica.send(signal.SIGSTOP)
    mine = [c for c in chats if shard_of("telegram:persona:%d" % c, SHARDS) == shard]
    check("no replica confirms: refused, and readiness says which shard", wait_for(
        lambda: stack.post(text(5000 + mine[0], mine[0])).status == 503 and
        "shard %d: no replica confirms" % shard in ready_of(stack)["checks"]["shards"]), ready_of(stack))
    replica.send(signal.SIGCONT)
    check("it confirms again", wait_for(lambda: all(stack.post(text(6000 + c, c)).status == 200 for c in chats), every=0.2))
    finish()


main()
