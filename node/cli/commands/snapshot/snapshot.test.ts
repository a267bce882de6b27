import { existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, expect, test } from 'vitest';
import { type FakeAgent, startFakeAgent } from '../../testing/fake-agent.ts';
import { runCli } from '../../testing/run-cli.ts';
import { snapshotArchive } from '../../testing/snapshot-archive.ts';

const folder = mkdtempSync(join(tmpdir(), 'snapshot-test-'));
let agent: FakeAgent | undefined;

afterEach(async () => {
  await agent?.close();
  agent = undefined;
});

function file(name: string, content: Buffer | string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

test('inspect shows what the archive says about itself', async () => {
  const path = file('whole.snap', snapshotArchive());
  expect(await runCli(['snapshot', 'inspect', path])).toEqual({
    code: 0,
    out: 'ID           2-16-1795244668762\nSize         5374\nIndex        16\nTerm         2\nVersion      1\n\n',
    err: '',
  });
});

const whole = snapshotArchive();
const wrongSums = `${'0'.repeat(64)}  meta.json\n${'0'.repeat(64)}  state.bin\n`;
test.each<[string, Buffer | string, string]>([
  ['junk', 'junk', 'failed to decompress snapshot: unexpected EOF'],
  ['nothing', '', 'failed to decompress snapshot: EOF'],
  ['another format', 'this is not gzip at all', 'failed to decompress snapshot: gzip: invalid header'],
  ['half of it', whole.subarray(0, whole.length / 2), 'failed to read snapshot file: unexpected EOF'],
  [
    'no tar',
    gzipSync(Buffer.alloc(600, 'x')),
    'failed to read snapshot file: archive/tar: invalid tar header',
  ],
  [
    'an empty tar',
    gzipSync(Buffer.alloc(1024)),
    'failed to read snapshot file: failed checking integrity of snapshot: file missing: "meta.json"',
  ],
  [
    'other digests',
    snapshotArchive({ sums: wrongSums }),
    'failed to read snapshot file: failed checking integrity of snapshot: hash check failed for "meta.json"',
  ],
  [
    'a file too many',
    snapshotArchive({ extra: 'evil' }),
    'failed to read snapshot file: unexpected file "evil" in snapshot',
  ],
])('inspect refuses %s', async (name, content, text) => {
  const path = file(`${name.replaceAll(' ', '-')}.snap`, content);
  expect(await runCli(['snapshot', 'inspect', path])).toEqual({
    code: 1,
    out: '',
    err: `Error verifying snapshot: ${text}\n`,
  });
});

test('a flipped byte of the state is found', async () => {
  const state = Buffer.alloc(300_000, 'state');
  const good = snapshotArchive({ state });
  expect((await runCli(['snapshot', 'inspect', file('big.snap', good)])).code).toBe(0);
  const flipped = Buffer.from(state);
  flipped[150_000] = 0;
  const { createHash } = await import('node:crypto');
  const digest = (content: string | Buffer) => createHash('sha256').update(content).digest('hex');
  const meta = '{"Version":1}\n';
  const sums = `${digest(meta)}  meta.json\n${digest(state)}  state.bin\n`;
  const bad = snapshotArchive({ meta, state: flipped, sums });
  expect((await runCli(['snapshot', 'inspect', file('bad.snap', bad)])).err).toContain(
    'hash check failed for "state.bin"',
  );
});

test('save writes a checked file that only its owner reads', async () => {
  agent = await startFakeAgent({
    'GET /v1/snapshot': { body: snapshotArchive(), headers: { 'X-Consul-Index': '17' } },
  });
  const path = join(folder, 'saved.snap');
  expect(await runCli(['snapshot', 'save', '-stale', '-datacenter=dc2', path], agent)).toEqual({
    code: 0,
    out: 'Saved and verified snapshot to index 17\n',
    err: '',
  });
  expect(readFileSync(path)).toEqual(snapshotArchive());
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(existsSync(`${path}.unverified`)).toBe(false);
  const query = agent.requests.at(-1)?.query;
  expect([query?.get('dc'), query?.has('stale')]).toEqual(['dc2', true]);
});

test('what does not hold the check is not kept', async () => {
  agent = await startFakeAgent({ 'GET /v1/snapshot': { body: 'junk' } });
  const path = join(folder, 'kept.snap');
  writeFileSync(path, 'the one before');
  expect(await runCli(['snapshot', 'save', path], agent)).toEqual({
    code: 1,
    out: '',
    err: 'Error verifying snapshot file: failed to decompress snapshot: unexpected EOF\n',
  });
  expect(readFileSync(path, 'utf8')).toBe('the one before');
  expect(existsSync(`${path}.unverified`)).toBe(false);
});

test('save says which step failed', async () => {
  agent = await startFakeAgent({ 'GET /v1/snapshot': { status: 500, body: 'No cluster leader' } });
  const path = join(folder, 'nowhere', 'x.snap');
  expect((await runCli(['snapshot', 'save', path], agent)).err).toBe(
    'Error saving snapshot: Unexpected response code: 500 (No cluster leader)\n',
  );
  await agent.close();
  agent = await startFakeAgent({ 'GET /v1/snapshot': { body: snapshotArchive() } });
  expect((await runCli(['snapshot', 'save', path], agent)).err).toBe(
    `Error writing unverified snapshot file: open ${path}.unverified: no such file or directory\n`,
  );
});

test('restore sends the file as it is', async () => {
  agent = await startFakeAgent({ 'PUT /v1/snapshot': {} });
  const content = snapshotArchive({ state: Buffer.alloc(200_000, 'ab') });
  const path = file('restore.snap', content);
  expect(await runCli(['snapshot', 'restore', path], agent)).toEqual({
    code: 0,
    out: 'Restored snapshot\n',
    err: '',
  });
  expect(agent.requests.at(-1)?.body).toEqual(content);
});

test('a file that is not there is named, and the argument is required', async () => {
  const path = join(folder, 'none.snap');
  const text = `Error opening snapshot file: open ${path}: no such file or directory\n`;
  expect(await runCli(['snapshot', 'restore', path])).toEqual({ code: 1, out: '', err: text });
  expect(await runCli(['snapshot', 'inspect', path])).toEqual({ code: 1, out: '', err: text });
  for (const command of ['save', 'restore', 'inspect']) {
    expect((await runCli(['snapshot', command])).err).toBe('Missing FILE argument\n');
    expect((await runCli(['snapshot', command, 'a', 'b'])).err).toBe(
      'Too many arguments (expected 1, got 2)\n',
    );
  }
});

test('save lets go of the answer when the file cannot be written', async () => {
  agent = await startFakeAgent({ 'GET /v1/snapshot': { body: 'begin', staysOpen: true } });
  const path = join(folder, 'missing', 'x');
  const run = await runCli(['snapshot', 'save', path], { address: agent.address });
  expect(run.err).toBe(
    `Error writing unverified snapshot file: open ${path}.unverified: no such file or directory\n`,
  );
  await expect.poll(() => agent?.open.size).toBe(0);
});
