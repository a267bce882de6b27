import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { randomUuid, realEnv } from '../../../shared/env.ts';
import type { Backend, ReadOptions } from '../../rpc/backend.ts';
import { type KvApplyArgs, kvApply, kvGet, kvList, sessionCreate, sessionList } from '../../rpc/endpoints.ts';
import { createSnapshotClient } from '../../rpc/snapshot-client.ts';
import type { SavedSnapshot, SnapshotAccess } from '../../rpc/snapshots.ts';
import { eventually, TestCluster, type TestServer } from '../testing/test-cluster.ts';

const HERE = { datacenter: '', token: '' };
const DEFAULT: ReadOptions = { ...HERE, consistency: 'default' };
const STALE: ReadOptions = { ...HERE, consistency: 'stale' };
const ASKED = { ...HERE, isStale: false };

let cluster = new TestCluster();
afterEach(async () => {
  await cluster.stop();
  cluster = new TestCluster();
});

function put(backend: Backend, key: string, value: Uint8Array | string): Promise<boolean> {
  const args: KvApplyArgs = { verb: 'set', key, value: Buffer.from(value), flags: 0, index: 0, session: '' };
  return backend.write(kvApply, args, HERE);
}

async function keys(backend: Backend, options = DEFAULT): Promise<string[]> {
  return (await backend.read(kvList, { prefix: '' }, options)).value.map(({ Key }) => Key);
}

async function bytesOf({ archive }: SavedSnapshot): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of archive) parts.push(part);
  return Buffer.concat(parts);
}

async function* cut(bytes: Uint8Array, pieceBytes = 20_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

const save = async (from: SnapshotAccess) => bytesOf(await from.saveSnapshot(ASKED));
const restore = (to: SnapshotAccess, bytes: Uint8Array) => to.restoreSnapshot(ASKED, cut(bytes));

function clientAccess(): { client: Backend; access: SnapshotAccess } {
  const client = cluster.addClient('c1', 2000);
  return { client, access: createSnapshotClient({ servers: () => client.serverAddresses(), env: realEnv }) };
}

/** Values that no compression makes small, so that there are many pieces. */
async function fill(backend: Backend, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await put(backend, `big/${i}`, randomBytes(300_000));
}

describe('one server', () => {
  test('comes back to what was saved, and wakes whoever waits', async () => {
    const { server } = await cluster.addServer('n1', { bootstrap: true });
    await put(server, 'kept', 'before');
    const saved = await server.saveSnapshot(ASKED);
    expect(saved.meta).toMatchObject({ knownLeader: true, lastContactMs: 0 });
    const bytes = await bytesOf(saved);
    await put(server, 'kept', 'after');
    await put(server, 'new', 'x');
    const before = await server.read(kvGet, { key: 'kept' }, DEFAULT);
    const waits = [before.meta.index, 10 ** 12].map((minIndex) =>
      server.read(kvGet, { key: 'kept' }, { ...DEFAULT, minIndex, waitMs: 60_000 }),
    );
    await restore(server, bytes);
    for (const { meta, value } of await Promise.all(waits)) {
      expect(Buffer.from(String(value[0]?.Value), 'base64').toString()).toBe('before');
      expect(meta.index).toBeGreaterThan(before.meta.index);
    }
    expect(await keys(server)).toEqual(['kept']);
    await put(server, 'later', 'y');
    expect(await keys(server)).toEqual(['kept', 'later']);
  });

  test('times restored sessions anew, and registers itself again', async () => {
    const { server } = await cluster.addServer('n1', { bootstrap: true });
    const empty = await save(server);
    await eventually(async () => (await server.read(kvList, { prefix: '' }, DEFAULT)).value !== undefined);
    const session = { name: 's', node: 'n1', lockDelayNs: 0, behavior: '', ttl: '10s' };
    const checks = { nodeChecks: [], serviceChecks: [], checks: undefined };
    await eventually(() =>
      server.write(sessionCreate, { ...session, ...checks }, HERE).catch(() => undefined),
    );
    const withSession = await save(server);
    await restore(server, empty);
    expect((await server.read(sessionList, {}, DEFAULT)).value).toEqual([]);
    await restore(server, withSession);
    expect((await server.read(sessionList, {}, DEFAULT)).value).toHaveLength(1);
    expect(cluster.lines.filter((line) => line.includes('restored user snapshot'))).toHaveLength(2);
  });

  test('refuses what is damaged or not its own, and stays as it was', async () => {
    const { server } = await cluster.addServer('n1', { bootstrap: true });
    await put(server, 'a', '1');
    await fill(server, 4);
    const bytes = await save(server);
    await put(server, 'b', '2');
    const now = await keys(server);
    const flipped = Buffer.from(bytes);
    flipped.writeUInt8(flipped.readUInt8(bytes.length - 400_000) ^ 1, bytes.length - 400_000);
    for (const damaged of [Buffer.from('junk'), bytes.subarray(0, -20), flipped, gzipSync('no tar at all')])
      await expect(restore(server, damaged)).rejects.toThrow(/^failed to (?:decompress|read) snapshot/);
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 700_000);
      throw new Error('the client went away');
    }
    await expect(server.restoreSnapshot(ASKED, broken())).rejects.toThrow('the client went away');
    expect(await keys(server)).toEqual(now);
    await restore(server, bytes);
    expect(await keys(server)).toEqual(now.filter((key) => key !== 'b'));
  });

  test('takes one restore at a time', async () => {
    const { server } = await cluster.addServer('n1', { bootstrap: true });
    const bytes = await save(server);
    const { promise: isMet, resolve: finish } = Promise.withResolvers<void>();
    const slow = server.restoreSnapshot(
      ASKED,
      (async function* () {
        yield bytes.subarray(0, 15);
        await isMet;
        yield bytes.subarray(15);
      })(),
    );
    await eventually(async () =>
      restore(server, bytes).then(
        () => undefined,
        (error: Error) => error.message === 'another snapshot is being restored',
      ),
    );
    finish();
    await slow;
    await restore(server, bytes);
  });

  test('asks another datacenter only if there is one', async () => {
    const { server } = await cluster.addServer('n1', { bootstrap: true });
    const asked = { ...ASKED, datacenter: 'nope' };
    await expect(server.saveSnapshot(asked)).rejects.toThrow('No path to datacenter');
    await expect(server.restoreSnapshot(asked, cut(Buffer.from('x')))).rejects.toThrow(
      'No path to datacenter',
    );
  });
});

describe('three servers', () => {
  async function states(): Promise<Buffer[]> {
    const leader = await cluster.leader();
    const index = leader.server.raft.status().appliedIndex;
    await eventually(() => cluster.servers.every(({ server }) => server.raft.status().appliedIndex >= index));
    return Promise.all(
      cluster.servers.map(async ({ server }) =>
        Buffer.from(JSON.stringify((await server.read(kvList, { prefix: '' }, STALE)).value)),
      ),
    );
  }

  test('end with the same state, whoever was asked', async () => {
    await cluster.startThree();
    const leader = await cluster.leader();
    const follower = await cluster.follower();
    const { client, access } = clientAccess();
    await fill(leader.server, 8);
    const bytes = await save(access);
    expect(bytes.length).toBeGreaterThan(2_000_000);
    for (const [i, target] of [access, follower.server, leader.server].entries()) {
      await put(client, `extra/${i}`, 'x');
      expect((await keys(client)).length).toBe(9);
      await restore(target, bytes);
      const [first, ...others] = await states();
      expect(others.every((other) => first?.equals(other))).toBe(true);
      expect((await keys(client)).length).toBe(8);
    }
    const stale = await follower.server.saveSnapshot({ ...ASKED, isStale: true });
    expect(stale.meta.knownLeader).toBe(true);
    expect((await bytesOf(stale)).length).toBeGreaterThan(2_000_000);
  });

  test('tell a client of a damaged archive without waiting for the rest of it', async () => {
    await cluster.startThree();
    const { client, access } = clientAccess();
    await put(client, 'a', '1');
    let sent = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        sent++;
        yield Buffer.alloc(100_000, 'junk');
      }
    }
    await expect(access.restoreSnapshot(ASKED, endless())).rejects.toMatchObject({
      status: 500,
      message: 'failed to decompress snapshot: gzip: invalid header',
    });
    expect(sent).toBeLessThan(1000);
    expect(await keys(client)).toEqual(['a']);
  });

  test('a leader that dies in the middle leaves the old state, and its successor drops the pieces', async () => {
    await cluster.startThree();
    const { client, access } = clientAccess();
    await fill(client, 6);
    const bytes = await save(access);
    await put(client, 'mine', '1');
    let victim: TestServer | undefined;
    async function* interrupted(): AsyncGenerator<Uint8Array> {
      yield* cut(bytes.subarray(0, 1_500_000));
      victim = await cluster.leader();
      await cluster.kill(victim);
      yield* cut(bytes.subarray(1_500_000));
    }
    await expect(access.restoreSnapshot(ASKED, interrupted())).rejects.toMatchObject({ status: 500 });
    expect(victim).toBeDefined();
    const successor = await eventually(() => cluster.servers.find(({ server }) => server.isLeader()));
    await eventually(async () => (await keys(client).catch((): string[] => [])).includes('mine'));
    // Pieces that were still pending would be part of what is saved.
    await eventually(async () => (await save(successor.server)).length < bytes.length + 100_000);
    await restore(successor.server, bytes);
    expect((await keys(client)).includes('mine')).toBe(false);
    expect(await states()).toHaveLength(2);
  });

  test('a server that joins later gets the restored state', async () => {
    await cluster.startThree();
    const { client, access } = clientAccess();
    await put(client, 'a', '1');
    const bytes = await save(access);
    await put(client, 'b', '2');
    await restore(access, bytes);
    await put(client, 'c', '3');
    const late = await cluster.addServer(`n-${randomUuid(realEnv.random).slice(0, 4)}`);
    await eventually(async () => (await keys(late.server, STALE).catch((): string[] => [])).includes('c'));
    expect(await keys(late.server, STALE)).toEqual(['a', 'c']);
  });
});
