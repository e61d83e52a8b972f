"""Programs with another list of shards, left over beside a fleet: whatever is emptied, the fleet's shards stay the fleet's."""
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import check, finish, free_port, http, start_redis, wait_for  # noqa: E402
from stack import Stack, binary_from_argv  # noqa: E402

EMPTIED = 6  # times, of each kind


class Shards:
    """Two servers of the fleet's list, and one of nobody."""

    def __init__(self):
        self.servers = [start_redis(save="", appendonly="no") for _ in range(3)]
        self.url = self.list_of(0, 1)

    def list_of(self, *which):
        return ",".join(self.servers[i].url for i in which)

    def client(self):
        return self.servers[0].client()

    def mark(self, i):
        return self.servers[i].client().hget("shoal:{%d}:conf" % i, "shard")

    def restart_first(self):
        self.servers[0].kill()
        self.servers[0] = self.servers[0].again()


def main():
    shards, caches = Shards(), start_redis()
    stack = Stack(binary_from_argv(), workers=2, webhook=False, redis=shards, SHOAL_CACHE_REDIS_URL=caches.url, SHOAL_LOG_UPDATES=0)
    stack.pg.rows("INSERT INTO personas (key, name, greeting, replies) VALUES ('default', 'Echo', 'Hi', '{yes}')")
    stack.pg.rows("INSERT INTO users (telegram_id, first_name, age_verified_at) SELECT n, 'P', now() FROM generate_series(1, 8) n")
    stack.tell_caches("persona")
    sent = []

    def post(chat, number):
        return stack.post({"update_id": number, "message": {
            "message_id": number, "date": 1, "text": "m%d" % number, "chat": {"id": chat, "type": "private", "first_name": "P"},
            "from": {"id": chat, "is_bot": False, "first_name": "P"}}}).status

    def serves():
        """All chats, of both shards, have a message taken, and it took effect once, in order."""
        for chat in range(1, 9):
            number = 1000 + len(sent)
            if not wait_for(lambda: post(chat, number) == 200, every=0.2):
                return False
            sent.append((chat, "m%d" % number))
        return wait_for(lambda: sorted(stack.pg.rows(
            "SELECT u.telegram_id, m.text FROM messages m JOIN chats c ON c.id = m.chat_id JOIN users u ON u.id = c.user_id "
            "WHERE m.direction = 'in' ORDER BY m.id")) == sorted(sent), every=0.1)

    check("a fleet of two shards serves", serves(), stack.gateway.output()[-500:])

    strays = {}
    for name, which in (("one less", (0,)), ("one more", (0, 1, 2))):
        for verb in ("worker", "gateway"):
            port = free_port()
            stack.start("stray-%s-%d" % (verb, len(which)), [verb], SHOAL_REDIS_URL=shards.list_of(*which), SHOAL_WORKER_ID="stray%d" % len(which),
                        SHOAL_GATEWAY_LISTEN="127.0.0.1:%d" % free_port(), SHOAL_METRICS_LISTEN="127.0.0.1:%d" % port)
            strays["%s with %s" % (verb, name)] = port

    def ready_of(port):
        return http("GET", "http://127.0.0.1:%d/readyz" % port)

    for name, port in strays.items():
        check("a %s knows that its list is another" % name, wait_for(lambda: ready_of(port).status == 503 and b"0/2" in ready_of(port).body),
              ready_of(port).body)

    def still_foreign():
        """All strays have seen whose the first shard is."""
        return wait_for(lambda: all(b"0/2" in ready_of(port).body for port in strays.values()))

    for what, deed in (("emptied", lambda: shards.servers[0].client().flushall()), ("started again without its data", shards.restart_first)):
        taken = []
        for _ in range(EMPTIED):
            deed()
            wait_for(lambda: shards.mark(0), every=0.002)
            taken.append((shards.mark(0), still_foreign()))
        check("a shard that is %s goes to its owner" % what, taken == [(b"0/2", True)] * EMPTIED, taken)
        check("the fleet serves on", serves(), stack.gateway.output()[-500:])
        check("the others were never ready", [ready_of(port).status for port in strays.values()] == [503] * 4)

    for p in stack.programs:
        if "stray" in p.log:
            p.stop()
    # whoever put it there: only somebody who knows takes such a mark away
    shards.servers[0].client().hset("shoal:{0}:conf", "shard", "0/3")
    check("with another's mark the fleet takes nothing", wait_for(lambda: ready_of(stack.gateway_metrics).status == 503 and post(1, 900) == 503 and
                                                                 not any(stack.ready(w) for w in stack.workers)))
    time.sleep(3)  # every program has looked, more than once
    check("nor does it take the mark away", shards.mark(0) == b"0/3")
    stack.stop_workers(signal.SIGKILL)
    stack.workers = []
    shards.servers[0].client().delete("shoal:{0}:conf")
    time.sleep(3)
    check("the gateway gives the owner of one that was another's time", shards.mark(0) is None and ready_of(stack.gateway_metrics).status == 503)
    check("then it takes what nobody has taken", wait_for(lambda: shards.mark(0) == b"0/2" and ready_of(stack.gateway_metrics).status == 200))
    stack.start_workers(2)
    check("the fleet goes on", serves())
    shards.servers[0].client().hset("shoal:{0}:conf", "shard", "0/3")
    check("workers, too, see another's mark", wait_for(lambda: not any(stack.ready(w) for w in stack.workers)))
    stack.gateway.send(signal.SIGSTOP)
    shards.servers[0].client().delete("shoal:{0}:conf")
    check("registered where the mark was, workers go on at once", wait_for(lambda: all(stack.ready(w) for w in stack.workers)) and shards.mark(0) == b"0/2")
    shards.servers[1].client().flushall()
    check("and they know that their list is right", wait_for(lambda: shards.mark(1) == b"1/2" and all(stack.ready(w) for w in stack.workers)))
    stack.gateway.send(signal.SIGCONT)
    check("all serves again", serves())
    told = re.findall("is not known to be of our list", stack.gateway.output())
    check("the gateway's log said so once for each mark", len(told) == 2, told)
    finish()


main()
