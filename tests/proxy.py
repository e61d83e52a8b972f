"""A TCP proxy on 127.0.0.1 that can be cut (connections are reset and refused until it is mended), and that can lose one
request, or the answer to it."""
import select
import socket
import struct
import threading

from lib import free_port


class Proxy:
    def __init__(self, to_port):
        self.to, self.pairs, self.lock = to_port, set(), threading.Lock()
        self.listener = None
        self.port = free_port()
        self.losing = None  # (bytes that the request holds, whether it still arrives, whether the answer is waited for)
        self.mend()

    def mend(self):
        if self.listener:
            return
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", self.port))
        s.listen(128)
        self.listener = s
        threading.Thread(target=self._accept, args=(s,), daemon=True).start()

    def cut(self):
        listener, self.listener = self.listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self.lock:
            for s in [s for pair in self.pairs for s in pair]:
                try:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _accept(self, listener):
        while True:
            try:
                near = listener.accept()[0]
                far = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                if self.listener is not listener:
                    return
                near.close()
                continue
            threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    def _carry(self, near, far):
        pair = (near, far)
        with self.lock:
            self.pairs.add(pair)
        try:
            while self.listener:
                for s in select.select(pair, [], [], 1)[0]:
                    data = s.recv(65536)
                    if not data:
                        return
                    losing = self.losing
                    if losing and s is near and losing[0] in data:
                        self.losing = None
                        if losing[1]:
                            far.sendall(data)
                        if all(losing[1:]):
                            far.recv(65536)
                        return
                    (far if s is near else near).sendall(data)
        except OSError:
            pass
        finally:
            with self.lock:
                self.pairs.discard(pair)
            near.close()
            far.close()
