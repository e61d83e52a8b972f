"""What the runs say: medians with their spread, and ratios."""
import statistics

SERVERS = ("worker", "redis", "postgres")


def median(values):
    return statistics.median(values) if values else None


def told(values, form="%.3g"):
    """Median, and least and most."""
    if not values:
        return "-"
    return form % median(values) + (" (%s-%s)" % (form % min(values), form % max(values)) if len(values) > 1 else "")


def figures(result):
    """The figures of one contestant: name -> values, one of each run."""
    full, paced = ([r for r in result[k] if r] for k in ("full", "paced"))
    out = {"per_second": [r["per_second"] for r in full], "idle": [100 * r["idle"] for r in full],
           "rss_mb": [r["rss_mb"] for r in full], "anon_mb": [r["anon_mb"] for r in full],
           "bottleneck": [r["bottleneck"] for r in full]}
    out.update({k: [r["cpu_per_1000"][k] for r in full] for k in SERVERS})
    out.update({k: [r[k] for r in paced] for k in ("p50", "p95", "p99")})
    return out


COLUMNS = [("updates/s", "per_second", "%.0f"), ("worker", "worker", "%.4f"), ("Redis", "redis", "%.4f"),
           ("Postgres", "postgres", "%.4f"), ("RSS", "rss_mb", "%.0f"), ("private", "anon_mb", "%.1f"),
           ("p50", "p50", "%.2f"), ("p95", "p95", "%.2f"), ("p99", "p99", "%.2f"), ("idle %", "idle", "%.0f")]


def most_common(words):
    return max(set(words), key=words.count) if words else "-"


def aligned(rows, words=1):
    """So many columns are words, the others are numbers."""
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(c.ljust(w) if i < words else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths))).rstrip()
                     for r in rows)


def table(results):
    """results: [{"name", "grouped", "full": [...], "paced": [...]}]; CPU in seconds per 1,000 updates, memory in MiB, times in ms."""
    rows = [["", *(c[0] for c in COLUMNS), "bottleneck"]]
    for r in results:
        f = figures(r)
        rows.append([r["name"], *("-" if not f[k] else form % median(f[k]) for _, k, form in COLUMNS),
                     most_common(f["bottleneck"])])
    return aligned(rows)


def spreads(results):
    rows = [["least to most", *(c[0] for c in COLUMNS)]]
    for r in results:
        f = figures(r)
        rows.append([r["name"], *("-" if not f[k] else "%s-%s" % (form % min(f[k]), form % max(f[k])) for _, k, form in COLUMNS)])
    return aligned(rows)


def paired(ours, theirs, key):
    """key(our run, their run) of each round; a run that was not done right is None."""
    return [key(x, y) for x, y in zip(ours, theirs) if x and y]


def less(ours, theirs):
    """How many times less of a worker ours took, round by round."""
    return paired(ours, theirs, lambda x, y: y["cpu_per_1000"]["worker"] / x["cpu_per_1000"]["worker"])


def ratios(results, mine=0):
    """The others beside one of them: how much more it does in a second, and with how much less of a processor. Each round's
    own ratio, so that a machine whose speed drifts does not count."""
    ours = results[mine]["full"]
    rows = [["%s beside" % results[mine]["name"], "updates/s", "worker's CPU", "all CPU"]]
    for i, r in enumerate(results):
        if i != mine and r["full"]:
            rows.append([r["name"], told(paired(ours, r["full"], lambda x, y: x["per_second"] / y["per_second"]), "%.2f") + " x",
                         "1/" + told(less(ours, r["full"]), "%.2f"),
                         "1/" + told(paired(ours, r["full"], lambda x, y: sum(y["cpu_per_1000"][k] for k in SERVERS) / sum(
                             x["cpu_per_1000"][k] for k in SERVERS)), "%.2f")])
    return aligned(rows) if len(rows) > 1 else ""
