/** Log lines in Consul's form (reference: banner and log). Formatting and levels only; sinks belong to the programs. */

export const LOG_LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Values are printed with `String`; text with blanks, quotes or `=` is quoted. Order is kept. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface LogRecord {
  readonly timeMs: number;
  readonly level: LogLevel;
  /** Dotted logger name, such as `agent.server.raft`. */
  readonly name: string;
  readonly message: string;
  readonly fields: LogFields;
}

export interface Logger {
  trace(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** False when a record of that level would reach no sink; lets callers skip building fields. */
  isEnabled(level: LogLevel): boolean;
  /** A logger one step below: `named('raft')` of `agent.server` is `agent.server.raft`. */
  named(part: string): Logger;
}

export interface LogSink {
  /** Whether the sink wants records of this level now. */
  wants(level: LogLevel): boolean;
  write(record: LogRecord): void;
}

/** `level` is at or above `threshold`. */
export function isAtLeast(level: LogLevel, threshold: LogLevel): boolean {
  return LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(threshold);
}

/** Level named by a flag or key, any case, `err` included; undefined when unknown. */
export function parseLogLevel(text: string): LogLevel | undefined {
  const upper = text.toUpperCase();
  if (upper === 'ERR') return 'ERROR';
  return LOG_LEVELS.find((level) => level === upper);
}

export function createLogger(name: string, sinks: readonly LogSink[], nowMs: () => number): Logger {
  const isEnabled = (level: LogLevel) => sinks.some((sink) => sink.wants(level));
  const write = (level: LogLevel, message: string, fields: LogFields = {}) => {
    if (!isEnabled(level)) return;
    const record: LogRecord = { timeMs: nowMs(), level, name, message, fields };
    for (const sink of sinks) if (sink.wants(level)) sink.write(record);
  };
  return {
    trace: (message, fields) => write('TRACE', message, fields),
    debug: (message, fields) => write('DEBUG', message, fields),
    info: (message, fields) => write('INFO', message, fields),
    warn: (message, fields) => write('WARN', message, fields),
    error: (message, fields) => write('ERROR', message, fields),
    isEnabled,
    named: (part) => createLogger(`${name}.${part}`, sinks, nowMs),
  };
}

/** Drops everything. */
export const silentLogger: Logger = createLogger('silent', [], () => 0);

/** `2026-11-21T07:14:52.007Z [INFO]  agent: message: key=value`, without indent or line end. */
export function formatLogLine(record: LogRecord, offsetMinutes = 0): string {
  const fields = Object.entries(record.fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${formatFieldValue(String(value))}`);
  const tail = fields.length === 0 ? '' : `: ${fields.join(' ')}`;
  const level = `[${record.level}]`.padEnd(7);
  return `${formatLogTime(record.timeMs, offsetMinutes)} ${level} ${record.name}: ${record.message}${tail}`;
}

/** The JSON form: `@level`, `@message`, `@module`, `@timestamp` (microseconds), then the fields. */
export function formatLogJson(record: LogRecord): string {
  return JSON.stringify({
    '@level': record.level.toLowerCase(),
    '@message': record.message,
    '@module': record.name,
    '@timestamp': new Date(record.timeMs).toISOString().replace('Z', '000Z'),
    ...record.fields,
  });
}

/** Milliseconds with a numeric offset, `Z` for UTC. `offsetMinutes` is east of Greenwich. */
function formatLogTime(timeMs: number, offsetMinutes: number): string {
  const iso = new Date(timeMs + offsetMinutes * 60_000).toISOString();
  if (offsetMinutes === 0) return iso;
  const sign = offsetMinutes < 0 ? '-' : '+';
  const abs = Math.abs(offsetMinutes);
  const two = (n: number) => String(n).padStart(2, '0');
  return `${iso.slice(0, -1)}${sign}${two(Math.floor(abs / 60))}${two(abs % 60)}`;
}

/** Blanks bring quotes, which inner quotes do not escape; what would break the line is escaped. */
function formatFieldValue(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are what a line must not hold
  const line = text.replace(/[\x00-\x1f\x7f]/g, (c) => JSON.stringify(c).slice(1, -1));
  return /\s/.test(text) ? `"${line}"` : line;
}
