"""What tests of the simulated Discord share: a bot that answers its interactions as it is told, and the simulator alone."""
import contextlib
import json
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from lib import PATIENCE, Process, clean_env, free_port, http, temp_dir, wait_for
from stack import APP_ID, APP_TOKEN, binary_from_argv

PONG = {"type": 1}


class Endpoint:
    """A bot that answers as it is told: .answers gives what the next interactions get, then a deferral. It refuses what is
    not signed by .key, if that is set."""

    def __init__(self):
        self.answers, self.got, self.key, self.port = [], [], None, free_port()
        self.content_type = "application/json"
        self.url = "http://127.0.0.1:%d/bot" % self.port
        bot = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

            def do_POST(self):
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                status, body = bot.answer(raw, self.headers)
                out = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", bot.content_type)
                self.send_header("Content-Length", str(len(out)))
                self.end_headers()
                with contextlib.suppress(OSError):  # it was not waited for
                    self.wfile.write(out)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def answer(self, raw, headers):
        if self.key:
            try:
                Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.key)).verify(
                    bytes.fromhex(headers.get("X-Signature-Ed25519", "")),
                        headers["X-Signature-Timestamp"].encode() + raw)
            except (InvalidSignature, ValueError):
                return 401, {}
        one = json.loads(raw)
        if one["type"] == 1:
            return 200, PONG
        self.got.append(one)
        answer = self.answers.pop(0) if self.answers else {"type": 5}
        if callable(answer):
            answer = answer(one)
        return answer if isinstance(answer, tuple) else (200, answer)


class Sim:
    def __init__(self, *args):
        self.port = free_port()
        self.url = "http://127.0.0.1:%d" % self.port
        self.process = Process([binary_from_argv(), "sim", "--listen", "127.0.0.1:%d" % self.port, "--discord",
                                "ladder=%s:%s" % (APP_ID, APP_TOKEN), *args], os.path.join(temp_dir(), "sim.log"),
                                    env=clean_env())
        wait_for(lambda: http("GET", self.url + "/healthz").status == 200)

    def control(self, method, path, body=None):
        """status and object"""
        a = http(method, self.url + "/sim/" + path, None if body is None else json.dumps(body),
            {"Content-Type": "application/json"})
        return a.status, json.loads(a.body or b"null")

    def do(self, what, **spec):
        status, one = self.control("POST", "discord/" + what, spec)
        return one if status == 200 else (status, one["error"]["message"])

    def feed(self, user):
        return self.control("GET", "discord/feed?user_id=%s" % user)[1]["messages"]

    def rest(self, method, path, body=None, token=APP_TOKEN, **headers):
        raw = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
        a = http(method, self.url + "/api/v10" + path, raw, {
            "Content-Type": "application/json", **({"Authorization": "Bot " + token} if token else {}),
            **{k.replace("_", "-"): v for k, v in headers.items()}})
        try:
            return a.status, json.loads(a.body) if a.body else None, a.headers
        except ValueError:
            return a.status, a.body, a.headers

    def burst(self, method, path, body=None, token=APP_TOKEN, n=1):
        """The same call n times at one moment: all are sent before the first answer is read. path: a function of the number."""
        raw = b"" if body is None else json.dumps(body).encode()
        head = "%s /api/v10%s HTTP/1.1\r\nHost: sim\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n"
        auth = "Authorization: Bot %s\r\n" % token if token else ""
        answers = []
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as s, s.makefile("rb") as f:
            s.sendall(b"".join((head % (method, path(i), len(raw), auth)).encode() + raw for i in range(n)))
            for _ in range(n):
                status = int(f.readline().split()[1])
                headers = dict(line.decode().strip().lower().split(": ", 1) for line in iter(f.readline, b"\r\n"))
                out = f.read(int(headers.get("content-length", 0)))
                answers.append((status, json.loads(out) if out else None, headers))
        return answers

    def hook(self, method, token, path="", body=None, app=APP_ID):
        return self.rest(method, "/webhooks/%s/%s%s" % (app, token, path), body, token=None)
