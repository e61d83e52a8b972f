// The reference job as a grammY bot, with updates from a Redis stream instead of a webhook.
import { Bot } from 'grammy';
import Redis from 'ioredis';
import pg from 'pg';

const { REDIS_PORT, PG_PORT, PG_USER, PG_DATABASE, PG_CONNECTIONS, PLATFORM, TOKEN, STREAM, CONSUMER, CONCURRENCY } = process.env;
const UPSERT = `INSERT INTO users AS u (telegram_id, first_name, username, language_code, acquisition_source, last_seen_at)
  VALUES ($1, $2, $3, $4, $5, now())
  ON CONFLICT (telegram_id) DO UPDATE SET first_name = excluded.first_name, username = excluded.username,
  language_code = excluded.language_code, last_seen_at = now(),
  acquisition_source = coalesce(u.acquisition_source, excluded.acquisition_source)
  RETURNING id, acquisition_source, age_verified_at IS NOT NULL AS age_verified`;
const reader = new Redis({ host: '127.0.0.1', port: Number(REDIS_PORT) });
const redis = new Redis({ host: '127.0.0.1', port: Number(REDIS_PORT), enableAutoPipelining: true });
const pool = new pg.Pool({ host: '127.0.0.1', port: Number(PG_PORT), user: PG_USER, database: PG_DATABASE, max: Number(PG_CONNECTIONS) });
const bot = new Bot(TOKEN, {
  client: { apiRoot: PLATFORM },
  botInfo: { id: 100000001, is_bot: true, first_name: 'Bot', username: 'bench_bot', can_join_groups: false,
    can_read_all_group_messages: false, supports_inline_queries: false, can_connect_to_business: false, has_main_web_app: false },
});

bot.command('start', async (ctx) => {
  const [fresh, found] = await Promise.all([
    redis.set(`lock:${ctx.update.update_id}`, CONSUMER, 'PX', 86400000, 'NX'),
    redis.hget('bench:codes', ctx.match),
  ]);
  if (!fresh) return;
  const code = JSON.parse(found);
  const persona = JSON.parse(await redis.hget('bench:personas', code.persona));
  await pool.query({ name: 'upsert', text: UPSERT, values: [
    ctx.from.id, ctx.from.first_name, ctx.from.username, ctx.from.language_code, code.code] });
  await ctx.reply(`Welcome back! <b>${persona.name}</b> is glad to see you again.`, { parse_mode: 'HTML' });
});

async function handle(id, fields) {
  await bot.handleUpdate(JSON.parse(fields[fields.indexOf('body') + 1]));
  await Promise.all([redis.xack(STREAM, 'workers', id), redis.xdel(STREAM, id)]);
}

let room = Number(CONCURRENCY), wake;
console.log('ready');
process.on('SIGTERM', () => process.exit(0));
for (;;) {
  if (!room) await new Promise((resolve) => { wake = resolve; });
  const answer = await reader.xreadgroup('GROUP', 'workers', CONSUMER, 'COUNT', room, 'BLOCK', 5000, 'STREAMS', STREAM, '>');
  for (const [id, fields] of answer ? answer[0][1] : []) {
    room--;
    handle(id, fields).catch((err) => console.error(err)).finally(() => { room++; wake?.(); });
  }
}
