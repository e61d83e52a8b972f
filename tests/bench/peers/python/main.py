"""The reference job on a Redis stream with asyncio: redis-py, asyncpg, aiohttp."""
import asyncio
import json
import os
import sys

import aiohttp
import asyncpg
import redis.asyncio as aioredis

STREAM, CONSUMER, CONCURRENCY = os.environ["STREAM"], os.environ["CONSUMER"], int(os.environ["CONCURRENCY"])
URL = "%s/bot%s/sendMessage" % (os.environ["PLATFORM"], os.environ["TOKEN"])
UPSERT = """INSERT INTO users AS u (telegram_id, first_name, username, language_code, acquisition_source, last_seen_at)
    VALUES ($1, $2, $3, $4, $5, now())
    ON CONFLICT (telegram_id) DO UPDATE SET first_name = excluded.first_name, username = excluded.username,
    language_code = excluded.language_code, last_seen_at = now(),
    acquisition_source = coalesce(u.acquisition_source, excluded.acquisition_source)
    RETURNING id, acquisition_source, age_verified_at IS NOT NULL AS age_verified"""
LOOKUP = """
if not redis.call('SET', KEYS[1], ARGV[1], 'PX', 86400000, 'NX') then return {} end
local code = redis.call('HGET', KEYS[2], ARGV[2])
if not code then return {1} end
return {1, code, redis.call('HGET', KEYS[3], cjson.decode(code).persona)}"""


class Worker:
    def __init__(self, r, pool, session):
        self.redis, self.pool, self.session = r, pool, session
        self.lookup = r.register_script(LOOKUP)
        self.room = asyncio.Semaphore(CONCURRENCY)
        self.tasks = set()

    async def reply(self, chat_id, text):
        async with self.session.post(URL, json={"chat_id": chat_id, "text": text, "parse_mode": "HTML"}) as res:
            answer = await res.json()
            if not answer["ok"]:
                raise RuntimeError("sendMessage: %s" % answer)

    async def handle(self, entry_id, fields):
        try:
            message = json.loads(fields[b"body"])["message"]
            found = await self.lookup(keys=["lock:" + fields[b"key"].decode(), "bench:codes", "bench:personas"],
                                      args=[CONSUMER, message["text"].removeprefix("/start ")])
            if found:
                code, persona, who = json.loads(found[1]), json.loads(found[2]), message["from"]
                async with self.pool.acquire() as db:
                    await db.fetchrow(UPSERT, who["id"], who["first_name"], who["username"], who["language_code"], code["code"])
                await self.reply(message["chat"]["id"], "Welcome back! <b>%s</b> is glad to see you again." % persona["name"])
            pipe = self.redis.pipeline(transaction=False)
            pipe.xack(STREAM, "workers", entry_id)
            pipe.xdel(STREAM, entry_id)
            await pipe.execute()
        except Exception as err:  # what is not acknowledged stays pending
            print(repr(err), file=sys.stderr)
        finally:
            self.room.release()

    async def run(self):
        while True:
            got = await self.redis.xreadgroup("workers", CONSUMER, {STREAM: ">"}, count=CONCURRENCY, block=5000)
            for _, entries in got:
                for entry_id, fields in entries:
                    await self.room.acquire()
                    task = asyncio.create_task(self.handle(entry_id, fields))
                    self.tasks.add(task)
                    task.add_done_callback(self.tasks.discard)


async def main():
    r = aioredis.Redis(host="127.0.0.1", port=int(os.environ["REDIS_PORT"]))
    pool = await asyncpg.create_pool(host="127.0.0.1", port=int(os.environ["PG_PORT"]), user=os.environ["PG_USER"],
                                     database=os.environ["PG_DATABASE"], min_size=1, max_size=int(os.environ["PG_CONNECTIONS"]))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY)) as session:
        print("ready", flush=True)
        await Worker(r, pool, session).run()


asyncio.run(main())
