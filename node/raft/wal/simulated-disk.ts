/** A disk for tests: what is not synced may be lost or torn by a crash; it can be slow, fail and fill up. */

import type { Clock, Random } from '../../../shared/env.ts';
import { randomInt } from '../../../shared/env.ts';
import type { AppendFile, Disk } from './disk.ts';

interface SimulatedFile {
  /** What every reader sees. */
  current: Uint8Array;
  /** What survives a crash for certain. */
  durable: Uint8Array;
}

type DirectoryChange = (names: Map<string, SimulatedFile>) => void;

export interface SimulatedDiskOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Each call takes a random time up to this; 0 does not wait at all. */
  readonly maxDelayMs?: number;
}

const SECTOR_BYTES = 512;

/**
 * The platter, which outlives its users. `connect` gives a server's view of it; `crash` ends all views: their
 * calls never return, and what had not been synced is kept, lost or torn at random.
 *
 * Invariant: `#durableNames` after all of `#changes` is `#names`.
 */
export class SimulatedDisk {
  readonly #options: SimulatedDiskOptions;
  #names = new Map<string, SimulatedFile>();
  #durableNames = new Map<string, SimulatedFile>();
  #changes: DirectoryChange[] = [];
  #epoch = 0;
  /** How many syncs succeed before one fails; undefined: all do. */
  #syncsUntilFailure: number | undefined;
  #limitBytes: number | undefined;
  #isStuck = false;
  readonly #stuck: (() => void)[] = [];

  constructor(options: SimulatedDiskOptions) {
    this.#options = options;
  }

  /** The sync after the next `count` fails; a crash ends the fault. */
  failSyncAfter(count: number): void {
    this.#syncsUntilFailure = count;
  }

  /** Leaves room for so many more bytes; a crash ends the fault. */
  fillUpAfter(bytes: number): void {
    this.#limitBytes = this.#used() + bytes;
  }

  /** There is room again. */
  freeSpace(): void {
    this.#limitBytes = undefined;
  }

  /** Syncs do not return, until `unstick` or a crash. */
  stick(): void {
    this.#isStuck = true;
  }

  unstick(): void {
    this.#isStuck = false;
    for (const resume of this.#stuck.splice(0)) resume();
  }

  /** Contents as readers see them, for assertions and for damaging them. */
  contents(path: string): Uint8Array | undefined {
    return this.#names.get(path)?.current;
  }

  paths(): readonly string[] {
    return [...this.#names.keys()].sort();
  }

  /** Puts bytes there as if they had always been. */
  plant(path: string, bytes: Uint8Array): void {
    const file = { current: bytes, durable: bytes };
    this.#names.set(path, file);
    this.#durableNames.set(path, file);
  }

  crash(): void {
    const { random } = this.#options;
    this.#epoch++;
    this.#syncsUntilFailure = undefined;
    this.#limitBytes = undefined;
    this.#isStuck = false;
    this.#stuck.length = 0;
    // Directories are journaled: what survives of their changes is a prefix.
    const kept = randomInt(random, this.#changes.length + 1);
    for (const change of this.#changes.slice(0, kept)) change(this.#durableNames);
    this.#changes = [];
    this.#names = new Map(this.#durableNames);
    for (const file of new Set(this.#names.values())) {
      file.current = afterCrash(file, random);
      file.durable = file.current;
    }
  }

  connect(): Disk {
    const epoch = this.#epoch;
    const call = <T>(action: () => T | Promise<T>): Promise<T> => this.#call(epoch, action);
    return {
      list: (directory) => call(() => this.#list(directory)),
      makeDirectory: () => call(() => {}),
      read: (path) => call(() => this.#names.get(path)?.current.slice()),
      readAt: (path, offset, length) =>
        call(() => this.#existing(path).current.slice(offset, offset + length)),
      create: (path) => call(() => this.#create(path, epoch)),
      open: (path) => call(() => this.#appendFile(path, this.#existing(path), epoch)),
      truncate: (path, size) =>
        call(() => {
          const file = this.#existing(path);
          file.current = file.current.slice(0, size);
          file.durable = file.current;
        }),
      rename: (from, to) => call(() => this.#change((names) => renameIn(names, from, to))),
      remove: (path) => call(() => this.#change((names) => removeIn(names, path))),
      syncDirectory: (directory) => call(() => this.#syncDirectory(directory)),
    };
  }

  #call<T>(epoch: number, action: () => T | Promise<T>): Promise<T> {
    const { clock, random, maxDelayMs = 0 } = this.#options;
    return new Promise((resolve, reject) => {
      const finish = () => {
        if (epoch !== this.#epoch) return;
        try {
          resolve(action());
        } catch (error) {
          reject(error);
        }
      };
      if (maxDelayMs === 0) finish();
      else clock.setTimer(random.next() * maxDelayMs, finish);
    });
  }

  #list(directory: string): readonly string[] {
    const names = new Set<string>();
    for (const path of this.#names.keys())
      if (path.startsWith(`${directory}/`)) names.add(path.slice(directory.length + 1).split('/')[0] ?? '');
    return [...names].sort();
  }

  #existing(path: string): SimulatedFile {
    const file = this.#names.get(path);
    if (file === undefined) throw new Error(`ENOENT: no such file or directory, open '${path}'`);
    return file;
  }

  #create(path: string, epoch: number): AppendFile {
    const file = { current: new Uint8Array(0), durable: new Uint8Array(0) };
    this.#change((names) => names.set(path, file));
    return this.#appendFile(path, file, epoch);
  }

  #appendFile(path: string, file: SimulatedFile, epoch: number): AppendFile {
    const append = (bytes: Uint8Array) => {
      // The bytes may reach the platter from now on, whether or not the call is seen to return.
      if (epoch === this.#epoch) {
        const room = (this.#limitBytes ?? Number.POSITIVE_INFINITY) - this.#used();
        // As on a real disk, what still fits is written before the call fails.
        file.current = joined(file.current, bytes.subarray(0, Math.max(0, Math.min(bytes.length, room))));
        if (bytes.length > room) return this.#call(epoch, () => Promise.reject(diskFull(path)));
      }
      return this.#call(epoch, () => {});
    };
    const sync = () => {
      const synced = file.current;
      return this.#call(epoch, () => {
        this.#countSync(path);
        const reachPlatter = () => {
          if (synced.length > file.durable.length) file.durable = synced;
        };
        if (!this.#isStuck) return reachPlatter();
        return new Promise<void>((resolve) => this.#stuck.push(resolve)).then(reachPlatter);
      });
    };
    return {
      append,
      sync,
      appendDurably: async (bytes) => {
        await append(bytes);
        await sync();
      },
      close: () => this.#call(epoch, () => {}),
    };
  }

  #countSync(path: string): void {
    if (this.#syncsUntilFailure === undefined) return;
    if (this.#syncsUntilFailure === 0) throw new Error(`EIO: i/o error, fdatasync '${path}'`);
    this.#syncsUntilFailure--;
  }

  #change(change: DirectoryChange): void {
    change(this.#names);
    this.#changes.push(change);
  }

  /** Journaled: making one directory durable makes all earlier changes durable. */
  #syncDirectory(_directory: string): void {
    for (const change of this.#changes) change(this.#durableNames);
    this.#changes = [];
  }

  #used(): number {
    let bytes = 0;
    for (const file of this.#names.values()) bytes += file.current.length;
    return bytes;
  }
}

function diskFull(path: string): Error {
  return Object.assign(new Error(`ENOSPC: no space left on device, write '${path}'`), { code: 'ENOSPC' });
}

/** What was synced, then a random part of what was appended since, with a sector of it perhaps never written. */
function afterCrash(file: SimulatedFile, random: Random): Uint8Array {
  const extra = file.current.length - file.durable.length;
  if (extra <= 0) return file.durable;
  const choice = random.next();
  const kept = choice < 0.3 ? 0 : choice < 0.5 ? extra : randomInt(random, extra + 1);
  const bytes = file.current.slice(0, file.durable.length + kept);
  if (kept > 0 && random.next() < 0.3) {
    const at = file.durable.length + randomInt(random, kept);
    const sector = Math.floor(at / SECTOR_BYTES) * SECTOR_BYTES;
    bytes.fill(0, Math.max(sector, file.durable.length), Math.min(bytes.length, sector + SECTOR_BYTES));
  }
  return bytes;
}

/** A copy of its own: a Buffer's `slice` would share memory. */
function joined(before: Uint8Array, bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(before.length + bytes.length);
  whole.set(before);
  whole.set(bytes, before.length);
  return whole;
}

function renameIn(names: Map<string, SimulatedFile>, from: string, to: string): void {
  for (const [path, file] of [...names]) {
    if (path !== from && !path.startsWith(`${from}/`)) continue;
    names.delete(path);
    names.set(to + path.slice(from.length), file);
  }
}

function removeIn(names: Map<string, SimulatedFile>, path: string): void {
  for (const known of [...names.keys()])
    if (known === path || known.startsWith(`${path}/`)) names.delete(known);
}
