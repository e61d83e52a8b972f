"""Jobs of the fleet with real workers: the clean-up of old keys runs by itself, in one worker, once; a worker that
drains gives it up at once, and another goes on with it."""
import os
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..")]
from lib import check, finish, wait_for
from stack import Stack, binary_from_argv

LOCK, LAST = "shoal:{cache}:lock:job:old_keys", "shoal:{cache}:job:old_keys:last"

stack = Stack(binary_from_argv(), workers=0)
redis, pg = stack.redis.client(), stack.pg
OLD = 20000
# Half a minute's work, whatever else the machine does: a worker pauses for twice as long as each thousand took.
SLOW = """CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END $$;
CREATE TRIGGER slow BEFORE DELETE ON guards FOR EACH STATEMENT EXECUTE FUNCTION slow()"""

pg.rows("insert into guards (key, effects, at) select 'old' || i, '[]', now() - interval '3 days' "
        "from generate_series(1, %s) i", OLD)
pg.rows("insert into guards (key, at) values ('young', now() - interval '47 hours')")
pg.rows("insert into users (telegram_id) values (42)")
pg.rows("insert into personas (key, replies) values ('default', '{yes}')")
pg.rows("insert into chats (user_id, persona_id) select u.id, p.id from users u, personas p")
pg.rows("insert into messages (chat_id, update_key, text, created_at) select c.id, k, 'kept', now() - a "
        "from chats c, (values ('old', interval '3 days'), ('young', interval '47 hours')) v (k, a)")


def guards():
    return pg.rows("select count(*) from guards")[0][0]


def runs(outcome):
    return stack.total("shoal_fleet_job_runs_total", 'fleet_job="old_keys"', 'outcome="%s"' % outcome)


def removed(worker):
    return stack.metrics(worker)['shoal_fleet_job_rows_total{fleet_job="old_keys"}']


pg.rows(SLOW)
stack.start_workers(2)
first, second = stack.workers
check("the clean-up begins by itself", wait_for(lambda: guards() <= OLD - 1000))
check("under its lock", 0 < redis.pttl(LOCK) <= 15000 and not redis.exists(LAST))
busy = [w for w in stack.workers if removed(w) > 0]
check("in one worker", len(busy) == 1, busy)
mine, other = (first, second) if busy == [first] else (second, first)

value = redis.get(LOCK)
mine.send(signal.SIGTERM)
check("a draining worker ends though its job has more to do", mine.wait() == 0)
left = guards()
check("it has left work undone", left > 1001, left)
check("its lock is not its own any more", redis.get(LOCK) != value)
pg.rows("DROP FUNCTION slow CASCADE")
done = wait_for(lambda: runs("done") == 1)
check("another one goes on to the end", done and guards() == 1 and removed(other) >= left - 1001,
      (runs("done"), guards(), removed(other), left))
check("what is not old stays", pg.rows("select key from guards") == [("young",)])
check("messages lose the old key only", pg.rows("select update_key, text from messages order by id") ==
      [(None, "kept"), ("young", "kept")])
check("the lock is free, and the run is noted for an hour",
      not redis.exists(LOCK) and 3500000 < redis.pttl(LAST) <= 3600000)

stack.start_workers(1)
pg.rows("insert into guards (key, at) values ('late', now() - interval '3 days')")
wait_for(lambda: guards() == 1, 15, 0.5)
check("nobody runs it again within its period", guards() == 2 and runs("done") == 1)
redis.delete(LAST)
check("and when the period is over, one does", wait_for(lambda: runs("done") == 2) and guards() == 1)

finish()
