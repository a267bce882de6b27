/**
 * Leaders killed, and leaders that hang, under writers: clients of the gateway that wait five seconds see no error, and
 * nothing is applied twice.
 */

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
const FAULTS_EACH = 2;
const ROUNDS_BETWEEN = 30;

/** Killed, its connections break at once; stopped, they stay and say nothing. */
const FAULTS: readonly (readonly [name: string, strike: Strike, mend: Mend])[] = [
  ['kill -9', (leader) => leader.process.stop('SIGKILL'), (leader) => leader.restart()],
  ['SIGSTOP', (leader) => leader.process.kill('SIGSTOP'), (leader) => leader.process.kill('SIGCONT')],
];
type Strike = (leader: LocalAgentProcess) => Promise<void> | void;
type Mend = (leader: LocalAgentProcess) => void;

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
async function round(writer: string, turn: number, index: number): Promise<number> {
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

test.each(FAULTS)(
  '%s of the leader under writers',
  async (name, strike, mend) => {
    let isOver = false;
    const errors: string[] = [];
    const done = { rounds: 0 };
    const acknowledgedMs: number[] = [];
    const writers = Array.from({ length: WRITERS }, async (_, number) => {
      const writer = `${name.replace(/\W/g, '')}-${number}`;
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
          break;
        }
      }
      return { writer, turns };
    });
    for (let fault = 0; fault < FAULTS_EACH; fault++) {
      const before = done.rounds;
      await eventually('writes', async () => (done.rounds > before + ROUNDS_BETWEEN ? true : undefined));
      const leader = await leaderOf();
      await strike(leader);
      const struck = done.rounds;
      await eventually('writes after the fault', async () =>
        done.rounds > struck + ROUNDS_BETWEEN || errors.length > 0 ? true : undefined,
      );
      mend(leader);
      await waitUntilReady(pool);
    }
    isOver = true;
    const ended = await Promise.all(writers);
    expect(errors).toEqual([]);
    for (const { writer, turns } of ended) {
      const entry = await entryOf(`counter-${writer}`);
      expect(Buffer.from(entry?.Value ?? '', 'base64').toString()).toBe(String(turns - 1));
    }
    const sessions = JSON.parse(await send('GET', '/v1/session/list')) as { Name: string }[];
    const names = sessions.map(({ Name }) => Name);
    expect(names.length).toBe(new Set(names).size);
    const gaps = acknowledgedMs.map((at, i) => at - (acknowledgedMs[i - 1] ?? at));
    process.stderr.write(
      `${name}: ${done.rounds} rounds, longest gap between any two ${Math.round(Math.max(...gaps))} ms\n`,
    );
    const metrics = await (await fetch(`${gateway}/metrics`)).text();
    expect(metrics).toMatch(/proconsul_gateway_retries_total\{after="\w[\w-]*"\} \d/);
  },
  180_000,
);
