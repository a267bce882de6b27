/** Log lines on the console: four blanks before each, held back until the banner is out. */

import type { Writable } from 'node:stream';
import {
  formatLogJson,
  formatLogLine,
  isAtLeast,
  type LogLevel,
  type LogRecord,
  type LogSink,
} from '../../../shared/log.ts';

/** Records held while the banner is pending; older ones are dropped. */
const MAX_HELD = 2048;

export interface ConsoleSink extends LogSink {
  /** Prints what was held and from now on each record at once. */
  open(): void;
  /** Takes effect for the next record. */
  setLevel(level: LogLevel): void;
}

/** @param offsetMinutes local time's offset, east of Greenwich positive */
export function createConsoleSink(
  out: Writable,
  options: { readonly level: LogLevel; readonly json: boolean; readonly offsetMinutes: number },
): ConsoleSink {
  let level = options.level;
  let held: LogRecord[] | undefined = [];
  const print = (record: LogRecord) => {
    const line = options.json ? formatLogJson(record) : formatLogLine(record, options.offsetMinutes);
    out.write(`    ${line}\n`);
  };
  return {
    wants: (wanted) => isAtLeast(wanted, level),
    write(record) {
      if (held === undefined) print(record);
      else if (held.length < MAX_HELD) held.push(record);
    },
    open() {
      const waiting = held ?? [];
      held = undefined;
      for (const record of waiting) print(record);
    },
    setLevel(next) {
      level = next;
    },
  };
}
