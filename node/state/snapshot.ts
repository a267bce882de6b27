/** The state as a stream of bytes and back: frames of a length and a msgpack value, secondary indexes left out. */

import { Packr } from 'msgpackr';
import type { AutopilotConfig } from '../../shared/types/autopilot.ts';
import type { ConfigEntry } from '../../shared/types/config-entry.ts';
import type { PreparedQuery } from '../../shared/types/prepared-query.ts';
import type { HealthCheck, Node, Service, Uint64 } from '../../shared/types/v1.ts';
import { byteText, nameKey } from './byte-text.ts';
import { restoredCheck, restoredNode, restoredService } from './catalog-records.ts';
import { storeNode } from './catalog-writes.ts';
import { indexCheck } from './checks.ts';
import { storeConfigEntry } from './config-entries.ts';
import { type FloatingRecord, indexFloating } from './floating-records.ts';
import { FrameReader, writeFrames } from './frames.ts';
import { countTags, replaceInstance } from './instances.ts';
import { ownData } from './interning.ts';
import { storeKey } from './kv.ts';
import { decodeKvRow, encodeKvRow } from './kv-rows.ts';
import { packBytes, unpackBytes } from './packed-bytes.ts';
import { recordOf, storeQuery } from './prepared-queries.ts';
import type { CoordinateRecord, KvRecord, RestorePiece, SessionRecord } from './records.ts';
import { storeSession } from './sessions.ts';
import { Tables } from './tables.ts';
import type { RememberedWrite, WriteSession } from './write-sessions.ts';

const FORMAT = 'proconsul-state';

/** Raised when a reader of the version before would misunderstand what is written now. */
const VERSION = 1;

/** Whole numbers come back as numbers while they are safe integers, as bigint above. The typings lack this value. */
const AUTO_INT64: object = { int64AsType: 'auto' };

const packr = new Packr({ useRecords: false, ...AUTO_INT64 });

type GeneralKvRow = readonly [
  key: string,
  value: Uint8Array,
  flags: Uint64,
  lockIndex: number,
  session: string,
  createIndex: number,
  modifyIndex: number,
];

/** How one table is written, row by row in key order, and how a row comes back. Rows must not depend on later tables. */
interface Section {
  readonly name: string;
  /** Takes the view at once; the rows are made while they are read. */
  rows(tables: Tables): Generator<unknown>;
  /** The bytes of a row, which the next call may overwrite; without it the general encoder makes them. */
  encode?(row: never): Uint8Array;
  load(tables: Tables, row: never): void;
  /** Loads the row that stands there unless it needs the general decoder. @returns whether it did */
  loadBytes?(tables: Tables, bytes: Buffer, start: number, end: number): boolean;
}

const SECTIONS: readonly Section[] = [
  {
    name: 'indexes',
    rows: (tables) => entriesOf(tables.indexes.snapshot()),
    load: (tables, [name, index]: readonly [string, number]) =>
      void tables.indexes.set(byteCopy(name), index),
  },
  {
    name: 'nodes',
    rows: (tables) => valuesOf(tables.nodes.snapshot(), ({ node }) => node),
    load: (tables, row: Node) => {
      const node = restoredNode(row);
      storeNode(tables, { key: nameKey(node.Node), node, checks: [] });
    },
  },
  {
    name: 'services',
    rows: (tables) => valuesOf(tables.instances.snapshot(), ({ nodeKey, service }) => [nodeKey, service]),
    load: (tables, [nodeKey, row]: readonly [string, Service]) => {
      const service = restoredService(row);
      replaceInstance(tables, { nodeKey: sharedNodeKey(tables, nodeKey), service, checks: [] });
      countTags(tables, service, 1);
    },
  },
  {
    name: 'checks',
    rows: (tables) => valuesOf(tables.checks.snapshot(), (check) => check),
    load: (tables, row: HealthCheck) => {
      const check = restoredCheck(row);
      indexCheck(tables, nameKey(check.Node), check);
    },
  },
  {
    name: 'floating',
    rows: (tables) => valuesOf(tables.floating.snapshot(), (record) => record),
    load: (tables, row: FloatingRecord) => indexFloating(tables, ownData(row)),
  },
  {
    name: 'sessions',
    rows: (tables) => valuesOf(tables.sessions.snapshot(), (session) => session),
    load: (tables, row: SessionRecord) => storeSession(tables, ownData(row)),
  },
  {
    name: 'prepared-queries',
    rows: (tables) => valuesOf(tables.preparedQueries.snapshot(), ({ query }) => query),
    load: (tables, row: PreparedQuery) => storeQuery(tables, recordOf(row)),
  },
  {
    name: 'config-entries',
    rows: (tables) => valuesOf(tables.configEntries.snapshot(), (entry) => entry),
    load: (tables, row: ConfigEntry) => storeConfigEntry(tables, ownData(row)),
  },
  {
    name: 'kv',
    rows: (tables) => entriesOf(tables.kv.snapshot()),
    encode: ([key, record]: readonly [string, KvRecord]) =>
      encodeKvRow(key, record) ?? packr.pack(generalKvRow(record)),
    load: (tables, [text, value, flags, lockIndex, session, createIndex, modifyIndex]: GeneralKvRow) => {
      const key = byteText(text);
      storeKey(tables, key, {
        key: key === text ? key : ownData(text),
        value: packBytes(value),
        flags,
        lockIndex,
        session: session === '' ? '' : (tables.sessions.get(session)?.ID ?? ownData(session)),
        createIndex,
        modifyIndex,
      });
    },
    loadBytes: (tables, bytes, start, end) => {
      const row = decodeKvRow(bytes, start, end);
      if (row === undefined) return false;
      storeKey(tables, row.key, row.record);
      return true;
    },
  },
  {
    name: 'tombstones',
    rows: (tables) => entriesOf(tables.tombstones.snapshot()),
    load: (tables, [key, index]: readonly [string, number]) =>
      void tables.tombstones.set(byteCopy(key), index),
  },
  {
    name: 'lock-delays',
    rows: (tables) => entriesOf(tables.lockDelays.snapshot()),
    load: (tables, [key, delay]: readonly [string, { untilMs: number }]) =>
      void tables.lockDelays.set(byteCopy(key), { untilMs: delay.untilMs }),
  },
  {
    name: 'coordinates',
    rows: (tables) => valuesOf(tables.coordinates.snapshot(), (record) => record),
    load: (tables, row: CoordinateRecord) => void tables.coordinates.set(nameKey(row.Node), ownData(row)),
  },
  {
    name: 'autopilot',
    rows: (tables) => entriesOf(tables.autopilot.snapshot()),
    load: (tables, [key, config]: readonly [string, AutopilotConfig]) =>
      void tables.autopilot.set(byteCopy(key), ownData(config)),
  },
  {
    name: 'write-sessions',
    rows: (tables) => valuesOf(tables.writeSessions.snapshot(), (session) => session),
    load: (tables, row: WriteSession) => void tables.writeSessions.set(byteCopy(row.id), ownData(row)),
  },
  {
    name: 'remembered-writes',
    rows: (tables) => entriesOf(tables.rememberedWrites.snapshot()),
    load: (tables, [key, write]: readonly [string, RememberedWrite]) => {
      const { bytes, result } = write;
      const kept = result instanceof Uint8Array ? Uint8Array.from(result) : result;
      tables.rememberedWrites.set(byteCopy(key), { result: kept, bytes });
    },
  },
  {
    name: 'restore-pieces',
    rows: (tables) => entriesOf(tables.restorePieces.snapshot()),
    load: (tables, [key, piece]: readonly [string, RestorePiece]) =>
      void tables.restorePieces.set(byteCopy(key), { id: piece.id, bytes: Uint8Array.from(piece.bytes) }),
  },
];

/** Takes a view of the tables now, in constant time, and writes it out as it is read. */
export function snapshotChunks(tables: Tables): {
  chunks(): AsyncIterable<Uint8Array>;
  release(): void;
} {
  let sections = SECTIONS.map((section) => ({ section, rows: section.rows(tables) }));
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield* writeFrames(frames(sections));
  }
  return {
    chunks,
    release: () => {
      sections = [];
    },
  };
}

/**
 * @throws Error that says what is wrong when the stream is cut, damaged or of a newer version
 */
export async function readSnapshot(chunks: AsyncIterable<Uint8Array>): Promise<Tables> {
  const reader = new SnapshotReader();
  for await (const chunk of chunks) reader.push(chunk);
  return reader.finish();
}

/**
 * Decodes a whole snapshot and keeps nothing of it.
 *
 * @returns rows by table, empty tables left out
 * @throws Error that says what is wrong when the stream is cut, damaged or of a newer version
 */
export async function countRows(chunks: AsyncIterable<Uint8Array>): Promise<ReadonlyMap<string, number>> {
  const rows = new Map<string, number>();
  const reader = new SnapshotReader((_, name) => {
    checkedSection(name);
    const load = (row: unknown) => {
      checkRow(name, row);
      rows.set(name, (rows.get(name) ?? 0) + 1);
    };
    return { load };
  });
  for await (const chunk of chunks) reader.push(chunk);
  reader.finish();
  return rows;
}

/** Builds the tables of a snapshot while its chunks come. After an exception it must not be used any more. */
export class SnapshotReader {
  readonly #frames = new FrameReader();
  readonly #tables = new Tables();
  readonly #loaderOf: typeof loaderOf;
  #expects: 'header' | 'table' | 'row' | 'nothing' = 'header';
  #loader: RowLoader = { load: () => undefined };

  /** @param rowsOf what becomes of a table's rows, if not rows of the tables */
  constructor(rowsOf: typeof loaderOf = loaderOf) {
    this.#loaderOf = rowsOf;
  }

  /** @throws Error that says what is wrong with the chunk */
  push(chunk: Uint8Array): void {
    this.#frames.take(chunk, (bytes, start, end) => {
      const isLoaded = this.#expects === 'row' && this.#loader.loadBytes?.(bytes, start, end) === true;
      if (!isLoaded) this.#take(packr.unpack(bytes.subarray(start, end)));
    });
  }

  /** @throws Error when the stream is cut */
  finish(): Tables {
    this.#frames.end();
    if (this.#expects !== 'nothing') throw new Error('state snapshot: ends before its end');
    return this.#tables;
  }

  #take(row: unknown): void {
    if (this.#expects === 'nothing') throw new Error('state snapshot: bytes after its end');
    if (this.#expects === 'header') {
      checkHeader(row);
      this.#expects = 'table';
    } else if (row === null) this.#expects = 'nothing';
    else if (typeof row === 'string') {
      this.#loader = this.#loaderOf(this.#tables, row);
      this.#expects = 'row';
    } else if (this.#expects === 'table') throw new Error('state snapshot: a row before its table');
    else this.#loader.load(row);
  }
}

/** The header, then per table its name and rows, then null. */
function* frames(sections: readonly { section: Section; rows: Generator<unknown> }[]): Generator<Uint8Array> {
  yield packr.pack({ format: FORMAT, version: VERSION });
  for (const { section, rows } of sections) {
    yield packr.pack(section.name);
    // A section's own rows are what it encodes.
    const encode = section.encode ?? ((row: unknown) => packr.pack(row));
    for (const row of rows) yield encode(row as never);
  }
  yield packr.pack(null);
}

function checkHeader(row: unknown): void {
  if (typeof row !== 'object' || row === null || !('format' in row) || row.format !== FORMAT) {
    throw new Error('state snapshot: not one of this program');
  }
  if (!('version' in row) || row.version !== VERSION) {
    const version = 'version' in row ? String(row.version) : 'none';
    throw new Error(`state snapshot: has version ${version}, this server knows ${VERSION}`);
  }
}

/** What becomes of a table's rows. */
interface RowLoader {
  load(row: unknown): void;
  /** @returns false when `load` must have it, decoded */
  loadBytes?(bytes: Buffer, start: number, end: number): boolean;
}

function loaderOf(tables: Tables, name: string): RowLoader {
  const section = checkedSection(name);
  return {
    load: (row) => {
      checkRow(name, row);
      section.load(tables, row as never);
    },
    loadBytes: (bytes, start, end) => section.loadBytes?.(tables, bytes, start, end) === true,
  };
}

function generalKvRow(record: KvRecord): GeneralKvRow {
  const { key, value, flags, lockIndex, session, createIndex, modifyIndex } = record;
  return [key, unpackBytes(value), flags, lockIndex, session, createIndex, modifyIndex];
}

function checkedSection(name: string): Section {
  const section = SECTIONS.find((known) => known.name === name);
  if (section === undefined) {
    throw new Error(
      `state snapshot: has a table "${name}" that this server doesn't know: it needs a newer release`,
    );
  }
  return section;
}

function checkRow(name: string, row: unknown): void {
  if (typeof row !== 'object' || row === null) throw new Error(`state snapshot: bad row in "${name}"`);
}

function* valuesOf<V>(
  map: { entries(): Generator<readonly [string, V]> },
  rowOf: (value: V) => unknown,
): Generator<unknown> {
  for (const [, value] of map.entries()) yield rowOf(value);
}

function entriesOf<V>(map: { entries(): Generator<readonly [string, V]> }): Generator<unknown> {
  return map.entries();
}

/** One string for all records of a node. */
function sharedNodeKey(tables: Tables, nodeKey: string): string {
  const node = tables.nodes.get(nodeKey);
  if (node === undefined) throw new Error('state snapshot: a service without its node');
  return node.key;
}

/** Keys in the tables are byte text already; this is a copy in memory of its own. */
function byteCopy(key: string): string {
  return Buffer.from(key, 'latin1').toString('latin1');
}
