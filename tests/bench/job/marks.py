"""What is to be reached, and whether it was: each mark with its figure, its bound and a word."""
from report import aligned, less, median
from run import percentile


def med(list_of, *path):
    """The median over runs of what stands at a path in each."""
    values = []
    for one in list_of:
        for key in path:
            one = one.get(key) if one else None
        if one is not None:
            values.append(one)
    return median(values)


def best(results, wanted, grouped=None):
    """The one of them that costs its worker least."""
    some = [r for r in results if any(r["full"]) and r["name"].startswith(wanted) and grouped in (None, r["grouped"])]
    return min(some, key=lambda r: med(r["full"], "cpu_per_1000", "worker"), default=None)


def times_less(results, wanted, what, bound, grouped=None):
    """A row: each round's own ratio, as the machine's speed drifts."""
    other = best(results, wanted, grouped)
    times = less(results[0]["full"], other["full"]) if other else []
    spread = " (of a round %.1f to %.1f)" % (min(times), max(times)) if times else ""
    return ("1", "less than %s, times%s" % (what, spread), median(times), bound, False, "%.1f")


def middle(runs, key):
    """The run with the median of what it says under the key, of two in the middle the worse."""
    at = sorted(runs, key=lambda r: r[key])
    return at[len(at) // 2] if at else None


def marks(results, extras):
    """[(mark, what, figure or None, bound or None, at most?, form)]"""
    ours = results[0]
    split, always, logged, hurry, press, rest, killed = (extras.get(k, []) for k in (
        "two_redis", "always", "logged", "hurry", "press", "at_rest", "killed"))
    ingest = [1000 * (r["ingest"] + r["turns"]) for r in split]
    whole = [1000 * (r["ingest"] + r["turns"] + r["caches"]) for r in split]
    near, late = middle(hurry, "p99"), [ms for r in killed for ms in r["late"]]
    beyond = [{"x": r["lookups_beyond_memory"] / r["lookups"]} for r in ours["paced"] if r and r.get("lookups")]
    pace = med(ours["paced"], "rate") or 0
    return [
        ("1", "worker, CPU s per 1,000", med(ours["full"], "cpu_per_1000", "worker"), 0.045, True, "%.4f"),
        ("1", "the same with a log line for each update", med(logged, "cpu_per_1000", "worker"), None, True, "%.4f"),
        times_less(results, "Go", "the best Go", 3),
        times_less(results, "BullMQ", "BullMQ", 10, False),
        times_less(results, "BullMQ", "BullMQ that writes several rows at once", None, True),
        ("2", "updates/s, one worker, everysec", med(ours["full"], "per_second"), 12000, False, "%.0f"),
        ("2", "the same, appendfsync always", med(always, "per_second"), None, False, "%.0f"),
        ("3", "Redis, ingest and turns, us an update", median(ingest), 25, True, "%.1f"),
        ("3", "with caches, locks, flood budget, us", median(whole), 35, True, "%.1f"),
        ("4", "private memory at rest, MiB", med(rest, "anon_mb"), 4, True, "%.1f"),
        ("4", "at full load, MiB", med(ours["full"], "anon_mb"), 16, True, "%.1f"),
        ("5", "%g/s: p50, ms" % pace, med(ours["paced"], "p50"), 0.8, True, "%.2f"),
        ("5", "%g/s: p99, ms" % pace, med(ours["paced"], "p99"), 2, True, "%.2f"),
        ("5", "button to answer (the gateway's, which ends the wait), %g/s: p99, ms" % (med(press, "rate") or 0),
         med(press, "answer", "p99"), 2, True, "%.2f"),
        ("5", "button to the new message: p50, ms", med(press, "message", "p50"), None, True, "%.2f"),
        ("5", "the same: p99, ms", med(press, "message", "p99"), None, True, "%.2f"),
        ("5", "SQL statements: p95, ms (bucket)", med(ours["paced"], "sql_p95"), 2, True, "%.2f"),
        ("5", "lookups of codes that took a round trip, of all but each code's first", med(beyond, "x"), 0, True, "%.4f"),
        ("5", "at %.0f/s, 80 %% of what it does while more comes in: p99, ms" % (near["rate"] if near else 0), med(hurry, "p99"), 50, True, "%.1f"),
        ("8", "replies held up by a killed worker, %d: p99, ms" % len(late), percentile(late, .99) if late else None, 5000, True, "%.0f")]


def verdict(figure, bound, at_most):
    if figure is None:
        return "not measured"
    if bound is None:
        return ""
    return "reached" if (figure <= bound if at_most else figure >= bound) else "MISSED"


def told(rows, at_most, at_least):
    """The rows as words; a mark's number stands at its first row only."""
    out, before = [], None
    for mark, what, figure, bound, most, form in rows:
        out.append([mark if mark != before else "", what, "-" if figure is None else form % figure,
                    "" if bound is None else "%s %g" % (at_most if most else at_least, bound), verdict(figure, bound, most)])
        before = mark
    return out


def table(rows):
    return aligned([["", "mark", "measured", "bound", ""], *told(rows, "<=", ">=")], 2)
