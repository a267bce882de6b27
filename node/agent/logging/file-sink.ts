/** The `log_file`: named after its creation time, rotated by age and size, old ones pruned. */

import { closeSync, openSync, readdirSync, unlinkSync, writeSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import type { Clock } from '../../../shared/env.ts';
import { formatLogJson, formatLogLine, isAtLeast, type LogLevel, type LogSink } from '../../../shared/log.ts';

export interface FileSinkOptions {
  /** A path; one that ends in `/` means `consul.log` in that directory. */
  readonly path: string;
  readonly level: LogLevel;
  readonly json: boolean;
  readonly offsetMinutes: number;
  readonly rotateDurationMs: number;
  /** 0 means no limit. */
  readonly rotateBytes: number;
  /** 0 keeps all, N the newest N old ones, −1 none. */
  readonly rotateMaxFiles: number;
}

export interface FileSink extends LogSink {
  setLevel(level: LogLevel): void;
  close(): void;
}

/** @throws Error `Failed to setup logging: open PATH: no such file or directory` */
export function createFileSink(options: FileSinkOptions, clock: Clock): FileSink {
  const { directory, stem, extension } = splitPath(options.path);
  let { level } = options;
  let file = openNew();

  function openNew() {
    const createdMs = clock.nowMs();
    const path = join(directory, `${stem}-${createdMs}${subMillisecond(clock)}${extension}`);
    try {
      return { fd: openSync(path, 'a', 0o640), path, createdMs, bytes: 0 };
    } catch (error) {
      const reason =
        error instanceof Error && 'code' in error && error.code === 'ENOENT'
          ? 'no such file or directory'
          : String(error);
      throw new Error(`Failed to setup logging: open ${path}: ${reason}`, { cause: error });
    }
  }

  function rotateIfDue(): void {
    const isOld = clock.nowMs() - file.createdMs >= options.rotateDurationMs;
    const isLarge = options.rotateBytes > 0 && file.bytes >= options.rotateBytes;
    if (!isOld && !isLarge) return;
    closeSync(file.fd);
    file = openNew();
    prune();
  }

  function prune(): void {
    if (options.rotateMaxFiles === 0) return;
    const keep = Math.max(0, options.rotateMaxFiles);
    const old = readdirSync(directory)
      .filter(
        (name) => name.startsWith(`${stem}-`) && name.endsWith(extension) && name !== basename(file.path),
      )
      .sort();
    for (const name of old.slice(0, Math.max(0, old.length - keep))) unlinkSync(join(directory, name));
  }

  return {
    wants: (wanted) => isAtLeast(wanted, level),
    write(record) {
      rotateIfDue();
      const line = options.json ? formatLogJson(record) : formatLogLine(record, options.offsetMinutes);
      file.bytes += writeSync(file.fd, `${line}\n`);
    },
    setLevel(next) {
      level = next;
    },
    close: () => closeSync(file.fd),
  };
}

function splitPath(path: string): { directory: string; stem: string; extension: string } {
  if (path.endsWith('/')) return { directory: path, stem: 'consul', extension: '.log' };
  const extension = extname(path) || '.log';
  return { directory: dirname(path), stem: basename(path, extname(path)), extension };
}

/** Six digits that make milliseconds the nanoseconds of Consul's file names. */
function subMillisecond(clock: Clock): string {
  return String(Math.floor((clock.monotonicMs() % 1) * 1e6)).padStart(6, '0');
}
