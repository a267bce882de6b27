import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../simulated-env.ts';
import { bytesOfHex, hexOf } from './addresses.ts';
import { DEFAULT_DNS_CONFIG } from './config.ts';
import { DnsFormatError, decodeMessage, type ResourceRecord } from './message.ts';
import { MessageWriter, smallestSize, uncompressedSize } from './message-writer.ts';
import { type Name, nameFromPresentation, nameFromText, presentName } from './name.ts';
import { presentData } from './presentation.ts';
import { encodeQuery } from './query.ts';
import {
  addressRecord,
  cnameRecord,
  nsRecord,
  soaRecord,
  srvRecord,
  txtRecord,
  zoneNames,
} from './records.ts';
import { vetRequest } from './request.ts';
import { buildQuery, mutate, plainAnswer } from './testing.ts';

const bytes = (hex: string): Uint8Array => bytesOfHex(hex.replaceAll(/\s/g, '')) ?? new Uint8Array(0);
const name = (text: string): Name => {
  const parsed = nameFromText(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};

const WEB_QUERY = '0000 0100 0001 0000 0000 0000 03776562 0773657276696365 06636f6e73756c 00 0001 0001';
const WEB_ANSWER = `0000 8500 0001 0001 0000 0000 03776562 0773657276696365 06636f6e73756c 00 0001 0001
  c00c 0001 0001 00000005 0004 0a010203`;

/** Writes a message around the question `web.service.consul SRV`. */
function write(records: readonly ResourceRecord[], compresses = true): Uint8Array {
  const question = name('web.service.consul');
  const wire = Uint8Array.from([...question.wire, 0, 33, 0, 1]);
  const writer = new MessageWriter();
  writer.begin(1, 0x8400, { bytes: wire, name: question }, compresses);
  writer.setCounts(records.length, 0, 0);
  for (const record of records) writer.record(record);
  return writer.finish();
}

describe('the wire form', () => {
  it('is that of the reference', () => {
    expect(hexOf(encodeQuery({ id: 0, name: name('web.service.consul'), type: 1 }))).toBe(
      WEB_QUERY.replaceAll(' ', ''),
    );
    const { answers, flags } = plainAnswer(bytes(WEB_ANSWER));
    expect([answers, flags]).toEqual([['web.service.consul. 5 A 10.1.2.3'], 'AA RD']);
  });

  it('points to suffixes of equal spelling, never from SRV targets, but into them', () => {
    const target = name('n1.node.dc1.consul');
    const records = [
      srvRecord(0, 1, 80, target),
      addressRecord(target, 0, Uint8Array.of(10, 0, 0, 1)),
      addressRecord(name('N1.node.dc1.consul'), 0, Uint8Array.of(10, 0, 0, 1)),
      cnameRecord(name('a.dc1.consul'), 0, name('web.service.consul')),
    ];
    const message = write(records);
    const text = hexOf(message);
    const targetAt = 12 + 24 + 2 + 10 + 6;
    expect(text.slice(2 * targetAt, 2 * (targetAt + target.wire.length))).toBe(hexOf(target.wire));
    expect(text.slice(2 * (targetAt + target.wire.length)).slice(0, 4)).toBe(
      (0xc000 + targetAt).toString(16),
    );
    expect(text).toContain(`024e31${(0xc000 + targetAt + 3).toString(16)}`);
    expect(text).toContain(`0161${(0xc000 + targetAt + 8).toString(16)}`);
    expect(text.endsWith('0002c00c')).toBe(true);
    expect(
      decodeMessage(message).answers.map((record) => presentName(record.owner?.wire ?? new Uint8Array(0))),
    ).toEqual(['web.service.consul.', 'n1.node.dc1.consul.', 'N1.node.dc1.consul.', 'a.dc1.consul.']);
  });

  it('has the sizes that were foretold', () => {
    const zone = zoneNames('consul.');
    const records = [
      srvRecord(5, 1, 80, name('n1.node.dc1.consul')),
      addressRecord(undefined, 5, new Uint8Array(16)),
      nsRecord(zone.apex, 5, name('n1.node.dc1.consul')),
      soaRecord(zone, DEFAULT_DNS_CONFIG, 1_700_000_000_000),
      txtRecord(name('n1.node.dc1.consul'), 0, 'x'.repeat(700)),
    ];
    const fixed = 12 + 24;
    const full = records.reduce((sum, record) => sum + uncompressedSize(record, 20), fixed);
    expect(write(records, false).length).toBe(full);
    const least = records.reduce((sum, record) => sum + smallestSize(record), fixed);
    expect(write(records).length).toBeGreaterThanOrEqual(least);
    expect(write(records).length).toBeLessThan(full);
    expect(decodeMessage(write(records)).answers.map(presentData)).toEqual(
      decodeMessage(write(records, false)).answers.map(presentData),
    );
  });

  it('does not point beyond what 14 bits reach', () => {
    const target = name('far.away');
    const filler = Array.from({ length: 40 }, () => addressRecord(name('x'), 0, new Uint8Array(500)));
    const records = [
      ...filler,
      addressRecord(target, 0, new Uint8Array(4)),
      addressRecord(target, 0, new Uint8Array(4)),
    ];
    const message = write(records.map((record) => ({ ...record, type: 99 })));
    expect(message.length).toBeGreaterThan(0x4000);
    expect(
      decodeMessage(message)
        .answers.slice(-2)
        .map(({ owner }) => presentName(owner?.wire ?? new Uint8Array(0))),
    ).toEqual(['far.away.', 'far.away.']);
  });
});

describe('malformed messages', () => {
  it.each([
    ['nothing', ''],
    ['half a header', '0000 0100 0001'],
    ['a question that is not there', '0000 0100 0001 0000 0000 0000'],
    ['a label over the end', '0000 0100 0001 0000 0000 0000 3f 61'],
    ['a label of 64 bytes', `0000 0100 0001 0000 0000 0000 40 ${'61'.repeat(64)} 00 0001 0001`],
    ['a pointer to itself', '0000 8100 0001 0000 0000 0000 c00c 0001 0001'],
    ['a pointer forward', '0000 8100 0001 0000 0000 0000 c012 0001 0001 0000'],
    ['pointers in a ring', '0000 8100 0001 0000 0000 0000 0161 c010 0162 c00c 0001 0001'],
    ['half a pointer', '0000 8100 0001 0000 0000 0000 c0'],
    [
      'a name over 255 bytes',
      `0000 0100 0001 0000 0000 0000 ${`3f${'61'.repeat(63)}`.repeat(4)} 00 0001 0001`,
    ],
    ['an address cut off', WEB_ANSWER.slice(0, -4)],
    ['an SRV that ends in its numbers', '0000 8500 0000 0001 0000 0000 00 0021 0001 00000000 0004 00010001'],
    ['a CNAME with bytes behind', '0000 8500 0000 0001 0000 0000 00 0005 0001 00000000 0003 00 0102'],
    ['an option over the end', '0000 0100 0000 0000 0000 0001 00 0029 1000 00000000 0004 0008 00ff'],
    [
      'a subnet of 33 bits',
      '0000 0100 0000 0000 0000 0001 00 0029 1000 00000000 0009 0008 0005 0001 21 00 0a',
    ],
  ])('are refused: %s', (_what, hex) => {
    expect(() => decodeMessage(bytes(hex))).toThrow(DnsFormatError);
  });

  it.each([
    ['short', '1234 0100 0001', undefined],
    ['a reply', WEB_ANSWER, undefined],
    ['no question', '1234 0110 0000 0000 0000 0000', '1234 8101 0000 0000 0000 0000'],
    [
      'two questions',
      '1234 0000 0002 0000 0000 0000 00 0001 0001 00 0001 0001',
      '1234 8001 0000 0000 0000 0000',
    ],
    ['a question cut off', '1234 0100 0001 0000 0000 0000 03 7765', '1234 8101 0000 0000 0000 0000'],
    [
      'a pointer in the question',
      '1234 0100 0001 0000 0000 0000 c004 0001 0001',
      '1234 8101 0000 0000 0000 0000',
    ],
    ['opcode STATUS', '1234 1100 0001 0000 0000 0000 00 0001 0001', '1234 9104 0000 0000 0000 0000'],
    ['opcode NOTIFY', '1234 2100 0001 0000 0000 0000 00 0001 0001', '1234 a104 0000 0000 0000 0000'],
    ['opcode UPDATE', '1234 2800 0001 0000 0000 0000 00 0001 0001', '1234 a804 0000 0000 0000 0000'],
    ['two answers', '1234 0100 0001 0002 0000 0000 00 0001 0001', '1234 8101 0000 0000 0000 0000'],
    ['two in authority', '1234 0100 0001 0000 0002 0000 00 0001 0001', '1234 8101 0000 0000 0000 0000'],
    ['three additional', '1234 0100 0001 0000 0000 0003 00 0001 0001', '1234 8101 0000 0000 0000 0000'],
    [
      'an additional that is not there',
      '1234 0100 0001 0000 0000 0001 00 0001 0001',
      '1234 8101 0000 0000 0000 0000',
    ],
  ])('are vetted as Consul does: %s', (_what, hex, reply) => {
    const vetted = vetRequest(bytes(hex));
    if (reply === undefined) expect(vetted.verdict).toBe('drop');
    else expect(vetted.verdict === 'refuse' && hexOf(vetted.reply)).toBe(reply.replaceAll(' ', ''));
  });

  it('ignores bytes behind the message and EDNS versions', () => {
    const trailing = vetRequest(bytes(`${WEB_QUERY} ffff ffff`));
    expect(trailing.verdict === 'answer' && trailing.request.type).toBe(1);
    const versioned = vetRequest(
      bytes('1234 0100 0001 0000 0000 0001 00 0001 0001 00 0029 0400 00010000 0000'),
    );
    expect(versioned.verdict === 'answer' && versioned.request.edns?.udpSize).toBe(1024);
  });

  it('never escape as anything but a format error', () => {
    const random = new SeededRandom(20201112);
    const seeds = [
      bytes(WEB_QUERY),
      bytes(WEB_ANSWER),
      buildQuery('_web._tcp.consul', 'SRV', { subnet: '2001:db8::/48' }),
    ];
    seeds.push(
      write([
        srvRecord(0, 1, 80, name('n1.node.dc1.consul')),
        cnameRecord(name('n1.node.dc1.consul'), 1, name('x.consul')),
        txtRecord(undefined, 2, 'a=b'),
      ]),
    );
    let read = 0;
    for (let i = 0; i < 20_000; i++) {
      const message = mutate(seeds[i % seeds.length] ?? new Uint8Array(0), random);
      try {
        const decoded = decodeMessage(message);
        for (const record of [...decoded.answers, ...decoded.authority, ...decoded.additional])
          presentData(record);
        read++;
      } catch (thrown) {
        if (!(thrown instanceof DnsFormatError)) throw thrown;
      }
      expect(['drop', 'refuse', 'answer']).toContain(vetRequest(message).verdict);
    }
    expect(read).toBeGreaterThan(500);
    expect(read).toBeLessThan(19_500);
  });
});

describe('names', () => {
  it.each([
    ['a\\.b.c', 'a\\.b.c.'],
    ['\\046x.y.', '\\.x.y.'],
    ['a\\032b', 'a\\032b.'],
    ['.', '.'],
    ['ü.example', '\\195\\188.example.'],
  ])('reads %j as %j', (text, shown) => {
    const parsed = nameFromPresentation(text);
    expect(parsed && presentName(parsed.wire)).toBe(shown);
  });

  it.each(['', 'a..b', '.a', 'a\\', 'a\\999', 'a\\25', `${'x'.repeat(64)}.y`, 'abcdefg.'.repeat(32)])(
    'refuses %j',
    (text) => {
      expect(nameFromPresentation(text)).toBeUndefined();
    },
  );
});
