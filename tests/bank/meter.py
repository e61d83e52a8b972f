"""How many SQL statements the updates of a whole run took, by the workers' own metrics. What is read last of a worker stays, so
each is read again and again, and once more before it is killed."""
import http.client

BUCKETS = ("0", "1", "2", "3", "4", "6", "10", "+Inf")


class Meter:
    def __init__(self, stack):
        self.stack, self.last = stack, {}

    def look(self, worker):
        try:
            metrics = self.stack.metrics(worker, timeout=1)
        except (OSError, http.client.HTTPException):  # it stands still, or is gone
            return
        self.last[worker] = {k: v for k, v in metrics.items() if k.startswith(("shoal_sql_per_update", "shoal_asked_again"))}

    def look_at_all(self):
        for worker in list(self.stack.workers):
            self.look(worker)

    def total(self, name, part=""):
        return int(sum(v for series in self.last.values() for k, v in series.items() if k.split("{")[0] == name and part in k))

    def over_two(self):
        return self.total("shoal_sql_per_update_count") - self.total("shoal_sql_per_update_bucket", 'le="2"')

    def again(self):
        return self.total("shoal_asked_again_total")

    def say(self):
        upto, parts = 0, []
        for le in BUCKETS:
            n = self.total("shoal_sql_per_update_bucket", 'le="%s"' % le)
            parts.append("%s %d" % ("more" if le == "+Inf" else "up to " + le if le in ("6", "10") else le, n - upto))
            upto = n
        print("# SQL statements of an update: %s; after a conflict %d, delivered again %d; %d workers" % (
            ", ".join(parts), self.total("shoal_asked_again_total", "conflict"),
            self.total("shoal_asked_again_total", "redelivery"), len(self.last)))
