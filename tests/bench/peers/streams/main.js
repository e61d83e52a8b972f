// The reference job on a Redis stream, by somebody careful: one script for lock, code and persona, commands of one turn of
// the loop in one pipeline, prepared statements, connections that stay. GROUPED=1: rows of several updates in one statement.
import Redis from 'ioredis';
import { Pool as HttpPool } from 'undici';
import { upsert } from './rows.js';

const { REDIS_PORT, PLATFORM, TOKEN, STREAM, CONSUMER, CONCURRENCY } = process.env;
const LOOKUP = `
if not redis.call('SET', KEYS[1], ARGV[1], 'PX', 86400000, 'NX') then return {} end
local code = redis.call('HGET', KEYS[2], ARGV[2])
if not code then return {1} end
return {1, code, redis.call('HGET', KEYS[3], cjson.decode(code).persona)}`;
const connect = () => new Redis({ host: '127.0.0.1', port: Number(REDIS_PORT), enableAutoPipelining: true });
const reader = new Redis({ host: '127.0.0.1', port: Number(REDIS_PORT) });
const redis = connect();
const http = new HttpPool(PLATFORM, { connections: Number(CONCURRENCY) });
const path = `/bot${TOKEN}/sendMessage`;
const headers = { 'content-type': 'application/json' };

redis.defineCommand('lookup', { numberOfKeys: 3, lua: LOOKUP });

async function reply(chatId, text) {
  const { statusCode, body } = await http.request({
    method: 'POST', path, headers, body: JSON.stringify({ chat_id: chatId, text, parse_mode: 'HTML' }) });
  const answer = await body.json();
  if (statusCode !== 200 || !answer.ok) throw new Error(`sendMessage: ${statusCode} ${answer.description}`);
}

async function handle(id, fields) {
  const { message } = JSON.parse(fields[fields.indexOf('body') + 1]);
  const key = fields[fields.indexOf('key') + 1];
  const [fresh, code, persona] = await redis.lookup(`lock:${key}`, 'bench:codes', 'bench:personas', CONSUMER,
    message.text.slice('/start '.length));
  if (fresh) {
    await upsert(message.from, JSON.parse(code).code);
    await reply(message.chat.id, `Welcome back! <b>${JSON.parse(persona).name}</b> is glad to see you again.`);
  }
  done.push(id);
  if (done.length === 1) setImmediate(acknowledge);
}

let done = [];
function acknowledge() {
  const ids = done;
  done = [];
  redis.xack(STREAM, 'workers', ...ids).catch(fail);
  redis.xdel(STREAM, ...ids).catch(fail);
}

function fail(err) {
  console.error(err); // what is not acknowledged stays pending
}

let room = Number(CONCURRENCY), wake;
console.log('ready');
process.on('SIGTERM', () => process.exit(0));
for (;;) {
  if (!room) await new Promise((resolve) => { wake = resolve; });
  const answer = await reader.xreadgroup('GROUP', 'workers', CONSUMER, 'COUNT', room, 'BLOCK', 5000, 'STREAMS', STREAM, '>');
  for (const [id, fields] of answer ? answer[0][1] : []) {
    room--;
    handle(id, fields).catch(fail).finally(() => { room++; wake?.(); });
  }
}
