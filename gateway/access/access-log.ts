/** One line for each request, as JSON or in the common log format. Tokens never appear in it. Pure but for the sink. */

import { maskedTarget } from './masked-target.ts';

export type AccessFormat = 'json' | 'common';

/** Takes whole lines, line ends included. */
export type LineSink = (line: string) => void;

export interface AccessRecord {
  /** Wall clock at arrival, milliseconds. */
  readonly timeMs: number;
  /** The client's, behind trusted proxies; '' when unknown. */
  readonly address: string;
  readonly method: string;
  readonly target: string;
  /** Such as `HTTP/1.1`. */
  readonly protocol: string;
  readonly status: number;
  /** Of the body; undefined when it was streamed. */
  readonly bytes: number | undefined;
  /** From arrival to the head of the answer, milliseconds. */
  readonly tookMs: number;
}

export type AccessLog = (record: AccessRecord) => void;

/** Longest target shown, characters. */
const MAX_TARGET = 2048;

export function createAccessLog(format: AccessFormat, sink: LineSink): AccessLog {
  const line = format === 'json' ? jsonLine : commonLine;
  return (record) => sink(line(record, shown(record.target)));
}

function jsonLine(record: AccessRecord, target: string): string {
  const { timeMs, address, method, protocol, status, bytes, tookMs } = record;
  const time = new Date(timeMs).toISOString();
  const ms = Math.round(tookMs * 1000) / 1000;
  return `${JSON.stringify({ time, address, method, target, protocol, status, bytes, ms })}\n`;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `host ident user [time] "request" status bytes`, as the first web server wrote it; time in UTC. */
function commonLine(record: AccessRecord, target: string): string {
  const { address, method, protocol, status, bytes, timeMs } = record;
  const iso = new Date(timeMs).toISOString();
  const month = MONTHS[Number(iso.slice(5, 7)) - 1];
  const time = `${iso.slice(8, 10)}/${month}/${iso.slice(0, 4)}:${iso.slice(11, 19)} +0000`;
  const request = escaped(`${method} ${target} ${protocol}`);
  return `${address || '-'} - - [${time}] "${request}" ${status} ${bytes ?? '-'}\n`;
}

function shown(target: string): string {
  const masked = maskedTarget(target);
  return masked.length > MAX_TARGET ? `${masked.slice(0, MAX_TARGET)}…` : masked;
}

/** Nothing that a client sends can end a line or a quoted field. */
function escaped(text: string): string {
  return text.replace(/["\\\p{Cc}\p{Zl}\p{Zp}]/gu, (char) =>
    char === '"' || char === '\\' ? `\\${char}` : `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
