"""How long the machine stood still. Tests that judge a time by the clock take that from it: nobody can be in time on a
machine that stops. What is merely slow is not taken off; limits leave room for that."""
import threading
import time

LOOK_S, NOTICE_S = 0.02, 0.08


class Standstill:
    """Watches from its making on."""

    def __init__(self):
        self._pauses = []  # (from, to), time.time()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        last = time.monotonic()
        while True:
            time.sleep(LOOK_S)
            now = time.monotonic()
            if now - last > NOTICE_S:
                end = time.time()
                self._pauses.append((end - (now - last), end))
            last = now

    def lost(self, begin, end):
        """Seconds between two times of time.time() in which nothing ran."""
        return sum(max(0.0, min(end, b) - max(begin, a)) for a, b in list(self._pauses))

    def took(self, begin, end):
        """What is left of the time between."""
        return end - begin - self.lost(begin, end)
