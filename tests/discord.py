"""Discord's side for tests: interactions signed by python3-cryptography, and a server of the REST calls that Shoal makes,
which keeps what it was sent and answers as it is told."""
import http.server
import itertools
import json
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
    """answers: what the next calls get, as (status, body, headers); then {} with 200. calls: (method, path, body, headers)."""

    def __init__(self):
        self.calls, self.answers, self.port = [], [], lib.free_port()
        self.url = "http://127.0.0.1:%d/api/v10" % self.port
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, body, headers = server.answers.pop(0) if server.answers else (200, {"id": "5"}, {})
                server.calls.append((self.command, self.path, json.loads(raw) if raw else None, dict(self.headers)))
                out = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", "Content-Length": str(len(out)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(out)

            do_GET = do_POST = do_PATCH = do_PUT = answer

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def of(self, one):
        """Calls by the token of an interaction."""
        return [c for c in list(self.calls) if "/%s" % one["token"] in c[1]]
