// The row of a person, by a statement each or by one for several.
import pg from 'pg';

const { PG_PORT, PG_USER, PG_DATABASE, PG_CONNECTIONS, GROUPED } = process.env;
const pool = new pg.Pool({ host: '127.0.0.1', port: Number(PG_PORT), user: PG_USER, database: PG_DATABASE, max: Number(PG_CONNECTIONS) });
const ON_CONFLICT = `ON CONFLICT (telegram_id) DO UPDATE SET first_name = excluded.first_name, username = excluded.username,
  language_code = excluded.language_code, last_seen_at = now(),
  acquisition_source = coalesce(u.acquisition_source, excluded.acquisition_source)
  RETURNING id, telegram_id, acquisition_source, age_verified_at IS NOT NULL AS age_verified`;
const ONE = `INSERT INTO users AS u (telegram_id, first_name, username, language_code, acquisition_source, last_seen_at)
  VALUES ($1, $2, $3, $4, $5, now()) ${ON_CONFLICT}`;
const MANY = `INSERT INTO users AS u (telegram_id, first_name, username, language_code, acquisition_source, last_seen_at)
  SELECT i, f, n, l, s, now() FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]) AS rows(i, f, n, l, s)
  ${ON_CONFLICT}`;
const MOST = 32;

async function upsertOne(from, source) {
  const { rows } = await pool.query({
    name: 'upsert', text: ONE, values: [from.id, from.first_name, from.username, from.language_code, source] });
  return rows[0];
}

const waiting = new Map(); // by person: a statement must not touch a row twice
let later = [];
let statements = 0;

async function write() {
  const batch = [...waiting.values()].slice(0, MOST).sort((a, b) => a.from.id - b.from.id); // or two deadlock
  for (const w of batch) waiting.delete(w.from.id);
  statements++;
  try {
    const { rows } = await pool.query({ name: 'upsert_many', text: MANY, values: [
      batch.map((w) => w.from.id), batch.map((w) => w.from.first_name), batch.map((w) => w.from.username),
      batch.map((w) => w.from.language_code), batch.map((w) => w.source)] });
    const byId = new Map(rows.map((r) => [r.telegram_id, r]));
    for (const w of batch) w.resolve(byId.get(String(w.from.id)));
  } catch (err) {
    for (const w of batch) w.reject(err);
  }
  statements--;
  const again = later;
  later = [];
  again.forEach(put);
  schedule();
}

function schedule() {
  while (waiting.size && statements < Number(PG_CONNECTIONS)) write();
}

function put(w) {
  if (waiting.has(w.from.id)) later.push(w);
  else waiting.set(w.from.id, w);
}

function upsertGrouped(from, source) {
  return new Promise((resolve, reject) => {
    put({ from, source, resolve, reject });
    setImmediate(schedule); // with what else comes in this turn of the loop
  });
}

export const upsert = GROUPED ? upsertGrouped : upsertOne;
