"""Discord's side for tests: interactions signed by python3-cryptography, and a server of the REST calls that Shoal makes,
which keeps what it was sent and answers as it is told."""
import http.server
import itertools
import json
import socket
import threading
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import lib

APP_ID, TOKEN = "1000003", "MTAwMDAwMw.token-of_the.tests"
_ids = itertools.count(int((time.time() - 1420070400) * 1000) << 22)


class Signer:
    def __init__(self):
        self.key = Ed25519PrivateKey.generate()
        self.public = self.key.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()

    def headers(self, body, timestamp=None):
        timestamp = str(int(time.time())) if timestamp is None else timestamp
        return {"Content-Type": "application/json", "X-Signature-Timestamp": timestamp,
                "X-Signature-Ed25519": self.key.sign(timestamp.encode() + body).hex()}

    def post(self, url, interaction, timestamp=None, **changed):
        """As Discord does. changed: headers to send instead (None: not at all)."""
        body = interaction if isinstance(interaction, bytes) else json.dumps(interaction).encode()
        headers = {**self.headers(body, timestamp), **{k.replace("_", "-"): v for k, v in changed.items()}}
        return lib.http("POST", url, body, {k: v for k, v in headers.items() if v is not None})


def interaction(kind, data=None, user=80351110224678912, **more):
    number = next(_ids)
    return {"type": kind, "id": str(number), "application_id": APP_ID, "token": "tok_%d" % number, "version": 1,
            "guild_id": "290926798626357999", "channel_id": "645027906669510667", "locale": "en-GB",
            "member": {"nick": None, "user": {"id": str(user), "username": "nelly", "global_name": "Nelly"}},
            **({} if data is None else {"data": data}), **more}


def command(name, *options, **more):
    """options: (name, value), or (name, value, True) for the one that is being typed."""
    return interaction(more.pop("kind", 2), {"type": 1, "id": "5", "name": name, "options": [
        {"type": 3, "name": o[0], "value": o[1], **({"focused": o[2]} if len(o) > 2 else {})} for o in options]}, **more)


def press(custom_id, components=(), **more):
    return interaction(3, {"component_type": 2, "custom_id": custom_id}, message={
        "id": str(next(_ids)), "type": 20, "content": "x", "components": list(components)}, **more)


def form(custom_id, **fields):
    more = {"user": fields.pop("user")} if "user" in fields else {}
    return interaction(5, {"custom_id": custom_id, "components": [
        {"type": 18, "component": {"type": 4, "custom_id": k, "value": v} if isinstance(v, str) else
         {"type": 3, "custom_id": k, "values": v}} for k, v in fields.items()]}, **more)


def in_private(one):
    """The same, not said on a server."""
    one = {**one, "user": one["member"]["user"]}
    del one["member"], one["guild_id"]
    return one


class Server:
    """answers: what the next calls get, as (status, body, headers); then what rule(method, path) says, None being {} with
    200; a status of 0: no answer for so many seconds as the body says. calls: (method, path, body, headers), when: the time of each."""

    def __init__(self):
        self.calls, self.when, self.answers, self.rule, self.port = [], [], [], None, lib.free_port()
        self.lock = threading.Lock()
        self.url = "http://127.0.0.1:%d/api/v10" % self.port
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with server.lock:
                    server.when.append(time.time())
                    server.calls.append((self.command, self.path, json.loads(raw) if raw else None, dict(self.headers)))
                    status, body, headers = (server.answers.pop(0) if server.answers else
                                             server.rule and server.rule(self.command, self.path) or (200, {"id": "5"}, {}))
                if status == 0:
                    time.sleep(body)
                    self.close_connection = True
                    return
                out = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", "Content-Length": str(len(out)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(out)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def of(self, one):
        """Calls by the token of an interaction."""
        return [c for c in list(self.calls) if "/%s" % one["token"] in c[1]]

    def to(self, channel):
        """(time, call) of those to a channel."""
        return [(t, c) for t, c in zip(list(self.when), list(self.calls)) if "/channels/%s/" % channel in c[1]]


LIMITED = {"message": "You are being rate limited.", "retry_after": 1.0, "global": False}


class Buckets:
    """A rule for Server: so many calls in a window for each channel and kind of call, told as Discord does. Calls by the
    token of an interaction are free. refused: (time, path) of every 429."""

    def __init__(self, limit=5, window=2.0):
        self.limit, self.window, self.state, self.refused, self.stopped = limit, window, {}, [], {}

    def stop(self, path, seconds, scope="user"):
        """Whoever calls what begins with this gets 429 for a while."""
        self.stopped[path] = (time.time() + seconds, scope)

    def __call__(self, method, path):
        now = time.time()
        for part, (until, scope) in self.stopped.items():
            if part in path and now < until:
                self.refused.append((now, path))
                return 429, {**LIMITED, "retry_after": until - now, "global": scope == "global"}, {
                    "X-RateLimit-Scope": scope, "Retry-After": str(int(until - now) + 1),
                    **({"X-RateLimit-Global": "true"} if scope == "global" else {})}
        if "/channels/" not in path:
            return None
        key = (method, path.split("/channels/")[1].split("/")[0])
        left, ends = self.state.get(key, (0, 0))
        if now >= ends:
            left, ends = self.limit, now + self.window
        headers = {"X-RateLimit-Bucket": "bucket-of-%s" % method, "X-RateLimit-Limit": str(self.limit),
                   "X-RateLimit-Remaining": str(max(left - 1, 0)), "X-RateLimit-Reset-After": "%.3f" % (ends - now)}
        self.state[key] = (max(left - 1, 0), ends)
        if left > 0:
            return 200, {"id": "7"}, headers
        self.refused.append((now, path))
        return 429, {**LIMITED, "retry_after": ends - now}, {**headers, "X-RateLimit-Scope": "user"}


class FastServer:
    """Answers every call with the same bytes, as fast as Python can."""

    def __init__(self, status, body):
        self.calls, self.port, self.url = 0, lib.free_port(), None
        self.url = "http://127.0.0.1:%d/api/v10" % self.port
        self.tell(status, body)
        listener = socket.create_server(("127.0.0.1", self.port), backlog=512)
        threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def tell(self, status, body):
        text = json.dumps(body).encode()
        self.answer = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
            status, len(text), text)

    def accept(self, listener):
        while True:
            threading.Thread(target=self.serve, args=(listener.accept()[0],), daemon=True).start()

    def serve(self, conn):
        data = b""
        while True:
            head = data.find(b"\r\n\r\n")
            if head < 0:
                more = conn.recv(65536)
                if not more:
                    return
                data += more
                continue
            at = data.lower().find(b"content-length:", 0, head)
            length = int(data[at + 15:data.index(b"\r", at)]) if at >= 0 else 0
            while len(data) < head + 4 + length:
                data += conn.recv(65536)
            data = data[head + 4 + length:]
            self.calls += 1
            conn.sendall(self.answer)
