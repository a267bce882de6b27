import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { byteText } from './byte-text.ts';
import { decodeKvRow, encodeKvRow } from './kv-rows.ts';
import { packBytes, unpackBytes } from './packed-bytes.ts';
import type { KvRecord } from './records.ts';

// As snapshot.ts has it.
const AUTO_INT64: object = { int64AsType: 'auto' };
const packr = new Packr({ useRecords: false, ...AUTO_INT64 });

const PLAIN: KvRecord = {
  key: 'a/b',
  value: packBytes(Buffer.from('hello')),
  flags: 0,
  lockIndex: 0,
  session: '',
  createIndex: 1,
  modifyIndex: 2,
};

const generalRow = (record: KvRecord) => [
  record.key,
  Buffer.from(unpackBytes(record.value)),
  record.flags,
  record.lockIndex,
  record.session,
  record.createIndex,
  record.modifyIndex,
];

const lengths = [0, 1, 31, 32, 255, 256, 2048, 2049, 65_535];
const numbers = [0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER];

const RECORDS: readonly KvRecord[] = [
  PLAIN,
  ...lengths.map((length) => ({ ...PLAIN, value: packBytes(Buffer.alloc(length, 0xe9)) })),
  ...lengths.slice(1).map((length) => ({ ...PLAIN, key: 'k'.repeat(length) })),
  ...numbers.map((n) => ({ ...PLAIN, flags: n, lockIndex: n, createIndex: n, modifyIndex: n })),
  { ...PLAIN, key: 'größer/日本/😀', session: '5f0d4d5c-7b1a-4b4c-9f7e-0123456789ab' },
];

function encoded(record: KvRecord): Buffer {
  const bytes = encodeKvRow(byteText(record.key), record);
  if (bytes === undefined) throw new Error('not a plain row');
  return Buffer.from(bytes);
}

describe('rows of keys', () => {
  it.each(RECORDS.map((record, i) => [i, record] as const))('come back, record %i', (_, record) => {
    const bytes = encoded(record);
    const row = decodeKvRow(Buffer.concat([Buffer.alloc(3), bytes, Buffer.alloc(3)]), 3, 3 + bytes.length);
    expect(row).toEqual({ key: byteText(record.key), record });
  });

  it.each(RECORDS.map((record, i) => [i, record] as const))('are msgpack, record %i', (_, record) => {
    expect(packr.unpack(encoded(record))).toEqual(generalRow(record));
  });

  it.each(RECORDS.map((record, i) => [i, record] as const))(
    'that the general encoder wrote are understood, record %i',
    (_, record) => {
      const bytes = Buffer.from(packr.pack(generalRow(record)));
      const row = decodeKvRow(bytes, 0, bytes.length);
      if (row !== undefined) expect(row).toEqual({ key: byteText(record.key), record });
    },
  );

  it('of the usual form do not need the general decoder', () => {
    const bytes = Buffer.from(packr.pack(generalRow(PLAIN)));
    expect(decodeKvRow(bytes, 0, bytes.length)).toEqual({ key: 'a/b', record: PLAIN });
  });

  it('that are out of the ordinary are left to the general encoder', () => {
    expect(encodeKvRow('a', { ...PLAIN, flags: 2n ** 63n })).toBeUndefined();
    expect(encodeKvRow('a', { ...PLAIN, value: new Uint8Array(65_536) })).toBeUndefined();
    expect(encodeKvRow('k'.repeat(65_536), PLAIN)).toBeUndefined();
  });

  it('that are cut, too long or something else are not taken', () => {
    const bytes = encoded({ ...PLAIN, flags: 2 ** 40, value: 'v'.repeat(300), session: 's'.repeat(40) });
    for (let end = 0; end < bytes.length; end++) expect(decodeKvRow(bytes, 0, end)).toBeUndefined();
    const longer = Buffer.concat([bytes, Buffer.alloc(1)]);
    expect(decodeKvRow(longer, 0, longer.length)).toBeUndefined();
    for (const other of [null, 'text', [1], { type: 'x' }, [1, 2, 3, 4, 5, 6, 7]]) {
      const packed = Buffer.from(packr.pack(other));
      expect(decodeKvRow(packed, 0, packed.length)).toBeUndefined();
    }
  });
});
