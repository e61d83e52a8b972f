#!/usr/bin/python3
"""Everything that a gateway, a worker and an admin server are connected to goes away again and again: Redis and Postgres cut all
connections, the platform resets and hangs up, clients of theirs leave in the middle of a request. After each time all is well
again, and in the end no program holds more descriptors than in the beginning.

    test_descriptors.py [BINARY]
"""
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import check, descriptors, finish, free_port, http, wait_for  # noqa: E402
from stack import Stack, binary_from_argv  # noqa: E402

TOKEN, PERSON = "token-of-the-operator", 7001
WARM, ROUNDS, SLACK = 2, 8, 2  # one that is left open each time is more than the slack


class World:
    def __init__(self):
        self.stack = s = Stack(binary_from_argv(), SHOAL_ADMIN_TOKEN=TOKEN)
        self.admin_port, self.admin_health = free_port(), free_port()
        self.admin = s.start("admin", ["admin"], SHOAL_ADMIN_LISTEN="127.0.0.1:%d" % self.admin_port,
                             SHOAL_METRICS_LISTEN="127.0.0.1:%d" % self.admin_health)
        s.pg.rows("INSERT INTO users (telegram_id, first_name, age_verified_at) VALUES (%s, 'P', now())", PERSON)
        s.pg.rows("INSERT INTO personas (key, name, greeting, replies) VALUES ('default', 'E', 'Hello', %s)", ["yes"])
        s.tell_caches("persona")  # what Postgres tells by itself may come after the first message
        s.control("POST", "users", {"id": PERSON, "first_name": "P"})
        self.programs = {"gateway": s.gateway, "worker": s.workers[0], "admin": self.admin}
        self.said = 0

    def ready(self):
        ports = self.stack.gateway_metrics, self.stack.ports[self.stack.workers[0]], self.admin_health
        return all(http("GET", "http://127.0.0.1:%d/readyz" % p).status == 200 for p in ports)

    def asks(self):
        return http("GET", "http://127.0.0.1:%d/api/queue" % self.admin_port,
                    headers={"Authorization": "Bearer " + TOKEN}).status == 200

    def answers(self):
        self.said += 1
        self.stack.say(PERSON, "message %d" % self.said)
        return wait_for(lambda: self.stack.pg.rows("SELECT count(*) FROM messages WHERE direction = 'in'")[0][0] == self.said
                        and self.stack.settled(1))

    def cut(self):
        s = self.stack
        s.redis.client().client_kill_filter(_type="normal", skipme=True)
        s.redis.client().client_kill_filter(_type="pubsub", skipme=True)
        s.pg.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'shoal%%'")
        s.control("POST", "faults", {"method": "sendMessage", "kind": "reset", "count": 1})
        for port in (s.gateway_port, s.gateway_metrics, s.ports[s.workers[0]], self.admin_port, self.admin_health):
            for part in (b"", b"POST /telegram/persona HT", b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"):
                with socket.create_connection(("127.0.0.1", port)) as c:
                    c.sendall(part)

    def held(self):
        return {name: descriptors(p.pid) for name, p in self.programs.items()}

    def round(self):
        self.cut()
        return self.answers() and wait_for(self.asks) and wait_for(self.ready)


def main():
    w = World()
    check("all is well in the beginning", wait_for(w.ready) and w.answers() and wait_for(w.asks))
    well = [w.round() for _ in range(WARM)]
    most = w.held()
    well += [w.round() for _ in range(ROUNDS)]
    check("all is well after every time", all(well), well)
    for name in most:
        fits = wait_for(lambda: w.held()[name] <= most[name] + SLACK)
        check("%s: no descriptor is left open" % name, fits, "%d before, %d now" % (most[name], w.held()[name]))
    finish()


main()
