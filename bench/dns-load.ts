/** A closed-loop DNS load over UDP: a fixed number of questions in flight, lost ones asked again after a second. */

import dgram from 'node:dgram';
import { type LoadResult, summarise } from './http-load.ts';

export interface DnsLoad {
  readonly host: string;
  readonly port: number;
  readonly name: string;
  /** Numeric record type: 1 A, 33 SRV. */
  readonly type: number;
  readonly inFlight: number;
  readonly durationMs: number;
}

const BUCKET_MS = 0.05;
const BUCKETS = 200_000;
const LOST_AFTER_MS = 1000;

export function runDnsLoad(load: DnsLoad): Promise<LoadResult> {
  const histogram = new Uint32Array(BUCKETS);
  const counts = { done: 0, errors: 0 };
  const sentAt = new Float64Array(load.inFlight);
  const query = encodeQuery(load.name, load.type);
  const socket = dgram.createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
  const started = performance.now();
  const until = started + load.durationMs;

  const ask = (slot: number) => {
    sentAt[slot] = performance.now();
    query.writeUInt16BE(slot, 0);
    socket.send(Buffer.from(query), load.port, load.host);
  };

  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('message', (answer) => {
      const slot = answer.readUInt16BE(0);
      const now = performance.now();
      const bucket = Math.min(BUCKETS - 1, Math.floor((now - (sentAt[slot] ?? now)) / BUCKET_MS));
      histogram[bucket] = (histogram[bucket] ?? 0) + 1;
      counts.done++;
      if ((answer.readUInt16BE(2) & 0xf) !== 0) counts.errors++;
      if (now < until) ask(slot);
    });
    const check = setInterval(() => {
      const now = performance.now();
      if (now >= until) {
        clearInterval(check);
        socket.close();
        resolve(summarise(histogram, counts, now - started));
        return;
      }
      sentAt.forEach((at, slot) => {
        if (now - at > LOST_AFTER_MS) ask(slot);
      });
    }, 50);
    for (let slot = 0; slot < load.inFlight; slot++) ask(slot);
  });
}

function encodeQuery(name: string, type: number): Buffer {
  const labels = name
    .split('.')
    .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  const head = Buffer.from([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([head, ...labels, Buffer.from([0, type >> 8, type & 0xff, 0, 1])]);
}
