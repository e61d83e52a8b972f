"""How much work a program does, counted: it runs under a tool, and what it does between two marks is a portion. The first
portion warms it up and is left out."""
import os
import platform
import re
import subprocess
import time

from lib import check


def wrapped(folder, binary, argv):
    """A program that is that binary under a tool."""
    path = os.path.join(folder, "under-" + argv.split(" ")[0])
    with open(path, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\nexec %s %s \"$@\"\n" % (argv, binary))
    os.chmod(path, 0o755)
    return path


def between(marks):
    """[(before, after)] of each portion but the first."""
    return list(zip(marks[2::2], marks[3::2]))


class Nothing:
    """Under no tool."""
    name = ""

    def program(self, binary):
        return binary

    def mark(self, _):
        pass


class Tool(Nothing):
    """argv ends with the option that takes the file it writes to."""

    def __init__(self, folder):
        self.folder, self.out, self.marks = folder, os.path.join(folder, self.name.split()[-1]), []

    def program(self, binary):
        return wrapped(self.folder, binary, self.argv + self.out)


class Callgrind(Tool):
    """What was counted is written, and begun anew, at each mark."""
    name = " under callgrind"
    argv = "valgrind -q --tool=callgrind --compress-strings=no --callgrind-out-file="

    def mark(self, pid):
        subprocess.run(["vgdb", "--wait=60", "--pid=%d" % pid, "dump"], check=True, capture_output=True)
        self.marks.append("%s.%d" % (self.out, len(self.marks) + 1))

    def portions(self):
        """[(instructions, allocations)]"""
        found = []
        for _, path in between(self.marks):
            with open(path, encoding="utf-8", errors="replace") as f:
                text = f.read()
            found.append((int(re.search(r"^(?:totals|summary): (\d+)", text, re.M).group(1)),
                          sum(map(int, re.findall(r"^cfn=(?:malloc|calloc|realloc)\ncalls=(\d+)", text, re.M)))))
        return found


class Strace(Tool):
    name = " under strace"
    argv = "strace -f -ttt -o "

    def mark(self, _):
        self.marks.append(time.time())

    def portions(self):
        """[system calls]"""
        with open(self.out, encoding="utf-8", errors="replace") as f:
            at = [float(m.group(1)) for m in re.finditer(r"^\d+ +([\d.]+) (?!<\.\.\.|---|\+\+\+)", f.read(), re.M)]
        return [sum(first <= t < last for t in at) for first, last in between(self.marks)]


def _room():
    """The limits were counted with Debian 12's libraries, which do more than half of the work; Debian 13's need a tenth more."""
    system = platform.freedesktop_os_release()
    return 1 if (system.get("ID"), system.get("VERSION_ID")) == ("debian", "12") else 1.1


def judge(limits, what, figure):
    limit = limits[what] * _room()
    check("%s: %.6g, at most %g" % (what, figure, limit), figure <= limit)
