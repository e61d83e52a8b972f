"""What the compiler and the linker were to build into the program against those who find a mistake in it, read from the
file; and what a running one keeps from other programs.

    test_binary.py BINARY"""
import os
import platform
import re
import resource
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import Process, check, clean_env, finish, temp_dir, wait_for  # noqa: E402

BINARY = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build/shoal")
SANITIZED = "/san/" in BINARY  # has no FORTIFY, and its own entry into functions


def readelf(*options):
    return subprocess.run(["readelf", "-W", *options, BINARY], capture_output=True, text=True, check=True).stdout


def linked():
    head, dynamic, segments = readelf("-h"), readelf("-d"), readelf("-l")
    check("it is loaded at an address that nobody knows", "DYN (Position-Independent" in head and
          re.search(r"FLAGS_1.*\bPIE\b", dynamic), head)
    check("what the loader has filled in is read-only from then on", "GNU_RELRO" in segments, segments)
    check("and nothing is filled in later", re.search(r"\(FLAGS\).*BIND_NOW|FLAGS_1\).*\bNOW\b", dynamic), dynamic)
    stack = re.search(r"GNU_STACK.*", segments)
    check("the stack is no code", stack and "RWE" not in stack.group(0), segments)
    both = [line for line in segments.splitlines() if re.search(r"\bLOAD\b.*\bRWE\b", line)]
    check("nothing is writable and code", not both, both)
    check("it looks for libraries nowhere of its own", not re.search(r"\((RPATH|RUNPATH)\)", dynamic), dynamic)


def compiled():
    names = readelf("--dyn-syms")
    check("overwritten stacks are found", "__stack_chk_fail" in names)
    if SANITIZED:
        return
    checked = set(re.findall(r"\b__\w+_chk\b", names))
    check("calls that write where the size is known are checked", len(checked) >= 5, sorted(checked))
    if platform.machine() != "x86_64":
        return
    code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", BINARY], capture_output=True, text=True, check=True).stdout
    if "clang" not in readelf("-p", ".comment"):  # which does it by an instruction that means other things too
        check("large frames are touched page by page", re.search(r"\bor[ql]\s+\$0x0,(0x0)?\(%rsp\)", code))
    ours = {int(at, 16): name for at, name in re.findall(r"([0-9a-f]{16})\s+\d+ FUNC\s+GLOBAL \w+\s+\d+ (\w+)$",
                                                         readelf("-s"), re.M)}
    begins = {int(at, 16): word for at, word in re.findall(r"^([0-9a-f]{16}) <.*>:\n\s*[0-9a-f]+:\s+(\S+)", code, re.M)}
    bare = sorted(name for at, name in ours.items() if begins.get(at) != "endbr64" and not name.startswith("_"))
    check("indirect calls land at functions only", len(ours) > 500 and not bare,
          "%d functions, without a landing pad: %s" % (len(ours), bare[:10]))


def running():
    """Run as somebody who is not root: who owns what /proc shows of him tells whether the kernel may dump him."""
    folder = temp_dir()
    program = shutil.copy(BINARY, folder)
    secret = "secret-of-the-tests"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
    p = Process([program, "gateway"], os.path.join(folder, "gateway.log"), user="nobody", env=clean_env(
        SHOAL_WEBHOOK_SECRET=secret, SHOAL_GATEWAY_LISTEN="127.0.0.1:0", SHOAL_METRICS_LISTEN="0",
        SHOAL_REDIS_URL="redis://127.0.0.1:1", SHOAL_BOTS="persona"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if not check("the gateway starts", wait_for(lambda: "gateway started" in p.output()), p.output()):
        return
    check("no core is left of it, and nobody but root sees its memory and environment",
          os.stat("/proc/%d/environ" % p.pid).st_uid == 0)
    with open("/proc/%d/limits" % p.pid, encoding="ascii") as f:
        files = re.search(r"Max open files\s+(\d+)", f.read())
    check("it opens as many files as it may", files and int(files.group(1)) >= min(hard, 65536), files)
    with open("/proc/%d/cmdline" % p.pid, "rb") as f:
        check("no secret is in its command line", secret.encode() not in f.read())
    check("it ends when told to", p.stop() == 0, p.output())


linked()
compiled()
running()
finish()
