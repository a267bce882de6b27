import { describe, expect, test } from 'vitest';
import { ConsulError } from '../../shared/errors.ts';
import { type Answer, isWhole } from '../exchange/exchange.ts';
import { fakeRead } from '../testing/fake-read.ts';
import { createChanges } from './changes.ts';

const entry = (Key: string, Value: string, ModifyIndex: number) => ({ Key, Value, ModifyIndex });
const kv = (...entries: readonly (readonly [string, string, number])[]) =>
  JSON.stringify(entries.map(([key, value, index]) => entry(key, value, index)));

interface Event {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: Record<string, unknown>;
}

/** Reads events from an answer's body, as many as asked for; comments are kept apart. */
function reader(answer: Answer) {
  if (isWhole(answer))
    throw new Error(`no stream: ${answer.status} ${new TextDecoder().decode(answer.body)}`);
  const chunks = answer.body.getReader();
  const decoder = new TextDecoder();
  const events: Event[] = [];
  const comments: string[] = [];
  let isOver = false;
  const pump = (async () => {
    for (let text = ''; ; ) {
      const { done, value } = await chunks.read();
      if (done) break;
      text += decoder.decode(value);
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        if (block.startsWith(':')) comments.push(block);
        const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
        const data = field('data');
        if (data !== undefined)
          events.push({ event: field('event') ?? '', id: field('id'), data: JSON.parse(data) });
      }
    }
    isOver = true;
  })();
  return { events, comments, isOver: () => isOver, leave: () => chunks.cancel(), pump };
}

function setUp(body: string, limits: { maxFeeds?: number; maxBytes?: number } = {}) {
  const read = fakeRead({ index: 10, body });
  const changes = createChanges({
    ask: read.ask,
    maxFeeds: limits.maxFeeds ?? 10,
    maxBytes: limits.maxBytes ?? 4e6,
    lingerMs: 60_000,
    ...read.env,
  });
  const tick = (ms = 30) => read.env.clock.advanceAsync(ms);
  const open = async (query: string, headers: readonly string[] = []) => {
    const opened = changes.open({ method: 'GET', target: `/v1/watch?${query}`, headers });
    opened.catch(() => undefined);
    await tick();
    return opened;
  };
  const stream = async (query: string, headers: readonly string[] = []) => {
    const streamed = reader(await open(query, headers));
    await tick();
    return streamed;
  };
  return { read, changes, open, stream, tick };
}

const brief = ({ event, data }: Event) => [
  event,
  data.key,
  (data.value as { Value?: string } | undefined)?.Value,
];

describe('a stream', () => {
  test('begins with a snapshot and goes on with what changes, deletions included', async () => {
    const { read, stream, tick } = setUp(kv(['a', '1', 5], ['b', '1', 10]));
    const { events } = await stream('kv=');
    expect(events).toEqual([
      {
        event: 'snapshot',
        id: expect.stringMatching(/^[0-9a-f]{8}\.10$/),
        data: {
          topic: 'kv:',
          index: 10,
          entries: [
            { key: 'a', value: entry('a', '1', 5) },
            { key: 'b', value: entry('b', '1', 10) },
          ],
        },
      },
    ]);
    read.change(14, kv(['c', '1', 13], ['b', '2', 12]));
    await tick();
    expect(events.slice(1).map(brief)).toEqual([
      ['put', 'b', '2'],
      ['put', 'c', '1'],
      ['delete', 'a', undefined],
    ]);
    // Only the last event of what came together carries the id: who is cut off before it gets all of them again.
    expect(events.slice(1).map(({ id }) => id?.split('.')[1])).toEqual([undefined, undefined, '14']);
  });

  test('goes on where it was, with nothing twice and nothing missing', async () => {
    const { read, stream, tick } = setUp(kv(['a', '1', 10]));
    const first = await stream('kv=');
    read.change(11, kv(['a', '2', 11]));
    await tick();
    const id = first.events.at(-1)?.id ?? '';
    await first.leave();
    read.change(12, kv());
    await tick();
    read.change(13, kv(['b', '1', 13]));
    await tick();
    const second = await stream('kv=', ['Last-Event-ID', id]);
    expect(second.events.map(brief)).toEqual([
      ['delete', 'a', undefined],
      ['put', 'b', '1'],
    ]);
    const third = await stream('kv=&index=13');
    expect(third.events).toEqual([]);
  });

  test('starts anew, and says so, when what was missed is not known', async () => {
    const { stream } = setUp(kv(['a', '1', 10]));
    for (const seen of ['7', 'ffffffff.10', `${'0'.repeat(8)}.9`]) {
      const { events } = await stream(`kv=&index=${seen}`);
      expect(events.map(({ event }) => event)).toEqual(['snapshot']);
    }
  });

  test('waits for what its client has seen at another gateway', async () => {
    const { read, stream, changes, tick } = setUp(kv(['a', '1', 10]));
    await stream('kv=');
    const ahead = changes.open({ method: 'GET', target: '/v1/watch?kv=&index=12', headers: [] });
    await tick(100);
    read.change(12, kv(['a', '2', 12]));
    await tick();
    const resumed = reader(await ahead);
    await tick();
    expect(resumed.events).toEqual([]);
    read.change(13, kv());
    await tick();
    expect(resumed.events.map(brief)).toEqual([['delete', 'a', undefined]]);
  });

  test('of several topics has one id for all of them', async () => {
    const { read, stream, tick } = setUp(kv(['a', '1', 10]));
    const { events, leave } = await stream('kv=x&kv=y');
    expect(events.map(({ id, data }) => [data.topic, id?.split('.').slice(1)])).toEqual([
      ['kv:x', ['10', '0']],
      ['kv:y', ['10', '10']],
    ]);
    read.change(11, kv(['a', '2', 11]));
    await tick();
    const [, , x] = events;
    await leave();
    const again = await stream('kv=y&kv=x', ['Last-Event-ID', x?.id ?? '']);
    expect(again.events.map(({ event, data }) => [event, data.topic])).toEqual([['put', 'kv:y']]);
  });

  test('whose client is slow gets the newest state once too much was missed', async () => {
    const { read, open, tick } = setUp(kv(['a', '0', 10]));
    const answer = await open('kv=');
    for (let i = 1; i <= 1200; i++) {
      read.change(10 + i, kv(['a', String(i), 10 + i]));
      await tick();
    }
    const { events } = reader(answer);
    await tick();
    expect(events.map(({ event, data }) => [event, data.index])).toEqual([['snapshot', 1210]]);
  });

  test('tells that it lives, and whether agents answer', async () => {
    const { read, stream, tick } = setUp(kv());
    const { comments } = await stream('kv=');
    await tick(15_000);
    expect(comments).toEqual([': alive']);
    read.fail(new ConsulError('no-servers', 503, 'nobody'));
    await tick(15_000);
    expect(comments.at(-1)).toBe(': no agent answers');
  });

  test('ends with the reason when agents begin to refuse it', async () => {
    const { read, stream, tick } = setUp(kv());
    const { events, isOver } = await stream('kv=');
    read.answerWith(403);
    await tick();
    expect(events.at(-1)).toMatchObject({ event: 'refused', data: { topic: 'kv:', status: 403 } });
    expect(isOver()).toBe(true);
  });

  test('shows a state that was replaced by an older one as changes', async () => {
    const { read, stream, open, tick } = setUp(kv(['a', '9', 10]));
    const { events } = await stream('kv=');
    read.change(4, kv(['a', '1', 4]));
    await tick();
    expect(events.slice(1).map(brief)).toEqual([['put', 'a', '1']]);
    const other = open('kv=&index=10');
    await tick(3000);
    const { events: anew } = reader(await other);
    await tick();
    expect(anew.map(({ event, data }) => [event, data.index])).toEqual([['snapshot', 4]]);
  });
});

describe('many streams', () => {
  test('share one upstream wait, and every one hears of each change once', async () => {
    const { read, open, changes, tick } = setUp(kv());
    const opened = await Promise.all(Array.from({ length: 1000 }, () => open('kv=')));
    const streams = opened.map(reader);
    await tick();
    read.change(11, kv(['a', '1', 11]));
    await tick();
    expect(new Set(streams.map(({ events }) => events.length))).toEqual(new Set([2]));
    expect(read.asked.length).toBe(3);
    expect(changes.size()).toMatchObject({ feeds: 1, streams: 1000 });
    for (const { leave } of streams) await leave();
    await tick(90_000);
    expect(changes.size()).toEqual({ feeds: 0, streams: 0, bytes: 0 });
    expect(read.waits()).toBe(0);
  });

  test('of different tokens share nothing', async () => {
    const { changes, stream } = setUp(kv());
    await stream('kv=', ['X-Consul-Token', 'one']);
    await stream('kv=', ['X-Consul-Token', 'two']);
    await stream('kv=&token=one');
    expect(changes.size().feeds).toBe(3);
  });

  test('all end when the gateway stops', async () => {
    const { changes, stream, open, read, tick } = setUp(kv());
    const { isOver } = await stream('kv=');
    changes.stop();
    await tick();
    expect([isOver(), read.waits()]).toEqual([true, 0]);
    expect((await open('kv=')).status).toBe(503);
  });
});

describe('what is refused', () => {
  test('queries that name no topic, or no index', async () => {
    const { open } = setUp(kv());
    for (const query of [
      '',
      'service=',
      'kv=a//b',
      'kv=../x',
      'kv=&index=zz',
      'kv=&index=-1',
      'kv=a&index=1.x',
    ])
      await expect(open(query), query).rejects.toMatchObject({ status: 400 });
    await expect(open(`kv=${'x'.repeat(17_000)}`)).rejects.toMatchObject({ status: 400 });
    const many = Array.from({ length: 101 }, (_, i) => `kv=${i}`).join('&');
    await expect(open(many)).rejects.toMatchObject({ status: 400 });
  });

  test('what agents refuse, with their words', async () => {
    const { open, read } = setUp(kv());
    read.answerWith(403);
    const answer = await open('kv=');
    expect([answer.status, isWhole(answer)]).toEqual([403, true]);
  });

  test('too many topics at once', async () => {
    const { stream, open, tick } = setUp(kv(), { maxFeeds: 1 });
    const { leave } = await stream('kv=a');
    expect((await open('kv=b')).status).toBe(503);
    await leave();
    await tick();
    expect((await open('kv=b')).status).toBe(200);
  });

  test('other methods', async () => {
    const { changes } = setUp(kv());
    const answer = await changes.open({ method: 'PUT', target: '/v1/watch?kv=', headers: [] });
    expect(answer.status).toBe(405);
  });
});
