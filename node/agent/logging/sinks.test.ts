import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLogger, type LogRecord } from '../../../shared/log.ts';
import { SimulatedClock } from '../../../shared/simulated-env.ts';
import { createConsoleSink } from './console-sink.ts';
import { createFileSink, type FileSinkOptions } from './file-sink.ts';
import { createMonitorSink } from './monitor-sink.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'log-sinks-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const fileOptions = (over: Partial<FileSinkOptions> = {}): FileSinkOptions => ({
  path: join(folder, 'consul.log'),
  level: 'INFO',
  json: false,
  offsetMinutes: 0,
  rotateDurationMs: 24 * 3_600_000,
  rotateBytes: 0,
  rotateMaxFiles: 0,
  ...over,
});

test('the console holds records back until the banner is out, then prints them indented', () => {
  let printed = '';
  const out = new Writable({
    write(chunk, _, done) {
      printed += String(chunk);
      done();
    },
  });
  const sink = createConsoleSink(out, { level: 'INFO', json: false, offsetMinutes: 0 });
  const log = createLogger('agent', [sink], () => 0);
  log.info('early');
  expect(printed).toBe('');
  sink.open();
  log.debug('unwanted');
  sink.setLevel('DEBUG');
  log.debug('wanted');
  expect(printed).toBe(
    '    1970-01-01T00:00:00.000Z [INFO]  agent: early\n    1970-01-01T00:00:00.000Z [DEBUG] agent: wanted\n',
  );
});

test('the file is named after its creation and follows size, age and count', () => {
  const clock = new SimulatedClock();
  const sink = createFileSink(fileOptions({ rotateBytes: 60, rotateMaxFiles: 1 }), clock);
  const log = createLogger('agent', [sink], () => clock.nowMs());
  for (let i = 0; i < 4; i++) {
    log.info(`message number ${i}`);
    clock.advance(1000);
  }
  sink.close();
  const files = readdirSync(folder).sort();
  expect(files).toHaveLength(2);
  expect(files[1]).toMatch(/^consul-\d{19}\.log$/);
  expect(readFileSync(join(folder, files[1] ?? ''), 'utf8')).toContain('[INFO]  agent: message number 3\n');
});

test('a new file begins when the old one is a day old', () => {
  const clock = new SimulatedClock();
  const sink = createFileSink(fileOptions(), clock);
  const log = createLogger('agent', [sink], () => clock.nowMs());
  log.info('today');
  clock.advance(24 * 3_600_000);
  log.info('tomorrow');
  sink.close();
  expect(readdirSync(folder)).toHaveLength(2);
});

test('a folder that does not exist is named', () => {
  expect(() =>
    createFileSink(fileOptions({ path: '/nonexistent/consul.log' }), new SimulatedClock()),
  ).toThrow(/^Failed to setup logging: open \/nonexistent\/consul-\d+\.log: no such file or directory$/);
});

test('the monitor costs nothing while nobody listens, and gives each what it asked for', () => {
  const sink = createMonitorSink();
  const log = createLogger('agent', [sink], () => 0);
  expect(log.isEnabled('ERROR')).toBe(false);
  const seen: LogRecord[] = [];
  const stop = sink.subscribe('WARN', (record) => seen.push(record));
  log.info('less');
  log.warn('enough');
  stop();
  log.error('too late');
  expect(seen.map(({ message }) => message)).toEqual(['enough']);
});
