import { expect, test } from 'vitest';
import { ClientPresence } from './client-presence.ts';

function open() {
  let leave: () => void = () => undefined;
  const presence = new ClientPresence({
    onClientGone: (gone) => {
      leave = gone;
      return () => undefined;
    },
  });
  return { presence, leave: () => leave() };
}

test('everyone who still listens hears that the client left', () => {
  const { presence, leave } = open();
  const heard: string[] = [];
  const offs = ['a', 'b', 'c', 'd'].map((name) => presence.onCancel(() => heard.push(name)));
  offs[0]?.();
  offs[2]?.();
  expect(presence.isCancelled).toBe(false);
  leave();
  expect([presence.isCancelled, heard]).toEqual([true, ['b', 'd']]);
});

test('a lone listener may come and go', () => {
  const { presence, leave } = open();
  const heard: string[] = [];
  presence.onCancel(() => heard.push('first'))();
  presence.onCancel(() => heard.push('second'));
  leave();
  expect(heard).toEqual(['second']);
});
