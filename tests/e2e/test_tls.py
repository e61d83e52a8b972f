"""Redis over TLS (rediss://), where the program's hiredis has it: the whole way of an update, large ones, a restart of
Redis, and certificates that are not to be believed. Where hiredis has none, that it is refused in clear words.

    test_tls.py [BINARY]"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lib  # noqa: E402
from certificates import certified  # noqa: E402
from lib import check, finish, free_port, wait_for  # noqa: E402
from stack import Stack, binary_from_argv  # noqa: E402

BIN = os.path.abspath(binary_from_argv())


def shoal(*argv, **env):
    done = subprocess.run([BIN, *argv], env=lib.clean_env(**env), capture_output=True, timeout=lib.PATIENCE,
                          check=False)
    return done.returncode, done.stderr.decode()


code, said = shoal("config", "--check", SHOAL_REDIS_URL="rediss://localhost")
if code != 0:
    check("without TLS in hiredis rediss:// is refused in clear words", "rediss:// needs hiredis" in said, said)
    finish()

folder = lib.temp_dir()
authority, authority_key, authority_file, _ = certified(folder, "authority")
_, _, other_file, _ = certified(folder, "other")
_, _, server_file, server_key = certified(folder, "server", authority, authority_key)
port = free_port()
url = "rediss://localhost:%d/0" % port
stack = Stack(BIN, redis_conf={"tls_port": port, "tls_cert_file": server_file, "tls_key_file": server_key,
                               "tls_ca_cert_file": authority_file, "tls_auth_clients": "no"},
              SHOAL_REDIS_URL=url, SSL_CERT_FILE=authority_file)


def replies(user):
    return sum(1 for c in stack.calls() if c["method"] == "sendMessage" and int(c["parameters"]["chat_id"]) == user
               and c["applied"])


stack.pg.rows("INSERT INTO personas (key, name, greeting, replies) VALUES ('default', 'Echo', 'Hello', '{yes}')")
stack.start_workers(1)
for n in range(20):
    stack.say(42 + n % 4, "/start")
check("updates take their way over TLS", wait_for(lambda: all(replies(42 + n) >= 5 for n in range(4))),
      [replies(42 + n) for n in range(4)])
large = {"update_id": 7000000, "message": {"message_id": 1, "date": 1, "text": "x" * 900000, "chat": {
    "id": 99, "type": "private", "first_name": "A"}, "from": {"id": 99, "is_bot": False, "first_name": "A"}}}
for n in range(5):
    large["update_id"] += 1
    check("a large update is taken, %d" % (n + 1), stack.post(large).status == 200)
check("large updates are settled", stack.settled(), stack.queue())

before = replies(42)
stack.redis.stop()
stack.redis = stack.redis.again()
check("a restart of Redis is survived", wait_for(lambda: stack.post({
    "update_id": 7000100, "message": {"message_id": 9, "date": 1, "text": "/start", "chat": {
        "id": 42, "type": "private", "first_name": "A"}, "from": {"id": 42, "is_bot": False, "first_name": "A"}}
}).status == 200) and wait_for(lambda: replies(42) > before), [p.output()[-800:] for p in stack.workers])

code, said = shoal("queue", "status", SHOAL_REDIS_URL=url, SSL_CERT_FILE=authority_file)
check("a verb reaches it", code == 0, said)
code, said = shoal("queue", "status", SHOAL_REDIS_URL=url, SSL_CERT_FILE=other_file)
check("who is certified by others is not believed", code == 3 and "certificate" in said, said)
code, said = shoal("queue", "status", SHOAL_REDIS_URL=url.replace("localhost", "127.0.0.1"),
                   SSL_CERT_FILE=authority_file)
check("nor is a certificate for another name", code == 3 and "certificate" in said, said)
code, said = shoal("queue", "status", SHOAL_REDIS_URL="rediss://localhost:%d/0" % stack.redis.port,
                   SSL_CERT_FILE=authority_file)
check("nor a server that speaks no TLS", code == 3, said)
finish()
