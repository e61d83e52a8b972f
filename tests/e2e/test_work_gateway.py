#!/usr/bin/python3
"""How much work a webhook is for a gateway, counted as tests/e2e/test_work.py does it for a worker. Updates of the reference
job come in waves, one on each of 40 connections, as the platform has them: a gateway that is stopped meanwhile finds a wave
whole. Then one at a time. The limits have a tenth of room.

    test_work_gateway.py [BINARY]
"""
import os
import signal
import socket
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "bench", "job")]
from lib import PATIENCE, Process, check, clean_env, finish, free_port, http, start_redis, temp_dir, wait_for  # noqa: E402
from rig import tree  # noqa: E402
from stack import binary_from_argv, light  # noqa: E402
from work import Callgrind, Nothing, Strace, judge  # noqa: E402

CONNECTIONS, WAVES, PORTIONS = 40, 4, 4
PORTION = CONNECTIONS * WAVES
SECRET = "a-secret-of-the-test"
# With Debian 12's libraries
LIMITS = {"instructions of an update": 43200, "allocations of an update": 3.5, "system calls of an update": 2.36,
          "system calls of an update that comes alone": 6.65, "Redis commands of an update": 1.1}
REQUEST = ("POST /telegram/persona HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
           "X-Telegram-Bot-Api-Secret-Token: %s\r\nContent-Length: %d\r\n\r\n%s")


def requests(binary):
    """Of as many updates as there are in the longest run."""
    sender = os.path.join(os.path.dirname(os.path.abspath(binary)), "tests", "bench", "send")
    done = subprocess.run([sender, "-n", str(PORTIONS * PORTION), "print"], check=True, capture_output=True, text=True)
    return [(REQUEST % (SECRET, len(text.encode()), text)).encode() for text in done.stdout.splitlines()]


def answer_of(connection):
    """It is whole when its body is: that of an update is empty."""
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        piece = connection.recv(4096)
        if not piece:
            break
        text += piece
    if not text.startswith(b"HTTP/1.1 200 ") or b"\r\nContent-Length: 0\r\n" not in text:
        raise RuntimeError("an update was not taken: %r" % text)


def wave(pid, connections, sent):
    """One on each; those that come together are all there before the gateway looks."""
    together = len(connections) > 1
    if together:
        os.kill(pid, signal.SIGSTOP)
    for connection, request in zip(connections, sent):
        connection.sendall(request)
    if together:
        os.kill(pid, signal.SIGCONT)
    for connection in connections:
        answer_of(connection)


def commands(redis):
    return sum(told["calls"] for name, told in redis.info("commandstats").items() if name != "cmdstat_info")


def run(binary, tool, todo, at_once):
    """A gateway's life; how many commands Redis was told."""
    redis, port, metrics = start_redis(save="", appendonly="no"), free_port(), free_port()
    gateway = Process([tool.program(binary), "gateway"], os.path.join(temp_dir(), "gateway.log"), env=clean_env(
        SHOAL_REDIS_URL=redis.url, SHOAL_BOTS="persona", SHOAL_PERSONA_TOKEN="1:token", SHOAL_WEBHOOK_SECRET=SECRET,
        SHOAL_GATEWAY_LISTEN="127.0.0.1:%d" % port, SHOAL_METRICS_LISTEN="127.0.0.1:%d" % metrics))
    if not wait_for(lambda: http("GET", "http://127.0.0.1:%d/readyz" % metrics, timeout=5).status == 200, PATIENCE):
        raise RuntimeError("no gateway: " + gateway.output()[-2000:])
    pid, client = tree(gateway.pid)[-1], redis.client()
    connections, before = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(at_once)], commands(client)
    for n in range(PORTIONS):
        tool.mark(pid)
        for first in range(n * PORTION, (n + 1) * PORTION, at_once):
            wave(pid, connections, todo[first:first + at_once])
        tool.mark(pid)
    told = commands(client) - before
    for connection in connections:
        connection.close()
    check("each update is in the queue once" + tool.name, client.xlen("shoal:{0}:updates") == len(todo))
    os.kill(pid, signal.SIGTERM)  # strace would leave it running
    check("it ends well" + tool.name, gateway.wait() == 0, gateway.output()[-2000:])
    redis.stop()
    return told


def main():
    binary = os.path.abspath(binary_from_argv())
    todo = requests(binary)
    judge(LIMITS, "Redis commands of an update", run(binary, Nothing(), todo, CONNECTIONS) / len(todo))
    if light():
        print("# instructions, allocations and system calls are not counted: a sanitizer's own are among them")
        return
    work, many, alone = Callgrind(temp_dir()), Strace(temp_dir()), Strace(temp_dir())
    for tool, at_once in ((work, CONNECTIONS), (many, CONNECTIONS), (alone, 1)):
        run(binary, tool, todo, at_once)
    judge(LIMITS, "instructions of an update", min(n for n, _ in work.portions()) / PORTION)
    judge(LIMITS, "allocations of an update", min(n for _, n in work.portions()) / PORTION)
    judge(LIMITS, "system calls of an update", min(many.portions()) / PORTION)
    judge(LIMITS, "system calls of an update that comes alone", min(alone.portions()) / PORTION)


main()
finish()
