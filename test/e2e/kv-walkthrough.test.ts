/** The usual first steps with the KV store, typed as guides have them, through the gateway and at an agent. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type SmallPool, startSmallPool } from './small-pool.ts';
import { hasTool } from './tools.ts';

const run = promisify(execFile);
let pool: SmallPool;

beforeAll(async () => {
  pool = await startSmallPool();
}, 60_000);
afterAll(() => pool.stop());

/** One command line as a person types it, with `localhost:8500` standing for the address under test. */
async function shell(line: string, authority: string): Promise<string> {
  const { stdout } = await run('/bin/sh', ['-c', line.replace('localhost:8500', authority)]);
  return stdout;
}

interface Entry {
  readonly Key: string;
  readonly Flags: number;
  readonly Value: string;
  readonly CreateIndex: number;
  readonly ModifyIndex: number;
}

test.skipIf(!hasTool('curl')).each(['the gateway', 'a client agent'])(
  'flags, cas, recursion and waiting at %s',
  async (where) => {
    const url = where === 'the gateway' ? pool.gateway : pool.agents[1]?.url;
    if (url === undefined) throw new Error('no such agent');
    const { host } = new URL(url);
    const type = (line: string) => shell(line, host);

    expect(await type('curl -s -o /dev/null -w "%{http_code}" http://localhost:8500/v1/kv/?recurse')).toBe(
      '404',
    );
    expect(await type("curl -s -X PUT -d 'test' http://localhost:8500/v1/kv/web/key1")).toBe('true');
    expect(await type("curl -s -X PUT -d 'test' http://localhost:8500/v1/kv/web/key2?flags=42")).toBe('true');
    expect(await type("curl -s -X PUT -d 'test' http://localhost:8500/v1/kv/web/sub/key3")).toBe('true');
    const all: Entry[] = JSON.parse(await type('curl -s http://localhost:8500/v1/kv/?recurse'));
    expect(all.map(({ Key, Flags, Value }) => [Key, Flags, Value])).toEqual([
      ['web/key1', 0, 'dGVzdA=='],
      ['web/key2', 42, 'dGVzdA=='],
      ['web/sub/key3', 0, 'dGVzdA=='],
    ]);

    expect(await type('curl -s -X DELETE http://localhost:8500/v1/kv/web/sub?recurse')).toBe('true');
    const keys: Entry[] = JSON.parse(await type('curl -s http://localhost:8500/v1/kv/web?recurse'));
    expect(keys.map(({ Key }) => Key)).toEqual(['web/key1', 'web/key2']);

    const index = keys[0]?.ModifyIndex;
    const swap = `curl -s -X PUT -d 'newval' http://localhost:8500/v1/kv/web/key1?cas=${index}`;
    expect(await type(swap)).toBe('true');
    expect(await type(swap)).toBe('false');

    const before = keys[1]?.ModifyIndex ?? 0;
    const waiting = type(`curl -s "http://localhost:8500/v1/kv/web/key2?index=${before}&wait=5s"`);
    await type("curl -s -X PUT -d 'changed' http://localhost:8500/v1/kv/web/key2?flags=42");
    const [woken]: Entry[] = JSON.parse(await waiting);
    expect(woken).toMatchObject({ Key: 'web/key2', Flags: 42, Value: btoa('changed') });
    expect(woken?.ModifyIndex).toBeGreaterThan(before);

    // Without a change the wait ends by itself, with what is there.
    const unchanged: Entry[] = JSON.parse(
      await type(`curl -s "http://localhost:8500/v1/kv/web/key2?index=${woken?.ModifyIndex}&wait=1s"`),
    );
    expect(unchanged).toEqual([woken]);
    expect(await type('curl -s -X DELETE http://localhost:8500/v1/kv/?recurse')).toBe('true');
  },
  60_000,
);
