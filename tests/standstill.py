"""How long the machine stood still. Tests that judge a time by the clock take that from it: nobody can be in time on a
machine that stops. What is merely slow is not taken off; limits leave room for that."""
import threading
import time

from lib import check, checks_held

LOOK_S, NOTICE_S = 0.02, 0.08
DISTURBED_S = 0.7  # less than any time that a program waits for another one


class Standstill:
    """Watches from its making on."""

    def __init__(self):
        self._pauses = []  # (from, to), time.time()
        self._looked = 0
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
            self._looked = time.time()

    def lost(self, begin, end):
        """Seconds between two times of time.time() in which nothing ran."""
        seen = min(end, time.time())
        while self._looked < seen:
            time.sleep(LOOK_S)
        return sum(max(0.0, min(end, b) - max(begin, a)) for a, b in list(self._pauses))

    def took(self, begin, end):
        """What is left of the time between."""
        return end - begin - self.lost(begin, end)

    def undisturbed(self, part, *args, tries=10):
        """Runs a part of a test, and again where the machine stood still meanwhile: programs give up what takes too
        long, and rightly so."""
        while True:
            began, error, result = time.time(), None, None
            with checks_held() as checks:
                try:
                    result = part(*args)
                except Exception as e:
                    error = e
            tries -= 1
            if tries == 0 or self.lost(began, time.time()) < DISTURBED_S:
                break
        for c in checks:
            check(*c)
        if error:
            raise error
        return result
