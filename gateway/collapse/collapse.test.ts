import { expect, test } from 'vitest';
import type { Answer } from '../exchange/exchange.ts';
import type { Cancellation } from '../upstream/send.ts';
import { createCollapse } from './collapse.ts';
import { NEVER_CANCELLED } from './interest.ts';

/** An upstream whose requests end when the test says so. */
function controlled() {
  const open: { finish(answer: Answer): void; fail(error: Error): void; cancel: Cancellation }[] = [];
  const ask = (cancel: Cancellation) =>
    new Promise<Answer>((resolve, reject) => open.push({ finish: resolve, fail: reject, cancel }));
  return { open, ask };
}

function leavable() {
  const listeners = new Set<() => void>();
  const cancel: Cancellation = {
    isCancelled: false,
    onCancel: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return { cancel, leave: () => [...listeners].forEach((listener) => void listener()) };
}

const whole = (text: string): Answer => ({ status: 200, headers: [], body: new TextEncoder().encode(text) });
const textOf = async (answer: Promise<Answer>) => new Response((await answer).body as BodyInit).text();
const settle = async () => {
  for (let i = 0; i < 10; i++) await undefined;
};

function setUp(maxCallers = 100) {
  let shared = 0;
  const collapse = createCollapse({ maxCallers, onShared: () => shared++ });
  const upstream = controlled();
  const read = (cancel = NEVER_CANCELLED) => collapse.read('k', upstream.ask, cancel);
  return { collapse, read, ...upstream, shared: () => shared };
}

test('a caller never shares a request that started before it came', async () => {
  const { read, open, shared } = setUp();
  const first = read();
  const late = [read(), read(), read()];
  expect(open.length).toBe(1);
  open[0]?.finish(whole('before'));
  expect(await textOf(first)).toBe('before');
  await settle();
  expect(open.length).toBe(2);
  const later = read();
  open[1]?.finish(whole('after'));
  expect(await Promise.all(late.map(textOf))).toEqual(['after', 'after', 'after']);
  await settle();
  open[2]?.finish(whole('third'));
  expect(await textOf(later)).toBe('third');
  expect(shared()).toBe(2);
});

test('keys are independent, and an idle key starts at once', async () => {
  const { collapse, read, ask, open } = setUp();
  void read();
  void collapse.read('other', ask, NEVER_CANCELLED);
  expect(open.length).toBe(2);
  open[0]?.finish(whole('x'));
  await settle();
  void read();
  expect(open.length).toBe(3);
});

test('an error reaches all who share it, and the next request is not hindered', async () => {
  const { read, open } = setUp();
  const first = read();
  const late = [read(), read()];
  open[0]?.fail(new Error('one'));
  await expect(first).rejects.toThrow('one');
  await settle();
  const next = read();
  open[1]?.fail(new Error('two'));
  for (const each of late) await expect(each).rejects.toThrow('two');
  await settle();
  open[2]?.finish(whole('fine'));
  expect(await textOf(next)).toBe('fine');
});

test('a shared request ends when the last of its callers has left, not before', async () => {
  const { read, open } = setUp();
  void read();
  const [a, b] = [leavable(), leavable()];
  const left = [read(a.cancel), read(b.cancel)];
  open[0]?.finish(whole('x'));
  await settle();
  let cancelled = false;
  open[1]?.cancel.onCancel(() => {
    cancelled = true;
  });
  a.leave();
  await expect(left[0]).rejects.toThrow();
  expect(cancelled).toBe(false);
  b.leave();
  await expect(left[1]).rejects.toThrow();
  expect(cancelled).toBe(true);
});

test('a stream goes to one caller, the others ask for themselves', async () => {
  const { read, open } = setUp();
  void read();
  const late = [read(), read()];
  open[0]?.finish(whole('x'));
  await settle();
  open[1]?.finish({ status: 200, headers: [], body: new Response('streamed').body ?? new ReadableStream() });
  await settle();
  expect(open.length).toBe(3);
  open[2]?.finish(whole('own'));
  expect((await Promise.all(late.map(textOf))).toSorted()).toEqual(['own', 'streamed']);
});

test('beyond the bound callers start their own requests', async () => {
  const { read, open } = setUp(1);
  void read();
  void read();
  void read();
  expect(open.length).toBe(2);
});
