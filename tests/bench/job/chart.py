"""Charts as SVG, without anything else: they are looked at in README.md, on a light and on a dark page."""
import math
from xml.sax.saxutils import escape

from report import SERVERS, figures, median

INK, PALE, GRID = "#1f2933", "#616e7c", "#e4e7eb"
OURS, OTHERS, GROUPED = "#0b7285", "#adb5bd", "#ced4da"
PARTS = {"worker": "#0b7285", "redis": "#e8590c", "postgres": "#5f3dc4"}
NAMES = {"worker": "worker", "redis": "Redis", "postgres": "Postgres"}


class Svg:
    def __init__(self, width, height, title):
        self.width, self.height, self.parts = width, height, []
        self.parts.append('<title>%s</title><rect width="%g" height="%g" fill="#fff"/>' % (escape(title), width, height))

    def rect(self, x, y, w, h, fill):
        self.parts.append('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>' % (x, y, max(w, 0.5), h, fill))

    def line(self, x1, y1, x2, y2, stroke=INK, width=1.0, dash=""):
        self.parts.append('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="%g"%s/>' % (
            x1, y1, x2, y2, stroke, width, ' stroke-dasharray="%s"' % dash if dash else ""))

    def path(self, points, stroke):
        self.parts.append('<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>' % (
            stroke, " ".join("%.1f,%.1f" % p for p in points)))

    def dot(self, x, y, fill):
        self.parts.append('<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>' % (x, y, fill))

    def text(self, x, y, words, size=12, anchor="start", fill=INK, weight="normal"):
        self.parts.append('<text x="%.1f" y="%.1f" font-size="%g" text-anchor="%s" fill="%s" font-weight="%s">%s</text>' % (
            x, y, size, anchor, fill, weight, escape(words)))

    def write(self, path):
        with open(path, "w", encoding="utf-8") as f:
            f.write('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="system-ui, sans-serif">\n%s\n</svg>\n' % (
                self.width, self.height, "\n".join(self.parts)))


def nice(most):
    """Where an axis ends, and its steps."""
    step = 10 ** math.floor(math.log10(most))
    step = next(s for s in (step / 5, step / 2, step, 2 * step) if most / s <= 6)
    return math.ceil(most / step) * step, step


ROW, LEFT, WIDE = 22, 190, 880


def axis(svg, y, rows, most, step, form):
    scale = (WIDE - LEFT - 90) / most
    for n in range(round(most / step) + 1):
        x = LEFT + n * step * scale
        svg.line(x, y, x, y + rows * ROW, GRID)
        svg.text(x, y + rows * ROW + 14, form % (n * step), 10, "middle", PALE)
    return scale


def head(svg, y, title, said):
    svg.text(16, y, title, 14, weight="bold")
    svg.text(16, y + 16, said, 11, fill=PALE)


def bars(svg, y, results, title, said, form, parts):
    """parts(result): [(colour, values)] of one bar, one beside the other; the whisker is the spread of their sums."""
    head(svg, y, title, said)
    all_parts = [parts(r) for r in results]
    sums = [[sum(v) for v in zip(*(values for _, values in p))] for p in all_parts]
    most, step = nice(max(max(s) for s in sums if s))
    y += 30
    scale = axis(svg, y, len(results), most, step, form)
    for r, p, s in zip(results, all_parts, sums):
        svg.text(LEFT - 8, y + 15, r["name"], 12, "end", weight="bold" if r is results[0] else "normal")
        x = LEFT
        for colour, values in p:
            svg.rect(x, y + 4, median(values) * scale, ROW - 8, colour)
            x += median(values) * scale
        svg.line(LEFT + min(s) * scale, y + ROW / 2, LEFT + max(s) * scale, y + ROW / 2, INK, 1)
        svg.text(max(x, LEFT + max(s) * scale) + 6, y + 15, form % median(s), 11)
        y += ROW
    return y + 44


def comparison(results, path, said):
    """results as report.table() takes them, ours first."""
    done = [r for r in results if r["full"]]
    timed = [r for r in done if r["paced"]]
    svg = Svg(WIDE, 3 * 74 + (2 * len(done) + len(timed)) * ROW + 70, "Shoal beside others in the reference job")
    svg.text(16, 24, "The reference job, side by side", 17, weight="bold")
    svg.text(16, 42, said, 11, fill=PALE)
    def colour(r):
        return OURS if r is done[0] else GROUPED if r["grouped"] else OTHERS
    y = bars(svg, 72, done, "Updates a second, one worker process", "more is better; the line is the least and the most of the runs",
             "%.0f", lambda r: [(colour(r), figures(r)["per_second"])])
    y = bars(svg, y, done, "Processor seconds for 1,000 updates", "less is better: " + ", then ".join(NAMES.values()), "%.2f",
             lambda r: [(PARTS[k], figures(r)[k]) for k in SERVERS])
    for k, x in zip(SERVERS, (330, 410, 480)):
        svg.rect(x, y - (len(done) * ROW + 44) - 24, 10, 10, PARTS[k])
        svg.text(x + 14, y - (len(done) * ROW + 44) - 15, NAMES[k], 11, fill=PALE)
    if timed:
        latencies(svg, y, timed, colour)
    svg.write(path)


def latencies(svg, y, results, colour):
    """From half to 99 of 100, on a scale where each step is ten times the one before."""
    head(svg, y, "From the queue to the reply at the platform, at a steady pace", "ms; a bar from p50 over p95 (line) to p99; less is better")
    y += 30
    values = {r["name"]: [median(figures(r)[k]) for k in ("p50", "p95", "p99")] for r in results}
    low, high = (f(math.log10(v)) for f, v in ((math.floor, min(v[0] for v in values.values())),
                                               (math.ceil, max(v[2] for v in values.values()))))
    def x_of(v):
        return LEFT + (math.log10(v) - low) * (WIDE - LEFT - 150) / max(high - low, 1)
    for n in range(low, high + 1):
        svg.line(x_of(10 ** n), y, x_of(10 ** n), y + len(results) * ROW, GRID)
        svg.text(x_of(10 ** n), y + len(results) * ROW + 14, "%g" % 10 ** n, 10, "middle", PALE)
    for r in results:
        p50, p95, p99 = values[r["name"]]
        svg.text(LEFT - 8, y + 15, r["name"], 12, "end", weight="bold" if r is results[0] else "normal")
        svg.rect(x_of(p50), y + 4, x_of(p99) - x_of(p50), ROW - 8, colour(r))
        svg.line(x_of(p95), y + 4, x_of(p95), y + ROW - 4, INK, 1)
        svg.text(x_of(p99) + 6, y + 15, "%.2f / %.2f / %.2f" % (p50, p95, p99), 11)
        y += ROW


def growth(curves, path, said):
    """curves: [(title, [(size, {part: [values]})])]; processor time of one update by how much there is."""
    wide, high, gap = 410, 210, 30
    svg = Svg(WIDE, 70 + (len(curves) + 1) // 2 * (high + gap), "Cost of an update by size")
    svg.text(16, 24, "What an update costs when there is more of everything", 17, weight="bold")
    svg.text(16, 42, said, 11, fill=PALE)
    for k, x in zip(SERVERS, (640, 710, 770)):
        svg.rect(x, 15, 10, 10, PARTS[k])
        svg.text(x + 14, 24, NAMES[k], 11, fill=PALE)
    for i, (title, points) in enumerate(curves):
        panel(svg, 16 + i % 2 * (wide + gap), 66 + i // 2 * (high + gap), wide, high, title, points)
    svg.write(path)


def panel(svg, x0, y0, wide, high, title, points):
    svg.text(x0, y0 + 12, title, 13, weight="bold")
    left, top, right, bottom = x0 + 34, y0 + 26, x0 + wide - 10, y0 + high - 22
    sums = [sum(median(v) for v in parts.values()) for _, parts in points]
    tenth_more = 1.1 * min(sums)
    most, step = nice(1000 * max(*sums, tenth_more))
    logs = [math.log10(size) for size, _ in points]
    def x_of(v):
        return left + (v - logs[0]) * (right - left) / max(logs[-1] - logs[0], 1e-9)
    def y_of(us):
        return bottom - us * (bottom - top) / most
    for n in range(round(most / step) + 1):
        svg.line(left, y_of(n * step), right, y_of(n * step), GRID)
        svg.text(left - 5, y_of(n * step) + 4, "%g" % (n * step), 10, "end", PALE)
    for lx, (size, _) in zip(logs, points):
        svg.text(x_of(lx), bottom + 14, "{:,}".format(size), 10, "middle", PALE)
    svg.line(left, y_of(1000 * tenth_more), right, y_of(1000 * tenth_more), PALE, 1, "3 3")
    svg.path([(x_of(lx), y_of(1000 * s)) for lx, s in zip(logs, sums)], INK)
    for part in SERVERS:
        svg.path([(x_of(lx), y_of(1000 * median(parts[part]))) for lx, (_, parts) in zip(logs, points)], PARTS[part])
    for lx, s in zip(logs, sums):
        svg.dot(x_of(lx), y_of(1000 * s), INK)
