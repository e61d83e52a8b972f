"""The platform's side of a chaos run: posts updates to the gateways as Telegram does, and keeps a journal of what was
accepted. A chat's messages go one after the other, so do a person's button presses; what is refused, cut off, times out
or is answered by anything but 2xx is posted again under the same update_id, after Retry-After or a delay that doubles.

    sender.py key=value...     see OPTIONS; ends after `seconds`, or on SIGTERM, when all that it began is accepted

One thread and epoll by hand: a sender that is busy cannot judge how long others took. Knows nothing of the product."""
import heapq
import json
import os
import random
import select
import signal
import socket
import sys
import time
from collections import deque

OPTIONS = {
    "gateways": "",       # host:port,... a new connection goes to the next one, as behind a balancer
    "service": "",        # instead, a file with {"gateways": [...], "secret": ...}, read again whenever it is another one
    "path": "/telegram/persona", "secret": "",
    "journal": "",        # one JSON line for each accepted update
    "chats": "200", "first": "1000000",
    "rate": "200",        # updates a second, whatever becomes of those before
    "seconds": "30", "seed": "1",
    "connections": "40",  # at once, as Telegram's max_connections
    "timeout": "10",      # for one answer
    "backoff": "0.2",     # first delay, doubled up to twenty times as much
    "bursts": "0.3",      # share of messages that begin several in a row
    "cut": "0.001",       # share of posts whose connection we cut before the answer, or in the middle of the post
    "fresh": "0",         # share of posts that take a new connection where an old one would do
    "start": "",          # update_id of the first update
}
UNDELIVERED_MAX = 50000   # above it, nothing new is made up
KINDS_PRESS = 0.12        # share of presses
TWICE = 0.35              # of these are pressed more than once
MARKS = "abcdefghijklmnopqrstuvwxyz0123456789"


class Update:
    __slots__ = ("id", "kind", "n", "text", "verb", "message", "mark", "click", "first", "posts")

    def __init__(self, number, kind, n):
        self.id, self.kind, self.n = number, kind, n
        self.text = self.verb = self.mark = None
        self.message = self.click = self.first = self.posts = 0


class Lane:
    """What goes out one after the other: a chat's messages, or its person's presses."""
    __slots__ = ("chat", "queue", "busy", "failures", "n")

    def __init__(self, chat):
        self.chat, self.queue, self.busy, self.failures, self.n = chat, deque(), False, 0, 0


class Chat:
    __slots__ = ("id", "messages", "presses", "texts", "next_message")

    def __init__(self, number):
        self.id, self.texts, self.next_message = number, 0, 1
        self.messages, self.presses = Lane(self), Lane(self)


class Connection:
    __slots__ = ("socket", "lane", "out", "got", "deadline", "cut")

    def __init__(self, sock):
        self.socket, self.lane, self.out, self.got, self.deadline, self.cut = sock, None, b"", b"", 0, False


def wall_ms():
    return time.time_ns() // 1000000


class Sender:
    def __init__(self, o):
        self.rng = random.Random("sender %s" % o["seed"])
        self.path, self.service, self.served = o["path"], o["service"], None
        if self.service:
            self.read_service()
        else:
            self.serve_by(o["gateways"].split(","), o["secret"])
        self.journal = open(o["journal"], "w", encoding="utf-8")
        self.rate, self.seconds, self.max = float(o["rate"]), float(o["seconds"]), int(o["connections"])
        self.timeout, self.backoff, self.cut = float(o["timeout"]), float(o["backoff"]), float(o["cut"])
        self.bursts, self.fresh = float(o["bursts"]), float(o["fresh"])
        self.next_id = int(o["start"]) if o["start"] else self.rng.randrange(100000000, 900000000)
        self.closed = [Chat(int(o["first"]) + i) for i in range(int(o["chats"]))]
        self.rng.shuffle(self.closed)
        self.chats = []            # those that are open
        self.ready = deque()       # lanes with something to post
        self.resting = []          # heap of (when, tie, lane)
        self.idle, self.conns, self.turn, self.tie = [], {}, 0, 0
        self.epoll = select.epoll()
        self.made = self.accepted = self.undelivered = 0
        self.count = {"posts": 0, "again": 0, "cut": 0, "refused": 0, "status": {}, "answers": 0, "wrong_answers": 0}
        self.stopped = False

    # ---- where to

    def serve_by(self, gateways, secret):
        self.gateways = [(g.rsplit(":", 1)[0], int(g.rsplit(":", 1)[1])) for g in gateways]
        self.head = ("POST %s HTTP/1.1\r\nHost: bot.example.org\r\nContent-Type: application/json\r\n"
                     "X-Telegram-Bot-Api-Secret-Token: %s\r\nContent-Length: %%d\r\n\r\n" % (self.path, secret))

    def read_service(self):
        stat = os.stat(self.service)
        if (stat.st_ino, stat.st_mtime_ns) != self.served:
            self.served = (stat.st_ino, stat.st_mtime_ns)
            with open(self.service, encoding="utf-8") as f:
                now = json.load(f)
            self.serve_by(now["gateways"], now["secret"])

    # ---- what people do

    def put(self, lane, kind):
        lane.n += 1
        u = Update(self.next_id, kind, lane.n)
        self.next_id += 1
        self.made += 1
        self.undelivered += 1
        lane.queue.append(u)
        if not lane.busy and len(lane.queue) == 1:
            self.ready.append(lane)
        return u

    def press(self, chat, verb, times):
        mark = "".join(self.rng.choice(MARKS) for _ in range(8))
        chat.next_message += 1
        for click in range(times):
            u = self.put(chat.presses, "press")
            u.verb, u.mark, u.message, u.click = verb, mark, chat.next_message, click + 1

    def clicks(self):
        return 1 if self.rng.random() > TWICE else 2 + (self.rng.random() < 0.3)

    def make_one(self):
        """Something happens in a chat: several messages in a row now and then, as people write."""
        if self.closed and (not self.chats or self.rng.random() < 0.3):
            chat = self.closed.pop()
            u = self.put(chat.messages, "start")
            u.text = "/start chaos%d" % (chat.id % 10)
            return
        if not self.chats:
            return
        chat = self.chats[self.rng.randrange(len(self.chats))]
        if self.rng.random() < KINDS_PRESS:
            self.press(chat, self.rng.choice("yn"), self.clicks())
            return
        for _ in range(self.rng.randrange(2, 6) if self.rng.random() < self.bursts else 1):
            chat.texts += 1
            chat.next_message += 1
            u = self.put(chat.messages, "text")
            u.text, u.message = str(chat.texts), chat.next_message

    def happened(self, chat, u):
        """Accepted: the next step of somebody who has just come."""
        if u.kind == "start":
            self.press(chat, "y", self.clicks())
        elif u.kind == "press" and u.n == 1:
            self.chats.append(chat)

    def body(self, lane, u):
        chat = lane.chat.id
        person = {"id": chat, "is_bot": False, "first_name": "Person %d" % chat, "language_code": "en"}
        where = {"id": chat, "type": "private", "first_name": "Person %d" % chat}
        if u.kind == "press":
            bot = {"id": 100000001, "is_bot": True, "first_name": "Bot", "username": "persona_bot"}
            what = {"callback_query": {
                "id": str(4000000000000000000 + u.id), "from": person, "chat_instance": str(chat * 7919),
                "data": "%s:-:%s" % (u.verb, u.mark),
                "message": {"message_id": u.message + 1000000, "from": bot, "chat": where,
                            "date": int(time.time()), "text": "Well?"}}}
        else:
            what = {"message": {"message_id": u.message + 1, "from": person, "chat": where,
                                "date": int(time.time()), "text": u.text}}
            if u.kind == "start":
                what["message"]["entities"] = [{"type": "bot_command", "offset": 0, "length": 6}]
        return json.dumps({"update_id": u.id, **what}).encode()

    # ---- posting

    def connection(self):
        if self.idle and self.rng.random() >= self.fresh:
            return self.idle.pop()
        where = self.gateways[self.turn % len(self.gateways)]
        self.turn += 1
        try:
            s = socket.create_connection(where, timeout=1)
        except OSError:
            self.count["refused"] += 1
            return None
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.setblocking(False)
        c = Connection(s)
        self.conns[s.fileno()] = c
        self.epoll.register(s.fileno(), select.EPOLLIN | select.EPOLLRDHUP)
        return c

    def close(self, c):
        fd = c.socket.fileno()
        self.epoll.unregister(fd)
        del self.conns[fd]
        c.socket.close()
        if c in self.idle:
            self.idle.remove(c)

    def rest(self, lane, seconds):
        self.tie += 1
        heapq.heappush(self.resting, (time.monotonic() + seconds, self.tie, lane))

    def failed(self, lane, retry_after=None):
        lane.failures += 1
        self.count["again"] += 1
        delay = min(self.backoff * 2 ** (lane.failures - 1), self.backoff * 20)
        self.rest(lane, delay * self.rng.uniform(0.8, 1.2) if retry_after is None else retry_after)

    def post(self, lane):
        u = lane.queue[0]
        lane.busy = True
        if not u.first:
            u.first = wall_ms()
        u.posts += 1
        self.count["posts"] += 1
        c = self.connection()
        if not c:
            self.failed(lane)
            return
        body = self.body(lane, u)
        c.lane, c.got, c.deadline = lane, b"", time.monotonic() + self.timeout
        c.out = (self.head % len(body)).encode() + body
        c.cut = self.rng.random() < self.cut
        if c.cut and self.rng.random() < 0.5:  # in the middle of the post
            c.out = c.out[:self.rng.randrange(1, len(c.out))]
        self.push(c)

    def push(self, c):
        try:
            sent = c.socket.send(c.out)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.lost(c)
            return
        c.out = c.out[sent:]
        if c.out:
            self.epoll.modify(c.socket.fileno(), select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP)
        elif c.cut:
            self.count["cut"] += 1
            self.lost(c)

    def lost(self, c):
        """The connection is gone; what was posted on it may have been accepted or not."""
        lane, c.lane = c.lane, None
        self.close(c)
        if lane:
            self.failed(lane)

    def read(self, c):
        try:
            piece = c.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self.lost(c)
            return
        c.got += piece
        head, gap, body = c.got.partition(b"\r\n\r\n")
        if not gap or not c.lane:
            return
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        if len(body) < int(fields.get(b"content-length", 0)):
            return
        self.answered(c, int(head[9:12]), fields, body)

    def answered(self, c, status, fields, body):
        lane, c.lane = c.lane, None
        if fields.get(b"connection") == b"close":
            self.close(c)
        else:
            self.idle.append(c)
        self.count["status"][status] = self.count["status"].get(status, 0) + 1
        if 200 <= status < 300:
            self.accept(lane, body)
        else:
            after = fields.get(b"retry-after")
            self.failed(lane, float(after) if after else None)

    def accept(self, lane, body):
        u = lane.queue.popleft()
        lane.busy, lane.failures = False, 0
        self.accepted += 1
        self.undelivered -= 1
        line = {"id": u.id, "chat": lane.chat.id, "kind": u.kind, "n": u.n, "first": u.first, "at": wall_ms(),
                "posts": u.posts}
        if u.kind == "press":
            line.update(verb=u.verb, message=u.message + 1000000, click=u.click)
            self.judge_answer(u, body)
        else:
            line["text"] = u.text
        self.journal.write(json.dumps(line) + "\n")
        self.happened(lane.chat, u)
        if lane.queue and not lane.busy:
            self.ready.append(lane)

    def judge_answer(self, u, body):
        """A press is answered in the webhook's own reply."""
        try:
            answer = json.loads(body)
            good = answer["method"] == "answerCallbackQuery" and \
                answer["callback_query_id"] == str(4000000000000000000 + u.id)
        except (ValueError, KeyError, TypeError):
            good = False
        self.count["answers" if good else "wrong_answers"] += 1

    # ---- the run

    def step(self, wait):
        while self.ready and len(self.conns) - len(self.idle) < self.max:
            lane = self.ready.popleft()
            if not lane.busy and lane.queue:
                self.post(lane)
        for fd, event in self.epoll.poll(wait, 256):
            c = self.conns.get(fd)
            if not c:
                continue
            if event & select.EPOLLOUT and c.out:
                self.push(c)
                if not c.out and fd in self.conns:
                    self.epoll.modify(fd, select.EPOLLIN | select.EPOLLRDHUP)
            if event & ~select.EPOLLOUT and fd in self.conns:
                self.read(c)

    def tick(self, now):
        if self.service:
            self.read_service()
        while self.resting and self.resting[0][0] <= now:
            lane = heapq.heappop(self.resting)[2]
            lane.busy = False
            self.ready.append(lane)
        for c in [c for c in self.conns.values() if c.lane and c.deadline <= now]:
            self.lost(c)
        if len(self.conns) > self.max:
            for c in self.idle[:len(self.conns) - self.max]:
                self.close(c)

    def run(self):
        began = last = time.monotonic()
        while True:
            now = time.monotonic()
            over = self.stopped or now - began >= self.seconds
            while not over and self.made < (now - began) * self.rate and self.undelivered < UNDELIVERED_MAX:
                before = self.made
                self.make_one()
                if self.made == before:
                    break
            if now - last >= 0.02:
                self.tick(now)
                last = now
            if over and self.undelivered == 0:
                break
            self.step(0.005)
        self.journal.close()
        return {"accepted": self.accepted, "made": self.made, "seconds": round(time.monotonic() - began, 1),
                "open_chats": len(self.chats), **self.count}


def main():
    options = dict(OPTIONS)
    for word in sys.argv[1:]:
        name, _, value = word.partition("=")
        if name not in options:
            sys.exit("sender.py: there is no option %s" % name)
        options[name] = value
    sender = Sender(options)

    def stop(*_):
        sender.stopped = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(json.dumps(sender.run()), flush=True)


if __name__ == "__main__":
    main()
