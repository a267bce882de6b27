/**
 * Runs a transcript against the membership core: blocks of one command, `----`, and the trace that it must give.
 *
 * Commands: `new NAME`, `start`, `advance MS`, `hear TYPE key=value…`, `merge NAME=STATE:INCARNATION…`, `tcp SEQ ok|failed`,
 * `leave`, `nodes`, `score`. Lines that begin with `#` are comments. `advance` prints the time of each effect.
 */

import { SeededRandom } from '../../../shared/simulated-env.ts';
import { ipBytes } from '../codec/ip-address.ts';
import { OWN_VERSIONS } from '../codec/message-type.ts';
import { decodeMessage, type SwimMessage } from '../codec/messages.ts';
import type { PushNodeState, RemoteState } from '../codec/push-pull.ts';
import type { SwimEffect, SwimInput } from '../swim/context.ts';
import { Swim } from '../swim/swim.ts';
import { LAN_TIMERS } from '../timers.ts';

const NO_BYTES = new Uint8Array(0);
const NO_SOURCE = { sourceAddress: NO_BYTES, sourcePort: 0, sourceNode: '' };

/** The transcript with every trace as the core gives it now. */
export function runTranscript(text: string): string {
  const run = new TranscriptRun();
  const blocks = text.split('\n\n').filter((block) => block.trim() !== '');
  return `${blocks.map((block) => replayBlock(run, block)).join('\n\n')}\n`;
}

function replayBlock(run: TranscriptRun, block: string): string {
  const lines = block.trim().split('\n');
  const comments = lines.filter((line) => line.startsWith('#'));
  const command = lines.find((line) => !line.startsWith('#') && line !== '----');
  if (command === undefined) return comments.join('\n');
  return [...comments, command, '----', ...run.command(command)].join('\n');
}

class TranscriptRun {
  #swim: Swim | undefined;
  #nowMs = 0;

  command(line: string): string[] {
    const [verb = '', ...words] = line.split(' ');
    const fields = Object.fromEntries(words.map((word) => word.split('=')));
    switch (verb) {
      case 'new':
        this.#create(words[0] ?? 'me');
        return ['ok'];
      case 'start':
      case 'leave':
        return this.#step({ kind: verb });
      case 'advance':
        return this.#advance(Number(words[0]));
      case 'hear':
        return this.#hear(messageOf(words[0] ?? '', fields), fields);
      case 'merge':
        return this.#step({ kind: 'merge', nodes: words.map(stateOf) });
      case 'tcp':
        return this.#step({ kind: 'tcp-ping-result', seqNo: Number(words[0]), isReached: words[1] === 'ok' });
      case 'nodes':
        return this.#core()
          .table()
          .map((node) => `${node.name} ${node.state} inc=${node.incarnation}`)
          .sort();
      case 'score':
        return [String(this.#core().healthScore)];
      default:
        throw new Error(`unknown command ${verb}`);
    }
  }

  #create(nodeName: string): void {
    const address = Uint8Array.of(10, 0, 0, 1);
    const config = { nodeName, address, port: 8301, bindPort: 8301, meta: NO_BYTES, packetBytes: 1398 };
    this.#swim = new Swim(
      { ...config, timers: { ...LAN_TIMERS, pushPullIntervalMs: 0 } },
      new SeededRandom(1),
      {
        takeBroadcasts: () => [],
        ackPayload: () => NO_BYTES,
        refusal: (alive) => (alive.node.startsWith('stranger') ? 'a stranger' : undefined),
      },
    );
  }

  #core(): Swim {
    if (this.#swim === undefined) throw new Error('new comes first');
    return this.#swim;
  }

  #hear(message: SwimMessage, fields: Record<string, string>): string[] {
    return this.#step({ kind: 'message', message, ...endpointOf(fields.at ?? '10.0.0.9:8301') });
  }

  #step(input: SwimInput): string[] {
    const lines = this.#core()
      .step(input, this.#nowMs)
      .map((effect) => describeEffect(effect));
    return lines.length === 0 ? ['nothing'] : lines;
  }

  #advance(ms: number): string[] {
    const target = this.#nowMs + ms;
    const lines: string[] = [];
    for (let due = this.#core().nextDueMs; due !== undefined && due <= target; due = this.#core().nextDueMs) {
      this.#nowMs = due;
      for (const effect of this.#core().step({ kind: 'tick' }, due))
        lines.push(`${(due / 1000).toFixed(3)}s ${describeEffect(effect)}`);
    }
    this.#nowMs = target;
    return lines.length === 0 ? ['nothing'] : lines;
  }
}

function describeEffect(effect: SwimEffect): string {
  switch (effect.kind) {
    case 'send':
      return `${effect.host} <- ${effect.messages.map(describeMessage).join(' | ')}${effect.withCrc ? ' (crc)' : ''}`;
    case 'tcp-ping':
      return `${effect.host} <- tcp ${describeMessage(effect.message)} within ${effect.timeoutMs} ms`;
    case 'push-pull':
      return `push-pull ${effect.name}`;
    case 'joined':
    case 'updated':
    case 'gone':
      return `${effect.kind} ${effect.node.name} ${effect.node.host} ${effect.node.state}`;
    case 'conflict':
      return `conflict ${effect.known.name} ${effect.host}`;
    case 'round-trip':
      return `round-trip ${effect.node.name} ${Math.round(effect.elapsedMs)} ms`;
    case 'leave-announced':
      return effect.kind;
    case 'log':
      return `[${effect.level}] ${effect.message}`;
    default:
      return effect satisfies never;
  }
}

function describeMessage(bytes: Uint8Array): string {
  const message = decodeMessage(bytes);
  switch (message?.type) {
    case 'ping':
      return `ping ${message.node} seq=${message.seqNo}`;
    case 'indirect-ping':
      return `indirect-ping ${message.node} seq=${message.seqNo} nack=${message.nack}`;
    case 'ack':
    case 'nack':
      return `${message.type} seq=${message.seqNo}`;
    case 'alive':
      return `alive ${message.node} inc=${message.incarnation}`;
    case 'suspect':
    case 'dead':
      return `${message.type} ${message.node} inc=${message.incarnation} from=${message.from}`;
    case undefined:
      return 'unreadable';
    default:
      return message satisfies never;
  }
}

function messageOf(type: string, fields: Record<string, string>): SwimMessage {
  const seqNo = Number(fields.seq ?? 0);
  const node = fields.node ?? '';
  const incarnation = Number(fields.inc ?? 0);
  const { host, port } = endpointOf(fields.addr ?? '10.0.0.2:8301');
  const address = ipBytes(host) ?? NO_BYTES;
  switch (type) {
    case 'ping':
      return { type, seqNo, node, ...NO_SOURCE };
    case 'indirect-ping':
      return { type, seqNo, node, target: address, port, nack: fields.nack === 'true', ...NO_SOURCE };
    case 'ack':
      return { type, seqNo, payload: NO_BYTES };
    case 'nack':
      return { type, seqNo };
    case 'alive': {
      const meta = new Uint8Array(Buffer.from(fields.meta ?? ''));
      return { type, incarnation, node, address, port, meta, versions: OWN_VERSIONS };
    }
    case 'suspect':
    case 'dead':
      return { type, incarnation, node, from: fields.from ?? '' };
    default:
      throw new Error(`unknown message ${type}`);
  }
}

/** `n2=alive:3`: node n2 at 10.0.0.2, incarnation 3. */
function stateOf(word: string): PushNodeState {
  const [, name = '', last = '', state = '', incarnation = ''] = /^(n(\d+))=(\w+):(\d+)$/.exec(word) ?? [];
  return {
    name,
    address: Uint8Array.of(10, 0, 0, Number(last)),
    port: 8301,
    meta: NO_BYTES,
    incarnation: Number(incarnation),
    state: remoteState(state),
    versions: OWN_VERSIONS,
  };
}

function remoteState(text: string): RemoteState {
  const known = (['alive', 'suspect', 'dead', 'left'] as const).find((state) => state === text);
  if (known === undefined) throw new Error(`unknown state ${text}`);
  return known;
}

function endpointOf(text: string): { host: string; port: number } {
  const [host = '', port = '8301'] = text.split(':');
  return { host, port: Number(port) };
}
