"""Runs fuzz targets, each for some seconds: on its seeds, then on what comes of them.

    run.py FOLDER [SECONDS] [TARGET...]     FOLDER has the programs fuzz_TARGET; without names: all

Seeds are lines of seeds/TARGET, with \\n, \\0, \\xff and the like as in C; some targets take fixtures too. Programs of libFuzzer
keep what they find in FOLDER/corpus, for the next run. An input that ends a program is left in FOLDER/crash-TARGET-..., and
belongs into seeds/TARGET once it is mended."""
import os
import re
import resource
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
from lib import check, finish  # noqa: E402

FIXTURES = {"telegram": ["telegram-updates.jsonl", "telegram-updates-odd.jsonl"],
            "discord": ["discord-interactions.jsonl"],
            "entry": ["telegram-updates.jsonl", "discord-interactions.jsonl"]}
BEFORE = {"entry": b"\0lane\0telegram:persona:1\0"}  # of a fixture


def seeds_of(target):
    with open(os.path.join(HERE, "seeds", target), encoding="ascii") as f:
        for line in f.read().splitlines():
            if line and not line.startswith("#"):
                yield line.encode().decode("unicode_escape").encode("latin-1")
    for name in FIXTURES.get(target, []):
        with open(os.path.join(HERE, "..", "fixtures", name), "rb") as f:
            for line in f.read().splitlines()[::4]:
                yield BEFORE.get(target, b"") + line


def is_libfuzzer(program):
    with open(program, "rb") as f:
        return b"max_total_time" in f.read() and b"LLVMFuzzerTestOneInput" in open(program, "rb").read()


def run(folder, target, seconds):
    program = os.path.join(folder, "fuzz_" + target)
    seeds, corpus = (os.path.join(folder, name, target) for name in ("seeds", "corpus"))
    shutil.rmtree(seeds, ignore_errors=True)
    os.makedirs(seeds)
    os.makedirs(corpus, exist_ok=True)
    for n, seed in enumerate(seeds_of(target)):
        with open(os.path.join(seeds, "%04d" % n), "wb") as f:
            f.write(seed)
    argv = [program, "-max_total_time=%d" % seconds, "-artifact_prefix=" + os.path.join(folder, "crash-%s-" % target)]
    if is_libfuzzer(program):
        dictionary = os.path.join(HERE, "dict", target)
        argv += ["-rss_limit_mb=3000", "-timeout=30", "-max_len=8192", "-print_final_stats=1", "-verbosity=1"]
        argv += ["-dict=" + dictionary] if os.path.exists(dictionary) else []
        argv += [corpus]
        if seconds == 0:
            argv.append("-runs=0")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv + [seeds], capture_output=True, text=True, errors="replace")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    said = done.stdout + done.stderr
    runs = re.search(r"number_of_executed_units: (\d+)|^(\d+) runs", said, re.M)
    cover = re.findall(r"cov: (\d+)", said)
    check("fuzz " + target, done.returncode == 0 and runs, "ended with %d\n%s" % (done.returncode, said[-6000:]))
    if runs:
        print("# %s: %s runs, %.0f s of CPU%s, %d inputs kept" % (
            target, runs.group(1) or runs.group(2), cpu, ", %s edges" % cover[-1] if cover else "", len(os.listdir(corpus))))
        sys.stdout.flush()


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    folder, seconds = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 2
    known = sorted(f[5:-2] for f in os.listdir(HERE) if f.startswith("fuzz_") and f.endswith(".c"))
    for target in sys.argv[3:] or known:
        if target not in known:
            sys.exit("there is no target %s; there are %s" % (target, " ".join(known)))
        run(folder, target, seconds)
    finish()


main()
