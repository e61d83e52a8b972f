"""A PgBouncer of a test's own, in transaction mode, before a Postgres of lib.py. With SHOAL_TEST_PGBOUNCER set every stack
has one: its programs reach Postgres through it, and past it only for what SHOAL_POSTGRES_DIRECT_URL is for."""
import os
import pwd

from lib import PATIENCE, Process, free_port, temp_dir, wait_for

SESSIONS = 4  # of the server, for all clients: fewer than one worker has connections in use
# what has no limit of its own behind a pooler, since that takes no options from clients
CONNECT_QUERY = "SET statement_timeout = 10000"


class PgBouncer(Process):
    """.url is as pg.url; rows() asks its console."""

    def __init__(self, pg, folder, port, **conf):
        self.pg, self.folder, self.port, self.conf = pg, folder, port, conf
        self.url = pg.url.replace(":%d/" % pg.port, ":%d/" % port)
        user = "postgres" if os.geteuid() == 0 else None  # it does not run as root
        self.user = user or pwd.getpwuid(os.geteuid()).pw_name
        path = os.path.join(folder, "pgbouncer.ini")
        with open(path, "w", encoding="utf-8") as f:
            f.write(self._settings())
        super().__init__(["/usr/sbin/pgbouncer", path], os.path.join(folder, "pgbouncer.log"), cwd="/", user=user)
        if not wait_for(lambda: self.rows("SHOW VERSION")):
            raise RuntimeError("pgbouncer did not start:\n" + self.output()[-2000:])

    def _settings(self):
        users = os.path.join(self.folder, "users.txt")
        with open(users, "w", encoding="utf-8") as f:
            f.write('"%s" ""\n' % self.pg.user)
        settings = {"listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": "", "auth_type": "trust",
                    "auth_file": users, "admin_users": self.pg.user, "pool_mode": "transaction",
                    "default_pool_size": SESSIONS, "max_client_conn": 1000, "server_login_retry": 1}
        settings.update(self.conf)
        return "[databases]\n* = host=127.0.0.1 port=%d connect_query='%s'\n[pgbouncer]\n%s\n" % (
            self.pg.port, CONNECT_QUERY, "\n".join("%s = %s" % s for s in settings.items()))

    def rows(self, command):
        """What the console says to PAUSE, RESUME, SHOW ..."""
        import psycopg2
        db = None
        try:
            db = psycopg2.connect(host="127.0.0.1", port=self.port, user=self.pg.user, dbname="pgbouncer",
                                  connect_timeout=PATIENCE)
            db.autocommit = True
            with db.cursor() as cur:
                cur.execute(command)
                names = [d[0] for d in cur.description or []]
                return [dict(zip(names, row)) for row in cur.fetchall()] if names else []
        except psycopg2.OperationalError as e:
            raise RuntimeError(str(e)) from e
        finally:
            if db:
                db.close()

    def again(self, **conf):
        return PgBouncer(self.pg, self.folder, self.port, **{**self.conf, **conf})


def start_pgbouncer(pg, **conf):
    """conf: settings of pgbouncer.ini."""
    return PgBouncer(pg, temp_dir(), free_port(), **conf)


def pooled():
    """Then Postgres' own books tell of the pooler's sessions and statements, not of a program's."""
    return bool(os.environ.get("SHOAL_TEST_PGBOUNCER"))


def postgres_env(pg, pooler=None):
    """The environment by which programs reach this Postgres."""
    pooler = pooler or (start_pgbouncer(pg) if pooled() else None)
    if not pooler:
        return {"SHOAL_POSTGRES_URL": pg.url}
    return {"SHOAL_POSTGRES_URL": pooler.url, "SHOAL_POSTGRES_DIRECT_URL": pg.url, "SHOAL_PG_PREPARE": "0"}
