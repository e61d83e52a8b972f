// The reference job as a BullMQ worker: one job an update, its processor does the rest. GROUPED=1: the rows of several jobs
// are written by one statement.
import { Worker } from 'bullmq';
import Redis from 'ioredis';
import { Pool as HttpPool } from 'undici';
import { upsert } from './rows.js';

const { REDIS_PORT, PLATFORM, TOKEN, CONCURRENCY } = process.env;
const connection = { host: '127.0.0.1', port: Number(REDIS_PORT), maxRetriesPerRequest: null };
const redis = new Redis({ ...connection, enableAutoPipelining: true });
const http = new HttpPool(PLATFORM, { connections: Number(CONCURRENCY) });

async function reply(chatId, text) {
  const { statusCode, body } = await http.request({
    method: 'POST',
    path: `/bot${TOKEN}/sendMessage`,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ chat_id: chatId, text, parse_mode: 'HTML' }),
  });
  const answer = await body.json();
  if (statusCode !== 200 || !answer.ok) throw new Error(`sendMessage: ${statusCode} ${answer.description}`);
}

async function handle(job) {
  const { key, body } = job.data;
  const { message } = JSON.parse(body);
  const [fresh, found] = await Promise.all([
    redis.set(`lock:${key}`, job.id, 'PX', 86400000, 'NX'),
    redis.hget('bench:codes', message.text.slice('/start '.length)),
  ]);
  if (!fresh && job.attemptsStarted < 2) return;
  const code = JSON.parse(found);
  const persona = JSON.parse(await redis.hget('bench:personas', code.persona));
  await upsert(message.from, code.code);
  await reply(message.chat.id, `Welcome back! <b>${persona.name}</b> is glad to see you again.`);
}

const worker = new Worker('updates', handle, { connection, concurrency: Number(CONCURRENCY) });
worker.on('failed', (job, err) => console.error(job?.id, err));
worker.on('error', (err) => console.error(err));
await worker.waitUntilReady();
console.log('ready');
process.on('SIGTERM', async () => {
  await worker.close();
  process.exit(0);
});
