/** Checks what every agent keeps: its node ID, gossip snapshots and keys, and what was registered with it. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readKeyringFile } from '../../gossip/keyring-file.ts';
import { isSnapshotLine } from '../../gossip/serf/snapshot-lines.ts';
import type { Defect, FileReport } from '../../raft/inspect-report.ts';
import { decodeCheck, decodeService, decodeTtlState } from '../local/persisted-form.ts';
import { isNodeId } from '../node-id.ts';
import type { DirectoryEntry } from './list-files.ts';

/** A service or check is a few hundred bytes; nothing of this kind comes near. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;
const KEY_BYTES = [16, 24, 32];

interface Kind {
  readonly kind: string;
  readonly matches: RegExp;
  /** @returns what it holds @throws Error that says what is wrong */
  readonly look: (path: string) => Promise<string>;
  /** What becomes of it, when a defect of it is nothing to worry about. */
  readonly repair?: string;
}

const KINDS: readonly Kind[] = [
  { kind: 'node id', matches: /^node-id$/, look: async (path) => lookAtNodeId(await text(path)) },
  {
    kind: 'gossip snapshot',
    matches: /^serf\/(?:local|remote)\.snapshot$/,
    look: async (path) => lookAtGossipSnapshot(await text(path)),
    repair: 'lines that cannot be read are skipped at the next start',
  },
  { kind: 'gossip keys', matches: /^serf\/(?:local|remote)\.keyring$/, look: lookAtKeyring },
  {
    kind: 'service',
    matches: /^services\/[0-9a-f]{32}$/,
    look: async (path) => `service ${decodeService(await text(path)).service.ID}`,
  },
  {
    kind: 'check',
    matches: /^checks\/[0-9a-f]{32}$/,
    look: async (path) => `check ${decodeCheck(await text(path)).check.CheckID}`,
  },
  {
    kind: 'check state',
    matches: /^checks\/state\/[0-9a-f]{32}$/,
    look: async (path) => `check ${decodeTtlState(await text(path)).checkId}`,
    repair: 'the next heartbeat of the check writes it anew',
  },
  {
    kind: 'half-written file',
    matches:
      /^(?:(?:services|checks|checks\/state)\/.*\.tmp|serf\/.*\.(?:compact|new)|raft\/peers\.json\.tmp)$/,
    look: async () => {
      throw new Error('a crash cut its writing short; the file beside it is the valid one');
    },
    repair: 'it is removed or ignored at the next start',
  },
];

/** One report per file of a kind that is known here, the rest is left to others. */
export async function checkAgentFiles(
  dataDir: string,
  present: readonly DirectoryEntry[],
  onBytes: (bytes: number) => void,
): Promise<readonly FileReport[]> {
  const reports: FileReport[] = [];
  for (const entry of present) {
    const kind = KINDS.find(({ matches }) => matches.test(entry.path));
    if (kind === undefined) continue;
    reports.push(await checkFile(dataDir, entry, kind));
    onBytes(entry.bytes);
  }
  return reports;
}

async function checkFile(dataDir: string, { path, bytes }: DirectoryEntry, kind: Kind): Promise<FileReport> {
  const report = { path, kind: kind.kind, bytes };
  try {
    if (bytes > MAX_FILE_BYTES) throw new Error(`is larger than ${MAX_FILE_BYTES} bytes`);
    return { ...report, detail: await kind.look(join(dataDir, path)), defects: [] };
  } catch (error) {
    return { ...report, detail: '', defects: [defectOf(error, kind.repair)] };
  }
}

function defectOf(error: unknown, repair: string | undefined): Defect {
  const what = error instanceof Error ? error.message : String(error);
  const offset = error instanceof LineError ? error.offset : undefined;
  if (repair === undefined) return { severity: 'damaged', offset, what };
  return { severity: 'repairable', offset, what: `${what}; ${repair}` };
}

class LineError extends Error {
  readonly offset: number;

  constructor(offset: number, what: string) {
    super(what);
    this.offset = offset;
  }
}

function text(path: string): Promise<string> {
  return readFile(path, 'utf8');
}

function lookAtNodeId(content: string): string {
  if (!isNodeId(content)) throw new Error('does not hold a node ID');
  return content.trim().toLowerCase();
}

function lookAtGossipSnapshot(content: string): string {
  let offset = 0;
  let lines = 0;
  for (const line of content.split('\n')) {
    if (line !== '' && !isSnapshotLine(line))
      throw new LineError(offset, `line ${lines + 1} is none of ours`);
    if (line !== '') lines++;
    offset += Buffer.byteLength(line) + 1;
  }
  return `${lines} lines`;
}

async function lookAtKeyring(path: string): Promise<string> {
  const keys = await readKeyringFile(path);
  if (keys === undefined || keys.length === 0) throw new Error('holds no key');
  const wrong = keys.findIndex((key) => !KEY_BYTES.includes(key.length));
  if (wrong >= 0) throw new Error(`key ${wrong + 1} has ${keys[wrong]?.length} bytes, not 16, 24 or 32`);
  return `${keys.length} keys`;
}
