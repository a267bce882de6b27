import { describe, expect, test } from 'vitest';
import { createLogger, type LogRecord } from '../../shared/log.ts';
import { simulatedEnv } from '../../shared/simulated-env.ts';
import { type AccessRecord, createAccessLog } from './access-log.ts';
import { createBufferedSink } from './buffered-sink.ts';
import { maskedTarget } from './masked-target.ts';

const RECORD: AccessRecord = {
  timeMs: Date.UTC(2026, 1, 3, 4, 5, 6, 789),
  address: '10.0.0.7',
  method: 'PUT',
  target: '/v1/kv/a?token=s3cret&cas=1',
  protocol: 'HTTP/1.1',
  status: 200,
  bytes: 4,
  tookMs: 1.23456,
};

function lineOf(format: 'json' | 'common', changes: Partial<AccessRecord> = {}): string {
  const lines: string[] = [];
  createAccessLog(format, (line) => lines.push(line))({ ...RECORD, ...changes });
  return lines.join('');
}

describe('a line', () => {
  test('as JSON', () => {
    expect(lineOf('json')).toBe(
      '{"time":"2026-02-03T04:05:06.789Z","address":"10.0.0.7","method":"PUT","target":"/v1/kv/a?token=<hidden>&cas=1","protocol":"HTTP/1.1","status":200,"bytes":4,"ms":1.235}\n',
    );
    expect(lineOf('json', { bytes: undefined })).not.toContain('bytes');
  });

  test('in common form', () => {
    expect(lineOf('common')).toBe(
      '10.0.0.7 - - [03/Feb/2026:04:05:06 +0000] "PUT /v1/kv/a?token=<hidden>&cas=1 HTTP/1.1" 200 4\n',
    );
    expect(lineOf('common', { bytes: undefined, address: '' })).toMatch(/^- .* 200 -\n$/);
  });

  test('holds what was sent, which can forge no other', () => {
    const target = '/v1/kv/a" 200 1\n10.0.0.8 - - \u2028\\';
    const json = lineOf('json', { target, method: 'G"ET' });
    expect(json.indexOf('\n')).toBe(json.length - 1);
    expect(JSON.parse(json)).toMatchObject({ target, method: 'G"ET', status: 200 });
    expect(lineOf('common', { target })).toMatch(/^[^"\n]+"(?:[^"\\\n]|\\.)*" 200 4\n$/);
  });

  test('is not endless', () => {
    expect(lineOf('json', { target: `/${'x'.repeat(100_000)}` }).length).toBeLessThan(2300);
  });
});

test.each([
  ['/v1/kv/a?token=x', '/v1/kv/a?token=<hidden>'],
  ['/v1/kv/a?%74ok%65n=x&b', '/v1/kv/a?%74ok%65n=<hidden>&b'],
  ['/v1/kv/a?TOKEN=x&token', '/v1/kv/a?TOKEN=<hidden>&token=<hidden>'],
  ['/v1/kv/a?%zz=x', '/v1/kv/a?%zz=<hidden>'],
  ['/v1/kv/token=x?y=token', '/v1/kv/token=x?y=token'],
  ['/v1/acl/info/x', '/v1/acl/info/<hidden>'],
  ['/v1/acl/destroy/x?token=y', '/v1/acl/destroy/<hidden>?token=<hidden>'],
  ['/v1/acl/tokens', '/v1/acl/tokens'],
])('%s is shown as %s', (target, shown) => {
  expect(maskedTarget(target)).toBe(shown);
});

describe('the sink', () => {
  function setUp() {
    const { clock } = simulatedEnv(1);
    const records: LogRecord[] = [];
    const logger = createLogger(
      't',
      [{ wants: () => true, write: (record) => records.push(record) }],
      () => 0,
    );
    const written: string[] = [];
    const stream = {
      accepts: true,
      drain: (): void => undefined,
      write: (text: string) => {
        written.push(text);
        return stream.accepts;
      },
      once: (_: 'drain', listener: () => void) => {
        stream.drain = listener;
      },
    };
    return { clock, records, written, stream, sink: createBufferedSink(stream, clock, logger) };
  }

  test('writes lines together, after a while or when there are many', () => {
    const { clock, sink, written } = setUp();
    sink.write('a\n');
    sink.write('b\n');
    expect(written).toEqual([]);
    clock.advance(200);
    expect(written).toEqual(['a\nb\n']);
    sink.write('x'.repeat(70_000));
    expect(written).toHaveLength(2);
    sink.write('c\n');
    sink.flush();
    expect(written.at(-1)).toBe('c\n');
    clock.advance(1000);
    expect(written).toHaveLength(3);
  });

  test('keeps a bounded amount for a slow stream and says what it dropped', () => {
    const { clock, records, sink, stream, written } = setUp();
    stream.accepts = false;
    sink.write('first\n');
    clock.advance(200);
    const line = `${'x'.repeat(999_999)}\n`;
    for (let i = 0; i < 10; i++) sink.write(line);
    expect(written).toEqual(['first\n']);
    stream.accepts = true;
    stream.drain();
    expect(written.at(-1)?.length).toBe(4_000_000);
    expect(records.map(({ message }) => message)).toEqual(['the access log could not keep up']);
    expect(JSON.stringify(records)).toContain('6');
  });
});
