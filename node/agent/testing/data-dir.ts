/** Data directories for tests, as a server leaves them behind: log, snapshot, identity, gossip files, a service and a check. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodePeers } from '../../raft/core/configuration.ts';
import { asIndex, asNodeId, asTerm, type LogEntry } from '../../raft/core/entry.ts';
import { createSnapshotStore } from '../../raft/snapshots/snapshot-store.ts';
import type { RaftPeer } from '../../raft/types.ts';
import { createNodeDisk } from '../../raft/wal/node-disk.ts';
import { Wal } from '../../raft/wal/wal.ts';
import { encodeCommand } from '../../server/commands.ts';
import { createStateMachine } from '../../server/fsm.ts';
import { createStore } from '../../state/store.ts';

export const SERVER_IDS = [
  'adf4238a-882b-9ddc-4a9d-5b6758e4159e',
  '8b6dda82-3103-11e7-93ae-92361f002671',
  '97e17742-3103-11e7-93ae-92361f002671',
] as const;

/** Three servers at 10.0.0.1:8300 and so on; the data directory is the first one's. */
export const SERVERS: readonly RaftPeer[] = SERVER_IDS.map((id, i) => ({
  id: asNodeId(id),
  address: `10.0.0.${i + 1}:8300`,
  isVoter: true,
}));

/**
 * Entry 1 is the configuration, 2 to 12 are commands; committed up to 11; a snapshot at 5; one segment each for a few
 * entries.
 */
export async function writeServerData(dataDir: string): Promise<void> {
  mkdirSync(dataDir, { recursive: true });
  writeFileSync(join(dataDir, 'node-id'), SERVER_IDS[0]);
  await writeRaft(join(dataDir, 'raft'));
  writeAgentFiles(dataDir);
}

async function writeRaft(directory: string): Promise<void> {
  const disk = createNodeDisk();
  const wal = new Wal({ disk, directory, segmentBytes: 600 });
  await wal.load();
  const store = createStore();
  const machine = createStateMachine(store);
  const configuration: LogEntry = {
    index: asIndex(1),
    term: asTerm(1),
    kind: 'configuration',
    data: encodePeers(SERVERS),
  };
  const vote = { kind: 'hard-state', hardState: { term: asTerm(1), vote: SERVERS[0]?.id } } as const;
  await wal.append([vote, { kind: 'entries', entries: [configuration] }]);
  for (let index = 2; index <= 12; index++) {
    const data = encodeCommand(setKey(`key/${index}`, `value ${index}`));
    const entry: LogEntry = { index: asIndex(index), term: asTerm(1), kind: 'command', data };
    await wal.append([
      { kind: 'commit', index: asIndex(index - 1) },
      { kind: 'entries', entries: [entry] },
    ]);
    machine.apply(data, entry.index, entry.term);
    if (index === 5) await writeSnapshot(directory, machine.snapshot());
  }
  await wal.close();
}

async function writeSnapshot(
  directory: string,
  view: { chunks(): AsyncIterable<Uint8Array>; release(): void },
): Promise<void> {
  const snapshots = createSnapshotStore({
    disk: createNodeDisk(),
    directory: `${directory}/snapshots`,
    nowMs: () => 1000,
  });
  const meta = { index: asIndex(5), term: asTerm(1), peers: SERVERS, configurationIndex: asIndex(1) };
  const sink = await snapshots.create(meta);
  for await (const chunk of view.chunks()) await sink.write(chunk);
  await sink.finish();
  view.release();
}

function setKey(key: string, value: string) {
  return {
    type: 'kv',
    verb: 'set',
    key,
    value: Buffer.from(value),
    flags: 0,
  };
}

function writeAgentFiles(dataDir: string): void {
  for (const folder of ['serf', 'services', 'checks', 'checks/state']) mkdirSync(join(dataDir, folder));
  const file = 'c3a8c8cf1dc0f9a4d3b0b8b7a9b9a0aa';
  const write = (path: string, content: string) => writeFileSync(join(dataDir, path), content);
  write('serf/local.snapshot', 'alive: s1 10.0.0.1:8301\nclock: 4\nevent-clock: 2\nquery-clock: 1\n');
  write('serf/local.keyring', JSON.stringify([Buffer.alloc(16, 7).toString('base64')]));
  write(`services/${file}`, JSON.stringify({ Service: { ID: 'web', Service: 'web' } }));
  write(`checks/${file}`, JSON.stringify({ Check: { CheckID: 'alive', Name: 'alive' } }));
  write(
    `checks/state/${file}`,
    JSON.stringify({ CheckID: 'alive', Status: 'passing', Output: '', Expires: 9 }),
  );
}
