"""The caches' torture must be able to fail. Mistakes are made in its actors, one at a time: in the text of a script (which
lies in the program as it is), in a file of the engine (compiled anew), or in the reader itself; the judge has to find
each, and nothing in an actor without a mistake under the same chaos.

    cache_mutants.py [BINARY]      ONLY=name"""
import os
import shlex
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path[:0] = [HERE, os.path.join(HERE, "..")]
from cache_torture import Torture  # noqa: E402
from lib import check, finish, temp_dir, wait_for  # noqa: E402

SECONDS = 25  # at most, until a mistake is seen

ALL_DEAF = {"DEAF": "1"}  # where notices from Postgres mend it

# name -> (chaos, environment, text, instead)
SCRIPTS = {
    "fill_without_a_look_at_the_lease": (
        "cut_postgres", {}, "if redis.call('GET', KEYS[2]) ~= ARGV[2] then", "if false then"),
    "fill_without_a_look_at_the_generation": (
        "cut_postgres", {"ENDS": "1", "NAP": "0.2", **ALL_DEAF},
        "if redis.call('GET', KEYS[1]) ~= ARGV[1] then\n\tredis.call('UNLINK', KEYS[2])", "if false then"),
    "void_that_leaves_the_leases": ("cut_postgres", {}, "redis.call('UNLINK', KEYS[i + 1])", ""),
    "void_that_leaves_the_value": ("cut_postgres", {}, "if redis.call('UNLINK', KEYS[i]) == 1 then", "if true then"),
    "void_that_tells_only_of_what_is_there": ("full_redis", {}, "redis.call('SET', KEYS[i], '')", ""),
    "fence_that_waits_for_nobody": ("hiccup", {}, "return {#live, math.max(", "return {0, 0 * math.max("),
}

# name -> (chaos, environment, file, text, instead)
SOURCES = {
    "value_is_kept_though_it_changed_meanwhile": (
        "delay_writes", {}, "cache_flight_table.c", "if (!f->changed && belief &&", "if (belief &&"),
    "read_serves_who_came_after_it": (
        "delay_writes", {}, "cache_flight_table.c",
        "void flight_answer(struct flight *f, enum err err, struct cache_value *v)\n{\n",
        "void flight_answer(struct flight *f, enum err err, struct cache_value *v)\n{\n"
        "\tcache_wants_move(&f->waiting, &f->serving);\n"),
    "memory_is_believed_without_end": (
        "stop", {}, "cache_track.c", "clock_ms() < t->sure_ms + TRUST_MS;\n}", "true;\n}"),
    "memory_survives_the_loss_of_tracking": (
        "cut_tracking", {}, "cache_believe.c", "\tc->kept = false;\n\tcache_memory_clear(c->memory);", "\tc->kept = false;"),
    "changes_are_not_heard": (
        "cut_postgres", {}, "cache_believe.c", "case CACHE_KEY_VALUE: cache_forget(c, kind, rest); break;", "case CACHE_KEY_VALUE: break;"),
    "generation_of_another_server_is_believed": (
        "old_redis", {}, "cache_gen.c", "\tif (!ident || generation.len <= ident ||",
        "\tif (ident && generation.len > ident) {\n"
        "\t\tif (!span_eq(generation, span_of(g->known[kind]))) {\n"
        "\t\t\tsnprintf(g->known[kind], GENERATION_SIZE, \"%.*s\", (int)generation.len, generation.ptr);\n"
        "\t\t\tg->opts.changed(g->opts.arg, kind);\n\t\t}\n\t\treturn true;\n\t}\n"
        "\tif (!ident || generation.len <= ident ||"),
}

READERS = {"reader_that_believes_what_it_read": ("cut_postgres", {"STALE_MS": "300"})}


def once(path, text):
    """What stands in a file, with this text in one place."""
    with open(path, "rb") as f:
        data = f.read()
    if data.count(text.encode()) != 1:
        raise RuntimeError("%d times in %s: %s" % (data.count(text.encode()), path, text))
    return data


def source(file):
    return os.path.join(ROOT, "src", "store", file)


def patched(binary, to, text, instead):
    """A copy of the program with another text of the same length in it."""
    data = once(binary, text)
    with open(to, "wb") as f:
        f.write(data.replace(text.encode(), instead.encode().ljust(len(text))))
    os.chmod(to, 0o755)
    return to


def compiled(build, folder, name, file, text, instead):
    """The actor with one file of the engine in another wording: it stands before the archive that holds the right one."""
    wrong = os.path.join(folder, name + ".c")
    with open(wrong, "wb") as f:
        f.write(once(source(file), text).replace(text.encode(), instead.encode()))
    flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", "hiredis", "libpq", "libcurl", "libcjson",
                                     "libevent", "libcrypto"], text=True).split()
    to = os.path.join(folder, name)
    subprocess.run(shlex.split(os.environ.get("CC", "cc")) + [
        "-std=gnu11", "-O1", "-g", "-D_GNU_SOURCE", "-I" + os.path.join(ROOT, "include"), "-o", to, wrong,
        os.path.join(HERE, "cache_actor.c"), "-Wl,--start-group", *[
            os.path.join(build, "lib%s.a" % layer) for layer in ("base", "io", "store")], "-Wl,--end-group", *flags, "-lm"],
        check=True)
    return to


def wrong_reads(binary, actor, chaos, env, seconds=SECONDS):
    """What the judge finds, and after how many seconds."""
    t = Torture(binary, actor, 1, chaos.split(), env)
    if not wait_for(lambda: t.ops() > 500):
        raise RuntimeError("the actors do not run: " + t.readers[0].output()[-1000:])
    began = time.monotonic()
    problems = 0
    while not problems and time.monotonic() < began + seconds:
        t.run(10**9, 5)
        problems, reports = t.look()
    took = time.monotonic() - began
    t.stop()
    return problems, reports, took


def found(name, result):
    problems, reports, took = result
    print("# after %.0f s: %s" % (took, reports[0] if reports else "nothing"))
    check("found: " + name, problems)


def main():
    binary = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build/shoal")
    build = os.path.dirname(binary)
    actor = os.path.join(build, "tests", "torture", "cache_actor")
    folder, only = temp_dir(), os.environ.get("ONLY")

    def wanted(table):
        return [(name, *rest) for name, rest in table.items() if only in (None, name)]

    for name, chaos, env, text, instead in wanted(SCRIPTS):
        found(name, wrong_reads(binary, patched(actor, os.path.join(folder, name), text, instead), chaos, env))
    for name, chaos, env, file, text, instead in wanted(SOURCES):
        found(name, wrong_reads(binary, compiled(build, folder, name, file, text, instead), chaos, env))
    for name, chaos, env in wanted(READERS):
        found(name, wrong_reads(binary, actor, chaos, env))
    if only in (None, "nothing"):
        chaos = " ".join({x[0] for x in (*SCRIPTS.values(), *SOURCES.values())})
        problems, reports, _ = wrong_reads(binary, actor, chaos, {}, 2 * SECONDS)
        check("nothing is found where nothing is wrong", not problems, "\n".join(reports))
    finish()


if __name__ == "__main__":
    main()
