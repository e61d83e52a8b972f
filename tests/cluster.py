"""A Redis Cluster, and a master with replicas under Sentinels, of a test's own."""
import os

from lib import REDIS_SERVER, Process, Redis, free_port, temp_dir, wait_for

NODE_TIMEOUT_MS = 1500  # a master that is silent for so long is replaced
SLOTS = 16384


def shard_of(lane, shards):
    """As the README says, by a hash of the lane: FNV-1a with a last mix."""
    h = 0xcbf29ce484222325
    for byte in lane.encode():
        h = (h ^ byte) * 0x100000001b3 & (1 << 64) - 1
    h = (h ^ h >> 32) * 0xd6e8feb86659fd93 & (1 << 64) - 1
    return (h ^ h >> 32) % shards


class Cluster:
    """So many masters with a replica each. .nodes: all of them, a Redis each."""

    def __init__(self, masters=3, replicas=3, **conf):
        settings = {"cluster_enabled": "yes", "cluster_node_timeout": NODE_TIMEOUT_MS,
                    "cluster_require_full_coverage": "no", "repl_diskless_sync_delay": 0,
                    "cluster_replica_validity_factor": 0, **conf}
        self.nodes = [Redis(temp_dir(), free_port(), cluster_port=free_port(), **settings)
                      for _ in range(masters + replicas)]
        first, rest = self.nodes[0], self.nodes[1:]
        for i, node in enumerate(self.nodes[:masters]):
            node.client().execute_command("CLUSTER", "ADDSLOTSRANGE", SLOTS * i // masters,
                                          SLOTS * (i + 1) // masters - 1)
            node.client().execute_command("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
        for node in rest:
            first.client().execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, node.conf["cluster_port"])
        self._wait("the nodes do not meet", lambda: all(len(self.view(n)) == len(self.nodes) for n in self.nodes))
        for i, node in enumerate(self.nodes[masters:]):
            node.client().execute_command("CLUSTER", "REPLICATE", self.id_of(self.nodes[i % masters]))
        self._wait("no cluster", lambda: self.sound(replicas))

    def _wait(self, what, fn):
        if not wait_for(fn):
            raise RuntimeError("%s:\n%s" % (what, self.nodes[0].client().execute_command("CLUSTER", "NODES")))

    def url(self, shards):
        return "redis://127.0.0.1:%d?shards=%d" % (self.nodes[0].port, shards) + "".join(
            "&node=127.0.0.1:%d" % n.port for n in self.nodes[1:])

    @staticmethod
    def id_of(node):
        return node.client().execute_command("CLUSTER", "MYID").decode()

    @staticmethod
    def view(node):
        """{port: set of flags} as this node sees them."""
        seen = node.client(socket_timeout=2).execute_command("CLUSTER", "NODES").decode().splitlines()
        return {int(n.split()[1].split("@")[0].rsplit(":", 1)[1]): set(n.split()[2].split(",")) for n in seen}

    def running(self):
        return [n for n in self.nodes if n.running()]

    def sound(self, replicas):
        """All slots served, and so many replicas in step with their masters."""
        roles = [n.client(socket_timeout=2).execute_command("ROLE") for n in self.running()]
        return sum(r[0] == b"slave" and r[3] == b"connected" for r in roles) == replicas and all(
            b"cluster_state:ok" in n.client().execute_command("CLUSTER", "INFO") for n in self.running())

    def owner(self, key):
        """The master that serves the key now; None: nobody does."""
        import redis
        for node in self.running():
            try:
                if node.client(socket_timeout=2).execute_command("ROLE")[0] == b"master":
                    node.client(socket_timeout=2).execute_command("EXISTS", key)
                    return node
            except redis.RedisError:
                pass
        return None

    def client(self, key):
        """Of the master that has the key."""
        node = wait_for(lambda: self.owner(key))
        return node.client()

    def again(self, node):
        self.nodes[self.nodes.index(node)] = node.again()

    def stop(self):
        for n in self.nodes:
            n.stop()


class Sentinels:
    """A master and its replicas under three Sentinels."""

    def __init__(self, name="shoal", replicas=2, down_after_ms=1500, **conf):
        self.name = name
        first = Redis(temp_dir(), free_port(), repl_diskless_sync_delay=0, **conf)
        self.nodes = [first] + [Redis(temp_dir(), free_port(), repl_diskless_sync_delay=0,
                                      replicaof="127.0.0.1 %d" % first.port, **conf) for _ in range(replicas)]
        self.ports = [free_port() for _ in range(3)]
        self.processes = [self._sentinel(port, first.port, down_after_ms) for port in self.ports]
        if not wait_for(self.sound):
            raise RuntimeError("no Sentinels")

    def _sentinel(self, port, master, down_after_ms):
        folder = temp_dir()
        path = os.path.join(folder, "sentinel.conf")
        with open(path, "w", encoding="ascii") as f:
            f.write("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor %s 127.0.0.1 %d 2\n"
                    "sentinel down-after-milliseconds %s %d\nsentinel failover-timeout %s 10000\n"
                    "sentinel parallel-syncs %s 1\n" % (port, folder, self.name, master, self.name, down_after_ms,
                                                       self.name, self.name))
        return Process([REDIS_SERVER, path, "--sentinel"], os.path.join(folder, "sentinel.log"))

    def url(self, db=0):
        return "redis+sentinel://127.0.0.1:%d/%s/%d?" % (self.ports[0], self.name, db) + "&".join(
            "node=127.0.0.1:%d" % p for p in self.ports[1:])

    def ask(self, port, *words):
        import redis
        return redis.Redis(port=port, socket_timeout=2, decode_responses=True).execute_command("SENTINEL", *words)

    def sound(self):
        """Each Sentinel knows the others and all replicas."""
        import redis
        try:
            return self._all_known()
        except redis.RedisError:
            return False

    def _all_known(self):
        for port in self.ports:
            known = self.ask(port, "MASTER", self.name)
            state = known if isinstance(known, dict) else dict(zip(known[::2], known[1::2]))
            if int(state["num-other-sentinels"]) != 2 or int(state["num-slaves"]) != len(self.nodes) - 1:
                return False
        return all(n.client(socket_timeout=2).execute_command("ROLE")[3] == b"connected" for n in self.nodes[1:])

    def master(self):
        """Whom the Sentinels take for it; None: they do not agree."""
        import redis
        try:
            told = {tuple(self.ask(p, "GET-MASTER-ADDR-BY-NAME", self.name)) for p in self.ports}
        except redis.RedisError:
            return None
        return next((n for n in self.nodes if told == {("127.0.0.1", str(n.port))}), None)

    def stop(self):
        for p in self.processes + self.nodes:
            p.stop()
