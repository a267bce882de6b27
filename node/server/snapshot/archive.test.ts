import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { tarEnd, tarHeader, tarPadding } from '../../../shared/tar.ts';
import type { NodeId } from '../../raft/types.ts';
import { readArchive } from './archive-reader.ts';
import { writeArchive } from './archive-writer.ts';

const STATE = [Buffer.from('proconsul-state'), Buffer.alloc(300_000, 'z'), Buffer.from('end')];

async function written(release = () => {}): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  const archive = writeArchive({
    async *chunks() {
      yield* STATE;
    },
    release,
    index: 156,
    term: 2,
    peers: [{ id: 'id-1' as NodeId, address: '127.0.0.1:8300', isVoter: true }],
    configurationIndex: 1,
    timeMs: 1_795_241_507_238,
  });
  for await (const part of archive) parts.push(part);
  return Buffer.concat(parts);
}

async function* cut(bytes: Uint8Array, pieceBytes = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

async function read(bytes: Uint8Array, pieceBytes?: number): Promise<{ index: number; state: Buffer }> {
  const parts: Uint8Array[] = [];
  const meta = await readArchive(cut(bytes, pieceBytes), async (chunk) => void parts.push(chunk));
  return { index: meta.Index, state: Buffer.concat(parts) };
}

/** An archive of our own making, to be wrong in one way. */
function packed(files: readonly (readonly [name: string, content: string])[]): Buffer {
  const parts = files.flatMap(([name, content]) => {
    const bytes = Buffer.from(content);
    return [tarHeader({ name, size: bytes.length }, 0), bytes, tarPadding(bytes.length)];
  });
  return gzipSync(Buffer.concat([...parts, tarEnd()]));
}

const sha = (text: string) => createHash('sha256').update(text).digest('hex');
const META = JSON.stringify({ Version: 1, ID: '1-2-3', Index: 2, Term: 1, Size: 5 });
const SUMS = `${sha(META)}  meta.json\n${sha('state')}  state.bin\n`;

describe('the archive', () => {
  test('is what tar and gzip understand, in Consul’s form', async () => {
    const input = gunzipSync(await written());
    const run = (...options: string[]) => execFileSync('tar', options, { input, encoding: 'utf8' });
    expect(run('-tf', '-')).toBe('meta.json\nstate.bin\nSHA256SUMS\n');
    const meta = run('-xOf', '-', 'meta.json');
    expect(meta.endsWith('}\n')).toBe(true);
    expect(JSON.parse(meta)).toEqual({
      Version: 1,
      ID: '2-156-1795241507238',
      Index: 156,
      Term: 2,
      Peers: Buffer.from('\x91\xae127.0.0.1:8300', 'latin1').toString('base64'),
      Configuration: { Servers: [{ Suffrage: 0, ID: 'id-1', Address: '127.0.0.1:8300' }] },
      ConfigurationIndex: 1,
      Size: Buffer.concat(STATE).length,
    });
    const sums = run('-xOf', '-', 'SHA256SUMS').split('\n');
    expect(sums[0]).toBe(`${sha(meta)}  meta.json`);
  });

  test.each([1, 9, 10, 4096])('comes back from pieces of %i bytes', async (pieceBytes) => {
    const { index, state } = await read(await written(), pieceBytes);
    expect(index).toBe(156);
    expect(state.equals(Buffer.concat(STATE))).toBe(true);
  });

  test('lets go of the state when it was read, and when the reader breaks off', async () => {
    let released = 0;
    await written(() => released++);
    expect(released).toBe(1);
    const endless = writeArchive({
      async *chunks() {
        for (let i = 0; i < 100; i++) yield Buffer.alloc(100_000, i);
      },
      release: () => released++,
      index: 1,
      term: 1,
      peers: [],
      configurationIndex: 1,
      timeMs: 0,
    });
    for await (const _ of endless) break;
    expect(released).toBe(2);
  });

  test('fails when the state cannot be read', async () => {
    const failing = writeArchive({
      // biome-ignore lint/correctness/useYield: it fails before its first piece
      async *chunks() {
        throw new Error('disk on fire');
      },
      release: () => {},
      index: 1,
      term: 1,
      peers: [],
      configurationIndex: 1,
      timeMs: 0,
    });
    await expect(failing.next()).rejects.toThrow('disk on fire');
  });
});

describe('damage', () => {
  test.each([
    ['nothing', Buffer.alloc(0), 'failed to decompress snapshot: EOF'],
    ['a few bytes', Buffer.from('junk'), 'failed to decompress snapshot: unexpected EOF'],
    [
      'other bytes',
      Buffer.from('this is no snapshot'),
      'failed to decompress snapshot: gzip: invalid header',
    ],
    [
      'gzip of something else',
      gzipSync('x'.repeat(600)),
      'failed to read snapshot file: failed reading snapshot: archive/tar: invalid tar header',
    ],
    [
      'an empty tar',
      gzipSync(tarEnd()),
      'failed to read snapshot file: failed checking integrity of snapshot: file missing for "meta.json"',
    ],
    [
      'an unexpected file',
      packed([['other.txt', 'x']]),
      'failed to read snapshot file: unexpected file "other.txt" in snapshot',
    ],
    [
      'a file that is there twice',
      packed([
        ['meta.json', META],
        ['meta.json', META],
      ]),
      'failed to read snapshot file: file "meta.json" is there twice',
    ],
    [
      'no sums',
      packed([
        ['meta.json', META],
        ['state.bin', 'state'],
      ]),
      'failed to read snapshot file: failed checking integrity of snapshot: file missing for "meta.json"',
    ],
    [
      'a sum too many',
      packed([
        ['meta.json', META],
        ['SHA256SUMS', SUMS],
      ]),
      'failed to read snapshot file: failed checking integrity of snapshot: list missing hash for "state.bin"',
    ],
    [
      'another state',
      packed([
        ['meta.json', META],
        ['state.bin', 'stale'],
        ['SHA256SUMS', SUMS],
      ]),
      'failed to read snapshot file: failed checking integrity of snapshot: hash check failed for "state.bin"',
    ],
    [
      'sums that are none',
      packed([
        ['meta.json', META],
        ['state.bin', 'state'],
        ['SHA256SUMS', 'what'],
      ]),
      'failed to read snapshot file: failed checking integrity of snapshot: input does not match format',
    ],
    [
      'a description that is no JSON',
      packed([['meta.json', '{']]),
      /^failed to read snapshot file: failed to read snapshot metadata: /,
    ],
    [
      'a description without an index',
      packed([['meta.json', '{"ID":"x"}']]),
      'failed to read snapshot file: failed to read snapshot metadata: fields are missing',
    ],
  ])('%s is refused', async (_, bytes, text) => {
    await expect(read(bytes)).rejects.toMatchObject({
      status: 500,
      message: typeof text === 'string' ? text : expect.stringMatching(text),
    });
  });

  test('an archive that is cut anywhere is refused', async () => {
    const whole = await written();
    for (let length = 0; length < whole.length; length += 13)
      await expect(read(whole.subarray(0, length))).rejects.toThrow(
        /^failed to (?:decompress|read) snapshot/,
      );
  });

  test('an archive with any changed byte is refused, unless nothing in it has changed', async () => {
    const whole = await written();
    const sound = await read(whole);
    for (let at = 0; at < whole.length; at += 7) {
      const changed = Buffer.from(whole);
      changed.writeUInt8(changed.readUInt8(at) ^ 0x10, at);
      const result = await read(changed).catch((error: unknown) => String(error));
      // Times and names in the header of gzip mean nothing.
      if (typeof result !== 'string') expect(result.state.equals(sound.state)).toBe(true);
    }
  });

  test('what the taker of the state throws comes through, and an upload that breaks off ends it', async () => {
    const bytes = await written();
    const reason = new Error('no quorum');
    await expect(
      readArchive(cut(bytes), async () => {
        throw reason;
      }),
    ).rejects.toBe(reason);
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 500);
      throw new Error('client gone');
    }
    await expect(readArchive(broken(), async () => {})).rejects.toThrow('client gone');
  });

  test('a tar that unpacks to far more than it should is left early', async () => {
    const bomb = gzipSync(Buffer.concat([tarEnd(), Buffer.alloc(30_000_000)]));
    expect(bomb.length).toBeLessThan(100_000);
    await expect(read(bomb)).rejects.toThrow('data after the end of the archive');
  });
});
