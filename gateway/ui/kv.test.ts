import { describe, expect, test } from 'vitest';
import { type Editing, follow, isChanged, type Stored } from './kv-editing.ts';
import { checkDraft, convertDraft, draftOf } from './kv-form.ts';
import { crumbsOf, keyPath, keyProblem, lastPart, parentFolder, splitListing } from './kv-key.ts';
import {
  base64FromBytes,
  bytesFromBase64,
  editableText,
  exactFlags,
  flagsProblem,
  hexDump,
} from './kv-value.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('keys', () => {
  test('lie in folders', () => {
    expect([parentFolder('a'), parentFolder('a/b'), parentFolder('a/b/')]).toEqual(['', 'a/', 'a/']);
    expect([lastPart('a'), lastPart('a/b'), lastPart('a/b/')]).toEqual(['a', 'b', 'b/']);
    expect(crumbsOf('a/b/').map(({ folder }) => folder)).toEqual(['', 'a/', 'a/b/']);
  });

  test('are listed folders first, without the folder itself', () => {
    expect(splitListing(['a/', 'a/x', 'a/y/', 'b'], 'a/')).toEqual({ folders: ['a/y/'], keys: ['a/x'] });
  });

  test('are escaped part by part', () => {
    expect(keyPath('a b/ü?#%/')).toBe('a%20b/%C3%BC%3F%23%25/');
  });

  test.each(['', '/a', 'a//b', '../a', 'a/./b', 'a/..', 'a\nb', 'a\0'])(
    '%j cannot be named by a URL',
    (key) => {
      expect(keyProblem(key)).toMatch(/^\S.*\.$/);
    },
  );

  test.each(['a', 'a/b', 'a/.b', '...', 'a b', 'ü', 'a/'])('%j can', (key) => {
    expect(keyProblem(key)).toBeUndefined();
  });
});

describe('values', () => {
  test('come through base64 whole', () => {
    const all = Uint8Array.from({ length: 20_000 }, (_, i) => i * 7);
    expect(bytesFromBase64(base64FromBytes(all))).toEqual(all);
    expect(bytesFromBase64('YQ ==\n')).toEqual(bytes('a'));
    expect(() => bytesFromBase64('!')).toThrow('This is not valid base64.');
  });

  test('are text only when a text field gives the same bytes back', () => {
    expect(editableText(bytes('a\tb\nü€😀'))).toBe('a\tb\nü€😀');
    expect(editableText(bytes('\ufeffa'))).toBe('\ufeffa');
    expect(editableText(bytes('a\r\nb'))).toBeUndefined();
    expect(editableText(bytes('a\0b'))).toBeUndefined();
    expect(editableText(Uint8Array.of(0xff, 0xfe))).toBeUndefined();
  });

  test('are dumped sixteen bytes a row, up to a limit', () => {
    const dump = hexDump(bytes('0123456789abcdef<b>\n'), 1000).split('\n');
    expect(dump[0]).toBe('000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef');
    expect(dump[1]).toMatch(/^000010 {2}3c 62 3e 0a {38}<b>\.$/);
    expect(hexDump(new Uint8Array(1000), 32).split('\n')).toHaveLength(2);
  });

  test('have flags of 64 bits, digit for digit', () => {
    expect(exactFlags('[{"Key":"\\"Flags\\":1","Flags":18446744073709551615,"Value":null}]')).toBe(
      '18446744073709551615',
    );
    expect(exactFlags('[\n  {\n    "LockIndex": 0,\n    "Flags": 42\n  }\n]')).toBe('42');
    expect(['0', '18446744073709551615'].map(flagsProblem)).toEqual([undefined, undefined]);
    for (const wrong of ['', '-1', '1.5', '18446744073709551616', 'x'])
      expect(flagsProblem(wrong)).toBeDefined();
  });

  test('change form without changing', () => {
    const draft = draftOf(bytes('hé'), '0');
    expect(draft).toEqual({ form: 'text', text: 'hé', flags: '0' });
    const other = convertDraft(draft, 'base64');
    expect(other).toEqual({ form: 'base64', text: 'aMOp', flags: '0' });
    expect(convertDraft({ form: 'base64', text: '/w==', flags: '0' }, 'text')).toBeUndefined();
    expect(checkDraft({ form: 'base64', text: '?', flags: '0' })).toEqual({
      problem: 'This is not valid base64.',
    });
  });
});

describe('editing while the store changes', () => {
  const stored = (text: string, modifyIndex: number): Stored => ({
    entry: { key: 'a', value: '', modifyIndex, createIndex: 1, lockIndex: 0, session: '' },
    bytes: bytes(text),
    flags: '0',
  });
  const typed = (editing: Editing, text: string): Editing => ({
    ...editing,
    draft: { ...editing.draft, text },
  });

  test('untouched fields follow', () => {
    const editing = follow(follow(undefined, stored('a', 1)), stored('b', 2));
    expect([editing.draft.text, editing.base.entry.modifyIndex, isChanged(editing)]).toEqual(['b', 2, false]);
  });

  test('touched fields stay on the index that they began with, so that saving is refused', () => {
    const editing = follow(typed(follow(undefined, stored('a', 1)), 'mine'), stored('b', 2));
    expect([editing.draft.text, editing.base.entry.modifyIndex, isChanged(editing)]).toEqual([
      'mine',
      1,
      true,
    ]);
  });

  test('what was saved from here moves the index on, and keeps what was typed since', () => {
    const edited = typed(follow(undefined, stored('a', 1)), 'mine');
    const saved = { ...edited, saved: edited.draft };
    expect(isChanged(follow(saved, stored('mine', 2)))).toBe(false);
    const later = follow(typed(saved, 'mine, longer'), stored('mine', 2));
    expect([later.draft.text, later.base.entry.modifyIndex, isChanged(later)]).toEqual([
      'mine, longer',
      2,
      true,
    ]);
  });

  test('someone else’s value after ours was saved is not taken for ours', () => {
    const edited = typed(follow(undefined, stored('a', 1)), 'mine');
    const after = follow({ ...edited, saved: edited.draft }, stored('theirs', 3));
    expect([after.draft.text, after.base.entry.modifyIndex]).toEqual(['mine', 1]);
  });

  test('the same bytes in the other form are no change', () => {
    const editing = follow(undefined, stored('a', 1));
    expect(isChanged({ ...editing, draft: { form: 'base64', text: 'YQ==', flags: '0' } })).toBe(false);
    expect(isChanged({ ...editing, draft: { ...editing.draft, flags: '1' } })).toBe(true);
  });
});
