"""Metrics of every program as Prometheus reads them; the alert rules, each of which must fire and not fire; the dashboard,
whose every query must be of metrics and labels that are there; and no series that strangers could make."""
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests"))
from lib import check, finish, free_port, http, temp_dir, wait_for  # noqa: E402
from stack import TOKEN, Stack, binary_from_argv, light  # noqa: E402

MONITORING = os.path.join(ROOT, "k8s", "monitoring")
ADMIN_TOKEN = "a-token-of-the-tests-with-all-rights"
HOSTILE = 60 if light() else 120  # of each kind
MARK = "zq"  # in every name that strangers make up


# ---- what is served

def start():
    stack = Stack(binary_from_argv(), SHOAL_SLOW_QUERY_MS=1, SHOAL_USER_RATE="5/60")
    ports = {"gateway": stack.gateway_metrics, "worker": stack.ports[stack.workers[0]], "sim": stack.sim_port,
             "admin": free_port()}
    stack.admin_url = "http://127.0.0.1:%d" % free_port()
    stack.start("admin", ["admin"], SHOAL_ADMIN_LISTEN=stack.admin_url[7:], SHOAL_ADMIN_TOKEN=ADMIN_TOKEN,
                SHOAL_METRICS_LISTEN="127.0.0.1:%d" % ports["admin"])
    stack.expect("admin", lambda: http("GET", "http://127.0.0.1:%d/readyz" % ports["admin"]).status == 200)
    stack.pg.rows("INSERT INTO personas (key, name, greeting, replies) VALUES ('default', 'Echo', 'Hello', '{yes}')")
    return stack, ports


def scrape(ports):
    """-> program: the text of /metrics"""
    return {name: http("GET", "http://127.0.0.1:%d/metrics" % port).body.decode() for name, port in ports.items()}


def ask_admin(stack, method, path, token=ADMIN_TOKEN, body=None):
    return http(method, stack.admin_url + path, body, {"Authorization": "Bearer " + token} if token else {}).status


def everyday(stack):
    """A little of everything, so that every metric is there."""
    for user in range(1, 4):
        for text in ("/start", "hello"):
            stack.say(user, text)
    stack.pg.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE %s", "shoal-worker%")
    ask_admin(stack, "GET", "/api/queue")
    ask_admin(stack, "GET", "/api/analytics/start-codes")
    check("the fleet is at rest", stack.settled())
    return wait_for(lambda: stack.metrics(stack.workers[0]).get('shoal_queue_length{shard="0"}') == 0 and stack.total("shoal_errors_total", "postgres") > 0 and
                    stack.ready(stack.workers[0]))


# ---- Prometheus' text

def families(texts):
    """name of a metric as queries have it -> its labels"""
    out, types = {}, {}
    for line in "\n".join(texts.values()).splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            types[name] = kind
            for n in [name + s for s in ("_bucket", "_sum", "_count")] if kind == "histogram" else [name]:
                out.setdefault(n, set())
        elif line and not line.startswith("#"):
            name, labels = re.match(r"(\w+)(?:\{(.*)\})? ", line).groups()
            out.setdefault(name, set()).update(re.findall(r'(\w+)="', labels or ""))
    return out


def series(texts):
    """Each program's series, the buckets of a histogram as one."""
    return {(p, re.sub(r',?le="[^"]*"', "", line.rsplit(" ", 1)[0])) for p, text in texts.items()
            for line in text.splitlines() if line and not line.startswith("#")}


def promtool(*argv, stdin=None):
    done = subprocess.run(["promtool", *argv], input=stdin, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def read(name):
    with open(os.path.join(MONITORING, name), encoding="utf-8") as f:
        return f.read()


# ---- queries

OWN = {"up", "ALERTS"}  # Prometheus' own
GIVEN = {"instance", "job", "le", "alertname", "alertstate"}  # labels that it gives
WORDS = {"sum", "max", "min", "count", "by", "and", "or", "on", "rate", "increase", "delta", "deriv", "histogram_quantile",
         "absent", "min_over_time", "max_over_time", "offset", "vector", "label_values"}


def wrong_in(query, known):
    """What a query names that is not there. Of a metric that has no series yet the labels are not known."""
    blind = any(name in known and not known[name] for name in re.findall(r"[a-zA-Z_:][\w:]*", query) if name.endswith("_total"))
    query = re.sub(r"\[[^]]*\]", "", query)
    wrong = []
    for name, labels in re.findall(r"([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}", query):
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", labels):
            if label not in known.get(name, set()) | GIVEN and not blind:
                wrong.append("%s has no label %s" % (name, label))
    bare = re.sub(r"\{[^}]*\}|\"[^\"]*\"", "", query)
    every = set().union(*known.values()) | GIVEN
    for group in re.findall(r"\bby \(([^)]*)\)", bare):
        wrong += ["no label " + w for w in re.split(r"[,\s]+", group.strip()) if w and w not in every and not blind]
    bare = re.sub(r"\bby \([^)]*\)", "", bare)
    wrong += ["no metric " + w for w in re.findall(r"(?<![\w.$])[a-zA-Z_:][\w:]*", bare)
              if w not in WORDS and w not in OWN and w not in known]
    return wrong


def expressions(text):
    """Those of rules.yaml: (name, expression)"""
    out, text = [], re.sub(r"(?m)^ *#.*\n", "", text)
    for block in re.split(r"\n      - ", text)[1:]:
        block = block.split("\n\n")[0]
        name = re.match(r"(?:alert|record): (\S+)", block)
        if name:
            expr = re.search(r"expr: (?:>-\n)?(.*?)\n        ?(?=\w+:|# )|expr: (?:>-\n)?(.*)\Z", block + "\n        x:", re.S)
            out.append((name.group(1), re.sub(r"\s+", " ", expr.group(1) or expr.group(2))))
    return out


# SPEC: each with exactly these labels
LABELS = {
    "shoal_updates_total": "bot kind outcome", "shoal_update_seconds_count": "bot command", "shoal_stage_seconds_count": "bot stage",
    "shoal_sql_statements_total": "statement", "shoal_sql_per_update_count": "bot", "shoal_sql_seconds_count": "statement",
    "shoal_sql_slow_total": "", "shoal_pg_pool": "state", "shoal_cache_requests_total": "cache layer result",
    "shoal_cache_invalidations_total": "cache", "shoal_queue_length": "shard", "shoal_queue_pending": "shard",
    "shoal_queue_waiting": "shard", "shoal_queue_retrying": "shard", "shoal_queue_dead": "shard", "shoal_queue_oldest_seconds": "shard",
    "shoal_inflight": "", "shoal_takeovers_total": "", "shoal_turn_seconds_count": "", "shoal_flood_wait_seconds_count": "",
    "shoal_platform_requests_total": "platform method status", "shoal_loop_lag_seconds_count": "", "shoal_errors_total": "peer kind",
    "shoal_gateway_requests_total": "path status"}


def judge_labels(texts):
    wrong = []
    for name, labels in LABELS.items():
        found = re.findall(r"(?m)^%s(?:\{(.*)\})? " % name, "\n".join(texts.values()))
        if not found or any(re.findall(r'(\w+)="', f) != labels.split() for f in found):
            wrong.append((name, found[:2]))
    check("each metric has its labels", not wrong, wrong)
    away = [(p, n) for p, names in {
        "gateway": ["shoal_gateway_requests_total"], "worker": [n for n in LABELS if "gateway" not in n],
        "admin": ["shoal_sql_seconds_count", "shoal_pg_pool"]}.items() for n in names if "\n" + n not in texts[p]]
    check("each where it belongs", not away, away)


def judge_queries(texts):
    rules = read("rules.yaml")
    known = families(texts)
    exprs = expressions(rules)
    records = {name: set() for name, _ in exprs if ":" in name}
    known.update(records)
    check("there are rules", len(exprs) == len(re.findall(r"^\s+expr:", rules, re.M)) > 25, len(exprs))
    wrong = [(name, w) for name, e in exprs for w in wrong_in(e, known)]
    check("every rule is of metrics that are there", not wrong, wrong)
    check("which could fail", wrong_in('rate(shoal_updates_total{bott="x"}[5m])', known) and wrong_in("shoal_no_such > 1", known) and
          wrong_in("sum by (nothing) (shoal_inflight)", known) and not wrong_in("sum by (instance) (shoal_inflight)", known))
    lacking = [a for a in re.split(r"\n      - alert: ", rules)[1:]
               if not all(re.search(r"^\s+%s: \S" % k, a, re.M) for k in ("severity", "summary", "description", "runbook"))]
    check("every alert says how bad, what, and what to do", not lacking, lacking)
    judge_dashboard(known)


def judge_dashboard(known):
    board = json.loads(read("dashboard.json"))
    panels = [p for p in board["panels"] if p["type"] != "row"]
    queries = [(p["title"], t["expr"]) for p in panels for t in p["targets"]]
    variables = {v["name"]: v for v in board["templating"]["list"]}
    queries += [(v["name"], v["definition"]) for v in variables.values() if v["type"] == "query"]
    wrong = [(title, w) for title, e in queries for w in wrong_in(re.sub(r"label_values\((\w+), (\w+)\)", r"sum by (\2) (\1)", e), known)]
    check("every panel is of metrics that are there", len(panels) > 20 and not wrong, wrong)
    if shutil.which("promtool"):  # as rules they are parsed
        path = os.path.join(temp_dir(), "panels.yaml")
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"groups": [{"name": "panels", "rules": [
                {"record": "panel:%d" % i, "expr": re.sub(r"\$(bot|shard)", ".*", t["expr"]).replace("$__rate_interval", "5m")}
                for i, t in enumerate(t for p in panels for t in p["targets"])]}]}, f)
        good, said = promtool("check", "rules", path)
        check("every query can be parsed", good, said)
    check("every panel has a query", all(p["targets"] for p in panels))
    check("bots and shards can be chosen", {"datasource", "bot", "shard"} <= set(variables) and
          all(("$" + v) in " ".join(e for _, e in queries) for v in ("bot", "shard")))
    check("every panel asks the data source that was chosen", all(
        x["datasource"] == {"type": "prometheus", "uid": "${datasource}"} for p in panels for x in [p, *p["targets"]]))
    check("ids are unique", len({p["id"] for p in board["panels"]}) == len(board["panels"]))
    places = set()
    for p in board["panels"]:
        g = p["gridPos"]
        places |= {(x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])}
    check("no panel lies on another", len(places) == sum(p["gridPos"]["w"] * p["gridPos"]["h"] for p in board["panels"]) and
          max(x for x, _ in places) < 24)
    used = " ".join(e for _, e in queries) + read("rules.yaml")
    unused = sorted(n for n in {re.sub(r"_(bucket|sum|count)$", "", n) for n in known if ":" not in n} if n not in used)
    print("# in neither of the two: %s" % (", ".join(unused) or "none"))


# ---- alerts

def without_annotations(rules):
    """An expected alert has to repeat them word by word; what they say is no matter of the tests."""
    out, inside = [], False
    for line in rules.splitlines():
        inside = line.startswith("        annotations:") or (inside and line.startswith("          "))
        if not inside:
            out.append(line)
    return "\n".join(out) + "\n"


def judge_rules():
    rules = read("rules.yaml")
    with open(os.path.join(ROOT, "tests", "monitoring", "alerts.yaml"), encoding="utf-8") as f:
        cases = f.read()
    made = subprocess.run(["sh", os.path.join(MONITORING, "prometheusrule.sh")], capture_output=True, text=True, check=True).stdout
    check("the operator's object says the same (make monitoring)", made == read("prometheusrule.yaml"))
    told = re.findall(r"alertname: (\S+)\n        exp_alerts:( \[\])?", cases)
    alerts = re.findall(r"^      - alert: (\S+)", rules, re.M)
    check("each alert has a case in which it fires", set(alerts) == {a for a, none in told if not none})
    check("and one in which it does not", set(alerts) == {a for a, none in told if none})
    if not shutil.which("promtool"):
        print("ok promtool # skipped: it is not installed")
        return
    folder = temp_dir()
    for name, text in (("rules.yaml", without_annotations(rules)), ("alerts.yaml", cases)):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write(text)
    good, said = promtool("check", "rules", os.path.join(MONITORING, "rules.yaml"))
    check("promtool check rules", good and "SUCCESS" in said, said)
    good, said = promtool("test", "rules", os.path.join(folder, "alerts.yaml"))
    check("promtool test rules", good and "SUCCESS" in said, said)


def judge_metrics(texts):
    for name, text in texts.items():
        check("%s has metrics" % name, "shoal_loop_lag_seconds_count" in text)
        if shutil.which("promtool"):
            good, said = promtool("check", "metrics", stdin=text)
            check("promtool check metrics: %s" % name, good and not said, said)


# ---- strangers

def raw(port, text):
    """Bytes that no client would send; the answer does not matter."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
        s.sendall(text)
        s.settimeout(60)
        try:
            while s.recv(65536):
                pass
        except OSError:
            pass


def hostile_requests(stack, chance, n):
    word = lambda: MARK + "%06x" % chance.randrange(1 << 24)
    for _ in range(n):
        method = chance.choice(["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "POST"])
        http(method, stack.gateway_url + chance.choice(["/telegram/%s", "/discord/%s", "/%s", "/telegram/persona/%s", "/telegram/persona?%s"])
             % word(), "{}")
        http("POST", stack.gateway_url + "/telegram/persona", "{}", {"X-Telegram-Bot-Api-Secret-Token": word(), "traceparent": word()})
        ask_admin(stack, method, chance.choice(["/%s", "/api/%s", "/api/dead/%s", "/api/analytics/start-codes/%s", "/api/cache/%s/reload"])
                  % word(), body="{}" if method in ("PUT", "POST", "PATCH") else None)
        ask_admin(stack, "GET", "/api/queue", token=word())
    for port in (stack.gateway_port, int(stack.admin_url.rsplit(":", 1)[1])):
        for _ in range(5):
            raw(port, b"%s /%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % (word().upper().encode(), word().encode()))


def hostile_updates(stack, chance, n):
    word = lambda: MARK + "%06x" % chance.randrange(1 << 24)
    for _ in range(n):
        user, number = chance.randrange(50, 60), chance.randrange(1 << 40)
        who = {"id": user, "is_bot": False, "first_name": word()}
        chat = {"id": user, "type": "private"}
        message = {"message_id": 1, "date": 0, "chat": chat, "from": who, "text": "/" + word()}
        stack.post({"update_id": number, "message": message})
        stack.post({"update_id": number + 1, word(): message})
        stack.post({"update_id": number + 2, "callback_query": {"id": word(), "from": who, "data": word(), "message": {
            **message, "text": "x"}}})
        stack.redis.client().xadd("shoal:{0}:updates", {"bot": word(), "lane": word(), "body": "{}", word(): word()})
        stack.redis.client().xadd("shoal:{0}:updates", {"bot": "persona", "lane": word(), "body": word()})
        stack.redis.client().xadd("shoal:{0}:updates", {"bot": word(), word(): word()})


def strangers(stack, ports):
    chance = random.Random(7)
    hostile_requests(stack, chance, 20)
    hostile_updates(stack, chance, 20)
    check("what strangers began with is settled", stack.settled())
    before = series(scrape(ports))
    hostile_requests(stack, chance, HOSTILE)
    hostile_updates(stack, chance, HOSTILE)
    check("what strangers send is settled", stack.settled())
    after = series(scrape(ports))
    check("nothing that strangers say is a label", not [s for s in after if MARK in s[1].lower()],
          [s for s in after if MARK in s[1].lower()][:5])
    new = sorted(after - before)
    # statuses and statements that came for the first time, such as those of the fleet's jobs
    check("%d inventions more, and hardly a series" % (10 * HOSTILE), len(new) <= 80, new)
    print("# series: %d, then %d" % (len(before), len(after)))
    check("and no series is lost", before <= after, sorted(before - after))
    kinds = {m for _, s in after for m in re.findall(r'kind="([^"]*)"', s) if s.startswith("shoal_updates_total")}
    check("kinds are the known ones", "unknown" in kinds and len(kinds) < 20, kinds)


judge_rules()
stack, ports = start()
check("every metric is there", everyday(stack))
texts = scrape(ports)
judge_metrics(texts)
judge_labels(texts)
judge_queries(texts)
strangers(stack, ports)
judge_metrics(scrape(ports))
finish()
