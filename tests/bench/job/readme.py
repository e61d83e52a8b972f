"""The tables of README.md: written between `<!-- NAME -->` and `<!-- /NAME -->`, so that what stands there is what was measured.
The marks are measured by several programs: each leaves its rows in a file beside the charts, and the table has those of all."""
import json
import os

import marks as all_marks
from report import COLUMNS, SERVERS, figures, median, most_common

TARGET = 100000  # updates a second, as an example
BUSY = 0.7       # of a processor that one plans with
FIGURES = "tests/bench/figures"
MEASURED = ("bench", "growth", "leaderboard")


def write(path, name, lines):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    first, last = "<!-- %s -->\n" % name, "<!-- /%s -->" % name
    before, _, rest = text.partition(first)
    _, found, after = rest.partition(last)
    if not found:
        raise SystemExit("%s has no place for %s" % (path, name))
    with open(path, "w", encoding="utf-8") as f:
        f.write(before + first + lines + last + after)


def markdown(rows, words=1):
    """The first row is the head; so many columns are words, the others are numbers."""
    out = ["| " + " | ".join(rows[0]) + " |", "|---" * words + "|---:" * (len(rows[0]) - words) + "|"]
    return "\n".join(out + ["| " + " | ".join(r) + " |" for r in rows[1:]]) + "\n"


def image(words, path):
    return "\n![%s](%s)\n" % (words, path) if path else ""


def comparison(results, when, chart):
    rows = [["", *(c[0] for c in COLUMNS), "it waits for"]]
    for r in results:
        f = figures(r)
        rows.append([r["name"], *("-" if not f[k] else form % median(f[k]) for _, k, form in COLUMNS),
                     most_common(f["bottleneck"])])
    return markdown(rows) + "\n" + when[:1].upper() + when[1:] + ".\n" + image("The reference job, side by side", chart)


def marks(path, name, rows):
    """Keeps the rows of one of MEASURED, and writes the table of all of them."""
    os.makedirs(FIGURES, exist_ok=True)
    everything = []
    for n in MEASURED:
        kept = os.path.join(FIGURES, n + ".json")
        if n == name:
            with open(kept, "w", encoding="utf-8") as f:
                f.write("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n")
        if os.path.exists(kept):
            with open(kept, encoding="utf-8") as f:
                everything += json.load(f)
    everything.sort(key=lambda row: row[0])
    write(path, "marks", markdown([["", "Mark", "Measured", "Wanted", ""], *all_marks.told(everything, "≤", "≥")], 2))


def capacity(ours, extras):
    """What one processor of each does, and how many it takes for a hundred thousand updates a second."""
    cpu = {k: median(figures(ours)[k]) for k in SERVERS}
    cpu["redis"] += median([r["ingest_redis_per_1000"] for r in ours["full"]])
    size, syncs = (median([r[k] for r in ours["full"]]) for k in ("wal_bytes", "wal_syncs"))
    said = ""
    if extras.get("gateway"):
        cpu = {"gateway": median([r["cpu_per_1000"] for r in extras["gateway"]]), **cpu}
    if extras.get("gateway") and extras.get("press"):
        said = "\nA gateway with little to do is woken up for each update, which then costs more: %.0f us at %.0f a second.\n" % (
            1000 * median([r["gateway_cpu_per_1000"] for r in extras["press"]]), extras["press"][0]["rate"])
    rows = [["", "us an update", "updates/s of one processor", "processors for {:,}/s, {:.0f} % busy".format(TARGET, 100 * BUSY)]]
    for k, v in cpu.items():
        rows.append([k if k in ("gateway", "worker") else k.capitalize(), "%.0f" % (1000 * v), "{:,.0f}".format(1000 / v),
                     "%.0f" % (TARGET * v / 1000 / BUSY + 0.5)])
    return markdown(rows) + said + ("\nPostgres wrote %.0f bytes of its log for an update, at {:,}/s %.0f MB/s; it waited for the disk once for %.0f updates: "
                                    "a disk that answers 1,000 waits a second carries {:,.0f}/s.\n").format(
        TARGET, 1000 / syncs) % (size, size * TARGET / 1e6, 1 / syncs)
