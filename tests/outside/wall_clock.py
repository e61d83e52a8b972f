"""Wall clocks that jump: of one program each, by clock.so (tests/outside/clock.c). The machine's own stays."""
import contextlib
import os
import shutil
import struct

from lib import temp_dir


class WallClock:
    """.env is for the program that is to see it."""

    def __init__(self, build):
        """build: the folder with tests/outside/clock.so"""
        folder = temp_dir()  # which servers that run as another user may read
        self.path = os.path.join(folder, "clock")
        self.set(0)
        os.chmod(self.path, 0o644)
        library = shutil.copy(os.path.join(build, "tests", "outside", "clock.so"), folder)
        self.env = {"LD_PRELOAD": library, "CLOCK_FILE": self.path,
                    # the library stands before ASan's; it hands every call on to it
                    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "detect_leaks=1") + ":verify_asan_link_order=0"}

    def set(self, seconds):
        """So far from the machine's clock."""
        with open(self.path, "r+b" if os.path.exists(self.path) else "wb") as f:
            f.write(struct.pack("<q", int(seconds * 1000)))

    @contextlib.contextmanager
    def here(self):
        """For servers that are started meanwhile."""
        before = {name: os.environ.get(name) for name in self.env}
        os.environ.update(self.env)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value
