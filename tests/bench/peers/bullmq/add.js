// Adds the updates of standard input, a line each: all at once, or RATE a second, each when it is due however long the ones
// before take. To FILE: when each was due, sent and accepted, and from whom, as the sender in C does it.
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Queue } from 'bullmq';

const [rate, file] = [Number(process.argv[2]), process.argv[3]];
const queue = new Queue('updates', {
  connection: { host: '127.0.0.1', port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null },
  defaultJobOptions: { removeOnComplete: true, attempts: 5, backoff: { type: 'exponential', delay: 200 } },
});
const jobs = [];
for await (const body of createInterface({ input: process.stdin })) {
  const { update_id, message } = JSON.parse(body);
  jobs.push({ name: 'update', from: message.from.id, data: { key: `telegram:persona:${update_id}`, body } });
}
const times = new BigInt64Array(4 * jobs.length);

async function addAll() {
  for (let i = 0; i < jobs.length; i += 500) await queue.addBulk(jobs.slice(i, i + 500).map(({ name, data }) => ({ name, data })));
}

async function addPaced() {
  const began = process.hrtime.bigint() + 50000000n;
  const added = [];
  for (let i = 0; i < jobs.length; ) {
    const now = process.hrtime.bigint();
    for (; i < jobs.length; i++) {
      const due = began + BigInt(Math.floor((i * 1e9) / rate));
      if (due > now) break;
      const n = i;
      times.set([due, now, -1n, BigInt(jobs[n].from)], 4 * n);
      added.push(queue.add(jobs[n].name, jobs[n].data).then(() => { times[4 * n + 2] = process.hrtime.bigint(); }));
    }
    if (i < jobs.length) {
      const left = Number(began - process.hrtime.bigint()) / 1e6 + (i * 1e3) / rate;
      await (left > 1.5 ? new Promise((done) => setTimeout(done, left - 1)) : new Promise((done) => setImmediate(done)));
    }
  }
  await Promise.all(added);
}

await (rate ? addPaced() : addAll());
if (file) writeFileSync(file, Buffer.from(times.buffer));
await queue.close();
