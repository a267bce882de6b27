/** Leaders killed under writers: clients of the gateway that wait five seconds see no error, and nothing is applied twice. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  fetchJson,
  freePorts,
  type LocalAgentProcess,
  type LocalPool,
  startPool,
  waitUntilReady,
} from '../../launch/pool.ts';
import { temporaryFolder } from './agent-process.ts';
import { eventually } from './eventually.ts';

/** What a client waits for an answer. */
const PATIENCE_MS = 5000;
const WRITERS = 6;
const KILLS = 2;

const folder = temporaryFolder();
let pool: LocalPool;
let gateway: string;

beforeAll(async () => {
  const portsOf = await freePorts(4);
  pool = startPool({ servers: 3, clients: 0, dataRoot: folder.path, portsOf, gatewayPort: portsOf(3).http });
  gateway = pool.gateway?.url ?? '';
  await waitUntilReady(pool);
});
afterAll(async () => {
  await pool?.stop();
  folder.remove();
});

interface Entry {
  readonly ModifyIndex: number;
  readonly Value: string;
}

async function send(method: string, path: string, body = ''): Promise<string> {
  const init = { method, ...(body === '' ? {} : { body }), signal: AbortSignal.timeout(PATIENCE_MS) };
  const response = await fetch(`${gateway}${path}`, init);
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text;
}

const entryOf = async (key: string) => (JSON.parse(await send('GET', `/v1/kv/${key}`)) as Entry[])[0];

/**
 * One round of writes that each show a second application: a check-and-set on a key of its own would be refused, a
 * key's index would be another than the one that its transaction has told, a session would be listed twice.
 */
async function round(writer: number, turn: number, index: number): Promise<number> {
  const key = `counter-${writer}`;
  const answer = await send('PUT', `/v1/kv/${key}?cas=${index}`, String(turn));
  if (answer !== 'true') throw new Error(`${key} was changed by somebody else at ${index}`);
  const log = `log-${writer}-${turn}`;
  const ops = [{ KV: { Verb: 'set', Key: log, Value: '' } }];
  const { Results } = JSON.parse(await send('PUT', '/v1/txn', JSON.stringify(ops))) as {
    Results: { KV: Entry }[];
  };
  const told = Results[0]?.KV.ModifyIndex;
  const stored = (await entryOf(log))?.ModifyIndex;
  if (told !== stored) throw new Error(`${log} was written at ${told} and again at ${stored}`);
  await send('PUT', '/v1/session/create', JSON.stringify({ Name: log, TTL: '60s' }));
  await send('PUT', `/v1/kv/plain-${writer}`, String(turn));
  await send('DELETE', `/v1/kv/${log}`);
  return (await entryOf(key))?.ModifyIndex ?? 0;
}

async function leaderOf(): Promise<LocalAgentProcess> {
  const address = await eventually('a leader', () => fetchJson<string>(`${gateway}/v1/status/leader`));
  const leader = pool.agents.find(({ ports }) => address === `127.0.0.1:${ports.server}`);
  if (leader === undefined) throw new Error(`nobody listens at ${address}`);
  return leader;
}

test('kill -9 of the leader under writers', async () => {
  let isOver = false;
  const errors: string[] = [];
  const done = { rounds: 0 };
  const acknowledgedMs: number[] = [];
  const writers = Array.from({ length: WRITERS }, async (_, writer) => {
    let index = 0;
    let turns = 0;
    while (!isOver) {
      try {
        index = await round(writer, turns, index);
        turns++;
        done.rounds++;
        acknowledgedMs.push(performance.now());
      } catch (error) {
        errors.push(String(error));
        return turns;
      }
    }
    return turns;
  });
  for (let kill = 0; kill < KILLS; kill++) {
    const before = done.rounds;
    await eventually('writes', async () => (done.rounds > before + 30 ? true : undefined));
    const leader = await leaderOf();
    await leader.process.stop('SIGKILL');
    const killed = done.rounds;
    await eventually('writes after the kill', async () =>
      done.rounds > killed + 30 || errors.length > 0 ? true : undefined,
    );
    leader.restart();
    await waitUntilReady(pool);
  }
  isOver = true;
  const turns = await Promise.all(writers);
  expect(errors).toEqual([]);
  for (const [writer, count] of turns.entries()) {
    const entry = await entryOf(`counter-${writer}`);
    expect(Buffer.from(entry?.Value ?? '', 'base64').toString()).toBe(String(count - 1));
  }
  const sessions = JSON.parse(await send('GET', '/v1/session/list')) as { Name: string }[];
  const names = sessions.map(({ Name }) => Name);
  expect(names.length).toBe(new Set(names).size);
  const gaps = acknowledgedMs.map((at, i) => at - (acknowledgedMs[i - 1] ?? at));
  process.stderr.write(
    `${done.rounds} rounds, longest gap between any two ${Math.round(Math.max(...gaps))} ms\n`,
  );
  const metrics = await (await fetch(`${gateway}/metrics`)).text();
  expect(metrics).toMatch(/proconsul_gateway_retries_total\{after="\w[\w-]*"\} \d/);
}, 180_000);
