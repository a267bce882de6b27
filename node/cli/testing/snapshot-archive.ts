/** Makes snapshot archives, whole ones and damaged ones. */

import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';

const META = {
  Version: 1,
  ID: '2-16-1795244668762',
  Index: 16,
  Term: 2,
  Peers: '',
  Configuration: { Servers: [] },
  ConfigurationIndex: 1,
  Size: 5374,
};

export interface ArchiveParts {
  readonly meta?: string;
  readonly state?: Buffer;
  readonly sums?: string;
  readonly extra?: string;
}

export function snapshotArchive(parts: ArchiveParts = {}): Buffer {
  const meta = parts.meta ?? `${JSON.stringify(META)}\n`;
  const state = parts.state ?? Buffer.alloc(5374, 'state');
  const digest = (content: string | Buffer) => createHash('sha256').update(content).digest('hex');
  const sums = parts.sums ?? `${digest(meta)}  meta.json\n${digest(state)}  state.bin\n`;
  const files: [string, string | Buffer][] = [
    ['meta.json', meta],
    ['state.bin', state],
    ['SHA256SUMS', sums],
  ];
  if (parts.extra !== undefined) files.push([parts.extra, 'x']);
  return gzipSync(
    Buffer.concat([...files.flatMap(([name, content]) => tarFile(name, content)), Buffer.alloc(1024)]),
  );
}

function tarFile(name: string, content: string | Buffer): Buffer[] {
  const body = Buffer.from(content);
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write('0000600\0', 100);
  header.write(`${body.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('        ', 148);
  header.write('0', 156);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return [header, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
}
