/** The package's own client, as built and as its users import it, through the gateway. */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, createClient, RequestError, valueText } from 'proconsul/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from './eventually.ts';
import { type SmallPool, startSmallPool } from './small-pool.ts';

let pool: SmallPool;
let client: Client;

beforeAll(async () => {
  pool = await startSmallPool();
  client = createClient({ address: pool.gateway });
});
afterAll(() => pool?.stop());

describe('the client through the gateway', () => {
  test('registers, follows the health of a service and deregisters', async () => {
    const caller = new AbortController();
    const seen: string[][] = [];
    const following = (async () => {
      const options = { passing: true, waitMs: 20_000, signal: caller.signal };
      for await (const { value } of client.health.watch('web', options))
        seen.push(value.map(({ Service }) => Service.ID).sort());
    })();
    const until = (...ids: string[]) =>
      eventually(`the watch to see ${ids}`, async () =>
        JSON.stringify(seen.at(-1)) === JSON.stringify(ids) ? true : undefined,
      );
    await until();
    await client.agent.services.register({ ID: 'web-1', Name: 'web', Port: 80, Check: { TTL: '600s' } });
    await client.agent.checks.pass('service:web-1', 'up');
    await until('web-1');
    await client.agent.services.register({ ID: 'web-2', Name: 'web', Port: 81, Tags: ['b'] });
    await until('web-1', 'web-2');
    expect(await client.catalog.service('web', { tags: ['b'] })).toMatchObject([{ ServicePort: 81 }]);
    expect(await client.health.checks('web')).toMatchObject([{ Status: 'passing', Output: 'up' }]);
    await client.agent.services.deregister('web-1');
    await client.agent.services.deregister('web-2');
    await until();
    caller.abort();
    await following;
    expect(Object.keys(await client.agent.services.list())).toEqual([]);
  });

  test('writes, locks and reads keys, large numbers included', async () => {
    expect(await client.kv.put('c/a', 'é', { flags: 2n ** 64n - 1n, cas: 0 })).toBe(true);
    expect(await client.kv.put('c/a', 'again', { cas: 0 })).toBe(false);
    const entry = await client.kv.get('c/a', { consistency: 'consistent' });
    expect(entry).toMatchObject({ Flags: 2n ** 64n - 1n });
    expect(entry && valueText(entry)).toBe('é');
    const holder = await client.session.create({ Name: 'holder', LockDelay: '0s', TTL: '60s' });
    const other = await client.session.create({ LockDelay: '0s' });
    expect(await client.kv.put('c/lock', 'mine', { acquire: holder })).toBe(true);
    expect(await client.kv.put('c/lock', 'no', { acquire: other })).toBe(false);
    expect(await client.session.renew(holder)).toMatchObject({ Name: 'holder' });
    await client.session.destroy(holder);
    expect(await client.session.renew(holder)).toBeUndefined();
    expect(await client.kv.put('c/lock', 'mine now', { acquire: other })).toBe(true);
    expect(await client.kv.text('c/lock')).toBe('mine now');
    expect(await client.kv.keys('c/')).toEqual(['c/a', 'c/lock']);
    await client.kv.deleteAll('c/');
    expect(await client.kv.get('c/a')).toBeUndefined();
  });

  test('applies transactions, fires events, and says why something is refused', async () => {
    const write = await client.txn([{ KV: { Verb: 'set', Key: 't', Value: btoa('1') } }]);
    expect(write).toMatchObject({ Results: [{ KV: { Key: 't' } }], Errors: null });
    const refused = await client.txn([{ KV: { Verb: 'check-not-exists', Key: 't' } }]);
    expect(refused).toMatchObject({ Results: null, Errors: [{ OpIndex: 0, What: 'key "t" exists' }] });
    const { ID } = await client.event.fire('deploy', '42');
    const heard = await eventually('the event', async () => (await client.event.list('deploy'))[0]);
    expect(heard).toMatchObject({ ID, Payload: btoa('42') });
    const error = await client.session.create({ Node: 'nowhere' }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RequestError);
    expect(error).toMatchObject({
      status: 500,
      reason: expect.stringContaining('Missing node registration'),
    });
  });
});

test('its declarations are complete for a program that installs the package', () => {
  const folder = mkdtempSync(join(tmpdir(), 'proconsul-consumer-'));
  const root = new URL('../..', import.meta.url).pathname;
  try {
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(root, join(folder, 'node_modules/proconsul'));
    writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
    const program = [
      "import { createClient, type HealthEntry } from 'proconsul/client';",
      'const entries: HealthEntry[] = await createClient().health.service("web", { passing: true });',
      'export const port: number | undefined = entries[0]?.Service.Port;',
      '// @ts-expect-error there is no such field',
      'export const wrong = entries[0]?.Service.Prot;',
    ];
    writeFileSync(join(folder, 'program.ts'), program.join('\n'));
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022', '--types', ''];
    const tsc = join(root, 'node_modules/.bin/tsc');
    execFileSync(tsc, [...options, '--skipLibCheck', 'false', 'program.ts'], { cwd: folder });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
