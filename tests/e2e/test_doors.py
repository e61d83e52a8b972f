"""Who may not come in does not keep others out: half-open requests in crowds, wrong secrets at full speed, heads without
end, requests one behind the other in one packet."""
import json
import os
import re
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import check, finish, http, wait_for  # noqa: E402
from stack import SECRET, Stack, binary_from_argv, light  # noqa: E402

FIRST = 8000000
DESCRIPTORS = 96  # of the gateway: fewer than come
HEAD_S = 10       # a head takes no longer
HEADER = "X-Telegram-Bot-Api-Secret-Token"


def update(number):
    return json.dumps({"update_id": number, "message": {
        "message_id": number, "date": 1, "chat": {"id": FIRST, "type": "private"}, "from": {"id": FIRST},
        "text": "/start"}})


def request(body, secret=SECRET):
    return ("POST /telegram/persona HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%s: %s\r\n"
            "Content-Length: %d\r\n\r\n%s" % (HEADER, secret, len(body), body)).encode()


def connect(stack):
    return socket.create_connection(("127.0.0.1", stack.gateway_port), timeout=60)


def received(s, enough):
    """What comes until there is enough of it, or the other side ends."""
    got = b""
    try:
        while not enough(got):
            more = s.recv(65536)
            if not more:
                break
            got += more
    except OSError:
        pass
    return got


class Numbers:
    def __init__(self):
        self.last = 0

    def next(self):
        self.last += 1
        return self.last


def half_open(stack, numbers):
    """Twice as many as there are descriptors, each with a head that never ends."""
    began, crowd = time.monotonic(), []
    for n in range(2 * DESCRIPTORS):
        s = connect(stack)
        s.sendall(b"POST /telegram/persona HTTP/1.1\r\nHost: x\r\nX-Drip: ")
        crowd.append(s)
        if n % 8 == 0:
            given = stack.post(update(numbers.next()))
            if given.status != 200:
                check("half-open requests keep nobody out", False, (n, given))
                break
    else:
        check("half-open requests keep nobody out", True)
    stop = threading.Event()

    def drip():
        while not stop.wait(1):
            for s in crowd:
                try:
                    s.send(b"x")
                except OSError:
                    pass

    threading.Thread(target=drip, daemon=True).start()
    ends = [received(s, lambda _: False) for s in crowd]
    took = time.monotonic() - began
    stop.set()
    late = sum(end.startswith(b"HTTP/1.1 408") for end in ends)
    check("some had to go for others, the rest when their time was up", 0 < late < len(ends) and
          all(not end or end.startswith(b"HTTP/1.1 408") for end in ends), (late, len(ends)))
    check("however they drip", took > HEAD_S - 1, took)
    print("# %d half-open requests: %d closed for others, %d told 408, all gone after %.1f s" % (
        len(ends), len(ends) - late, late, took))
    for s in crowd:
        s.close()


def wrong_secrets(stack, numbers):
    """As fast as some connections can send them, one behind the other."""
    refused, stop, odd = [0] * 3, threading.Event(), []

    def flood(i):
        many = 50
        text = request("", "not-the-secret") * many
        with connect(stack) as s:
            while not stop.is_set():
                s.sendall(text)
                got = received(s, lambda t: t.count(b"\r\n\r\n{") == many and t.endswith(b"}"))
                if got.count(b"HTTP/1.1 401") != many:
                    odd.append(got[-300:])
                    return
                refused[i] += many

    threads = [threading.Thread(target=flood, args=(i,)) for i in range(len(refused))]
    for t in threads:
        t.start()
    began, waits = time.monotonic(), []
    while time.monotonic() < began + 2:
        at = time.monotonic()
        given = stack.post(update(numbers.next()))
        waits.append(time.monotonic() - at)
        if given.status != 200:
            odd.append(given)
    took = time.monotonic() - began
    stop.set()
    for t in threads:
        t.join()
    check("wrong secrets are refused, right ones are taken beside them", not odd and min(refused) > 0 and len(waits) > 5,
          (odd[:2], refused, len(waits)))
    print("# %d wrong secrets a second; a right one beside them takes %.1f ms (median of %d)" % (
        sum(refused) / took, 1000 * sorted(waits)[len(waits) // 2], len(waits)))


def heads(stack):
    for what, text in (("a header", b"X: " + b"x" * (1 << 20)), ("many headers", b"X: y\r\n" * (1 << 16)),
                       ("a path", None)):
        head = b"GET /" + b"x" * (1 << 20) if text is None else b"POST /telegram/persona HTTP/1.1\r\nHost: x\r\n" + text
        for _ in range(3):  # a reset may overtake the answer while a megabyte is on its way
            with connect(stack) as s:
                threading.Thread(target=lambda: quietly(s.sendall, head), daemon=True).start()
                got = received(s, lambda t: t.endswith(b"}"))
            if got:
                break
        check("%s without end is refused" % what, got.startswith(b"HTTP/1.1 431"), got[:300])


def quietly(fn, *args):
    try:
        fn(*args)
    except OSError:
        pass


def one_packet(stack, numbers):
    many = 40
    with connect(stack) as s:
        s.sendall(b"".join(request(update(numbers.next())) for _ in range(many)))
        got = received(s, lambda t: t.count(b"\r\n\r\n") == many)
    check("what comes in one packet is answered one by one", got.count(b"HTTP/1.1 200") == many, got[-300:])


def main():
    stack = Stack(binary_from_argv(), workers=1, webhook=False)
    stack.control("POST", "users", {"id": FIRST, "first_name": "P"})
    stack.gateway.stop()
    program = ["sh", "-c", 'ulimit -n %d; exec "$0" "$@"' % DESCRIPTORS, stack.binary]
    stack.binary, plain = program[0], stack.binary
    stack.gateway = stack.start("narrow-gateway", [*program[1:], "gateway"],
                                SHOAL_METRICS_LISTEN="127.0.0.1:%d" % stack.gateway_metrics)
    stack.binary = plain
    stack.expect("gateway", lambda: http("GET", "http://127.0.0.1:%d/readyz" % stack.gateway_metrics).status == 200)
    numbers = Numbers()
    half_open(stack, numbers)
    heads(stack)
    one_packet(stack, numbers)
    if not light():
        wrong_secrets(stack, numbers)
    check("all that was taken is handled", stack.settled() and wait_for(
        lambda: stack.total("shoal_updates_total", 'kind="message"', 'outcome="done"') == numbers.last), (numbers.last, {k: v for k, v in stack.metrics(stack.workers[0]).items() if "updates_total" in k}))
    said = stack.gateway.output()
    check("the log tells of the crowd, and not for each", 0 < len(re.findall("at their limit|accept failed", said)) < 20, said[-1500:])
    finish()


main()
