"""The driver's side of fault.so: says which operation of a program fails and how, and reads what was counted."""
import mmap
import os
import socket
import struct

KINDS = ("", "before", "middle", "after", "timeout", "silence")
FUNCTIONS = ("connect", "read", "write", "accept")
_HEAD = struct.Struct("<IIQQQIIII")  # struct control, without its records
_RECORD = struct.Struct("<QHBBi64s")
_RECORDS = 4096
_holes = []


def blackhole():
    """A port where connecting never ends: nobody accepts, and the queue of those who wait is full."""
    if not _holes:
        hole = socket.socket()
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        _holes.append(hole)
        for _ in range(4):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(hole.getsockname())
            _holes.append(s)
    return _holes[0].getsockname()[1]


class Operation:
    """One operation: number, peer, function, kind of fault or "", size (bytes transferred, -1: failed), first bytes."""

    def __init__(self, record, peers):
        self.number, port, function, kind, self.size, self.what = record
        self.peer, self.function, self.kind = peers.get(port, str(port)), FUNCTIONS[function], KINDS[kind]

    def __str__(self):
        what = self.what.rstrip(b"\0")
        return "%d %s %s%s %d %s" % (self.number, self.function, self.peer, " (%s)" % self.kind if self.kind else "",
                                     self.size, what[:48] if what else "")


class Control:
    """Shared with one program at a time. peers: {port: name}."""

    def __init__(self, path, library, peers, connects, listens=()):
        size = _HEAD.size + _RECORDS * _RECORD.size
        with open(path, "wb") as f:
            f.truncate(size)
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), size)
        self.peers = peers
        self.env = {"LD_PRELOAD": library, "FAULT_CONTROL": path, "FAULT_PORTS": ",".join(map(str, connects)),
                    "FAULT_LISTEN": ",".join(map(str, listens)),
                    # the library stands before ASan's; it hands every call on to it
                    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "detect_leaks=1") + ":verify_asan_link_order=0"}

    def arm(self, nth=0, kind="", again=0, gap=0, only=None):
        """From now on operations count; the nth fails, and then `again` more at this distance, in changing ways. only:
        (peer, function), of these alone the nth."""
        self.disarm()
        ports = {name: port for port, name in self.peers.items()}
        filter_ = ports[only[0]] * 256 + FUNCTIONS.index(only[1]) if only else 0
        _HEAD.pack_into(self.map, 0, 0, KINDS.index(kind), nth, 0, 0, blackhole(), again, gap, filter_)
        struct.pack_into("<I", self.map, 0, 1)

    def disarm(self):
        struct.pack_into("<I", self.map, 0, 0)

    @property
    def count(self):
        return _HEAD.unpack_from(self.map, 0)[3]

    def operations(self, first=1, last=_RECORDS):
        n = min(self.count, last, _RECORDS)
        return [Operation(_RECORD.unpack_from(self.map, _HEAD.size + (i - 1) * _RECORD.size), self.peers)
                for i in range(max(first, 1), n + 1)]

    def failed(self):
        """The operations that were let fail."""
        return [o for o in self.operations() if o.kind]
