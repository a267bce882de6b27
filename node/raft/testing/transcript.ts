/**
 * Runs transcripts: text files of commands to a few cores, each with the full trace that it must give.
 *
 * A file is blocks separated by blank lines: `#` comments, one or more commands, `----`, the trace. Time stands still
 * but for `advance` and `timeout`; every random draw is 0.5 unless `random` says otherwise. The commands are
 * listed at `COMMANDS`.
 */

import { ConfigurationHistory, encodePeers } from '../core/configuration.ts';
import { RaftCore } from '../core/core.ts';
import { asIndex, asNodeId, asTerm, type LogEntry, NO_BYTES, type SnapshotMeta } from '../core/entry.ts';
import type { Input } from '../core/input.ts';
import { RaftLog } from '../core/log.ts';
import type { Envelope, Message } from '../core/messages.ts';
import type { CoreTiming } from '../core/options.ts';
import type { Notice, Write } from '../core/outbox.ts';
import type { NodeId, RaftPeer } from '../types.ts';

interface Actor {
  readonly id: NodeId;
  core: RaftCore;
  readonly random: { value: number };
  /** Written but not yet reported as durable. */
  unsaved: Write[];
  installing: SnapshotMeta | undefined;
}

interface Sent extends Envelope {
  readonly from: NodeId;
}

type Command = (transcript: Transcript, args: readonly string[]) => void;

const TIMING: CoreTiming = { heartbeatMs: 10, electionMs: 100, leaseMs: 80 };
const MAX_STABILIZE_ROUNDS = 100;

const COMMANDS: Readonly<Record<string, Command>> = {
  /** `timing voteHoldMs=60 leaseMs=50 commitNoticeMs=5`: for the clusters made after it. */
  timing: (t, fields) => {
    const changed = [...parseFields(fields)].map(([name, value]) => [name, Number(value)]);
    t.timing = { ...TIMING, ...Object.fromEntries(changed) };
  },
  /** `cluster n1 n2 n3 n4?`: servers bootstrapped with these; `?` marks a learner. */
  cluster: (t, args) => t.cluster(args),
  /** `server n4`: one more, without any state. */
  server: (t, [id = '']) => t.addEmpty(asNodeId(id)),
  /**
   * `restart n1 term=3 vote=n2 commit=1 terms=1,1,2 max=1`: as after a start, with entries of these terms from 2 on,
   * sending at most `max` (4 unless given) entries at a time.
   */
  restart: (t, [id = '', ...fields]) => t.restart(asNodeId(id), parseFields(fields)),
  /** `random n1 0.2` */
  random: (t, [id = '', value = '0.5']) => {
    t.actor(id).random.value = Number(value);
  },
  /** `advance 50`: time passes; whose deadline is due gets its tick. */
  advance: (t, [ms = '0']) => t.advance(Number(ms)),
  /** `timeout n1`: time passes until the deadline of this one; only it gets a tick. */
  timeout: (t, [id = '']) => t.timeout(t.actor(id)),
  /** `propose n1 a b` */
  propose: (t, [id = '', ...texts]) =>
    t.step(id, { kind: 'propose', commands: texts.map((text) => new TextEncoder().encode(text)) }),
  /** `read n1 7`: with context 7. */
  read: (t, [id = '', context = '0']) => t.step(id, { kind: 'read', context: Number(context) }),
  /** `add n1 n4` or `add n1 n4?` */
  add: (t, [id = '', peer = '']) =>
    t.step(id, { kind: 'change-membership', change: { kind: 'add', peer: parsePeer(peer) } }),
  remove: (t, [id = '', peer = '']) =>
    t.step(id, { kind: 'change-membership', change: { kind: 'remove', id: asNodeId(peer) } }),
  /** `transfer n1 n2` */
  transfer: (t, [id = '', to]) =>
    t.step(id, { kind: 'transfer', to: to === undefined ? undefined : asNodeId(to) }),
  /** `snapshot n1 5`: taken at 5, all up to it compacted. */
  snapshot: (t, [id = '', index = '0']) => t.snapshot(t.actor(id), Number(index)),
  /** `installed n3`: the driver has the snapshot that the core asked for. */
  installed: (t, [id = '']) => t.installed(t.actor(id)),
  /** `disk n1 stuck` or `disk n1 works` */
  disk: (t, [id = '', what]) => t.step(id, { kind: 'storage', isStuck: what === 'stuck' }),
  unreachable: (t, [id = '', peer = '']) => t.step(id, { kind: 'unreachable', id: asNodeId(peer) }),
  'stream-closed': (t, [id = '', peer = '']) => t.step(id, { kind: 'stream-closed', id: asNodeId(peer) }),
  /** `ready n1`: takes what it wants done; messages are under way then. */
  ready: (t, ids) => {
    for (const id of ids) t.ready(t.actor(id));
  },
  /** `persist n1`: all its writes are durable. */
  persist: (t, ids) => {
    for (const id of ids) t.persist(t.actor(id));
  },
  /** `deliver n2`: what is under way to it arrives. */
  deliver: (t, ids) => {
    for (const id of ids) t.deliver(t.actor(id));
  },
  /** `drop n2`: what is under way to it is lost. */
  drop: (t, ids) => {
    for (const id of ids) t.drop(asNodeId(id));
  },
  /** `cut n1 n2`: nothing gets to or from these until `heal`. */
  cut: (t, ids) => {
    for (const id of ids) t.isCut.add(asNodeId(id));
  },
  heal: (t) => t.isCut.clear(),
  /** `stabilize`: ready, persist and deliver, everywhere, until nothing more happens. */
  stabilize: (t, ids) => t.stabilize(ids.map(asNodeId)),
  /** Role, term, log and commit of each. */
  status: (t) => t.status(),
  /** What a leader knows of its peers. */
  progress: (t, [id = '']) => t.progress(t.actor(id)),
  lease: (t, [id = '']) => t.say(`${id} ${t.actor(id).core.hasLease(t.nowMs) ? 'holds' : 'has no'} lease`),
};

/** Runs the commands of one file and returns it with the traces that they gave. */
export function runTranscript(source: string): string {
  const transcript = new Transcript();
  const blocks = source.trimEnd().split(/\n\n+/);
  return `${blocks.map((block) => runBlock(transcript, block)).join('\n\n')}\n`;
}

function runBlock(transcript: Transcript, block: string): string {
  const lines = block.split('\n');
  const separator = lines.indexOf('----');
  const input = separator === -1 ? lines : lines.slice(0, separator);
  const commands = input.filter((line) => line !== '' && !line.startsWith('#'));
  if (commands.length === 0) return block;
  for (const line of commands) {
    const [name = '', ...args] = line.trim().split(/\s+/);
    const command = COMMANDS[name];
    if (command === undefined) throw new Error(`unknown command: ${line}`);
    command(transcript, args);
  }
  const output = transcript.takeOutput();
  return [...input, '----', ...(output.length === 0 ? ['ok'] : output)].join('\n');
}

class Transcript {
  nowMs = 0;
  timing = TIMING;
  readonly isCut = new Set<NodeId>();
  readonly #actors = new Map<NodeId, Actor>();
  #underWay: Sent[] = [];
  #output: string[] = [];
  #peers: readonly RaftPeer[] = [];

  takeOutput(): readonly string[] {
    const taken = this.#output;
    this.#output = [];
    return taken;
  }

  say(line: string): void {
    this.#output.push(line);
  }

  actor(id: string): Actor {
    const found = this.#actors.get(asNodeId(id));
    if (found === undefined) throw new Error(`no server ${id}`);
    return found;
  }

  cluster(ids: readonly string[]): void {
    this.#peers = ids.map(parsePeer);
    for (const peer of this.#peers) this.restart(peer.id, new Map());
  }

  addEmpty(id: NodeId): void {
    this.#create(id, new RaftLog(), { term: 0, vote: undefined, commit: 0 }, new ConfigurationHistory());
  }

  restart(id: NodeId, fields: ReadonlyMap<string, string>): void {
    const log = new RaftLog();
    log.append(configurationEntry(this.#peers));
    const terms = fields.get('terms')?.split(',').map(Number) ?? [];
    for (const term of terms)
      log.append({ index: asIndex(log.lastIndex + 1), term: asTerm(term), kind: 'noop', data: NO_BYTES });
    const history = new ConfigurationHistory();
    history.append({ index: asIndex(1), peers: this.#peers });
    const vote = fields.get('vote');
    this.#create(
      id,
      log,
      {
        term: Number(fields.get('term') ?? log.lastTerm),
        vote: vote === undefined ? undefined : asNodeId(vote),
        commit: Number(fields.get('commit') ?? 0),
      },
      history,
      Number(fields.get('max') ?? 4),
    );
  }

  step(id: string, input: Input): void {
    const outcome = this.actor(id).core.step(input, this.nowMs);
    if (outcome.kind === 'refused') this.say(`${id} refuses, ${outcome.reason}: ${outcome.text}`);
    if (outcome.kind === 'appended')
      this.say(`${id} appends at ${outcome.firstIndex} in term ${outcome.term}`);
  }

  advance(ms: number): void {
    this.nowMs += ms;
    for (const { id, core } of this.#actors.values())
      if (core.nextDeadlineMs() <= this.nowMs) this.step(id, { kind: 'tick' });
  }

  timeout(actor: Actor): void {
    this.nowMs = Math.max(this.nowMs, actor.core.nextDeadlineMs());
    this.step(actor.id, { kind: 'tick' });
  }

  snapshot(actor: Actor, at: number): void {
    const { log, configurations } = actor.core.state;
    const index = asIndex(at);
    const configuration = configurations.at(index);
    const meta: SnapshotMeta = {
      index,
      term: log.termAt(at) ?? asTerm(0),
      peers: configuration.peers,
      configurationIndex: configuration.index,
    };
    this.step(actor.id, { kind: 'snapshot-taken', meta, compactTo: index });
  }

  installed(actor: Actor): void {
    if (actor.installing === undefined) throw new Error(`${actor.id} installs nothing`);
    this.step(actor.id, { kind: 'snapshot-installed', meta: actor.installing });
    actor.installing = undefined;
  }

  /** @returns whether there was anything to do */
  ready(actor: Actor): boolean {
    const ready = actor.core.ready(this.nowMs);
    for (const notice of ready.notices) this.say(`${actor.id} ${formatNotice(notice)}`);
    if (ready.write !== undefined) {
      actor.unsaved.push(ready.write);
      this.say(`${actor.id} writes ${formatWrite(ready.write)}`);
    }
    if (ready.installSnapshot !== undefined) {
      actor.installing = ready.installSnapshot;
      this.say(`${actor.id} installs snapshot ${ready.installSnapshot.index}/${ready.installSnapshot.term}`);
    }
    for (const { to, message } of ready.messages) {
      this.say(`${actor.id}->${to} ${formatMessage(message)}`);
      if (!this.isCut.has(actor.id) && !this.isCut.has(to))
        this.#underWay.push({ from: actor.id, to, message });
    }
    return ready.messages.length > 0 || ready.notices.length > 0 || ready.write !== undefined;
  }

  persist(actor: Actor): boolean {
    const last = actor.unsaved.at(-1);
    actor.unsaved = [];
    if (last === undefined) return false;
    this.step(actor.id, { kind: 'persisted', sequence: last.sequence });
    return true;
  }

  deliver(actor: Actor): boolean {
    const arriving = this.#underWay.filter((sent) => sent.to === actor.id);
    this.#underWay = this.#underWay.filter((sent) => sent.to !== actor.id);
    for (const { from, message } of arriving) this.step(actor.id, { kind: 'message', from, message });
    return arriving.length > 0;
  }

  drop(id: NodeId): void {
    for (const { from, to, message } of this.#underWay)
      if (to === id) this.say(`lost: ${from}->${to} ${formatMessage(message)}`);
    this.#underWay = this.#underWay.filter((sent) => sent.to !== id);
  }

  stabilize(ids: readonly NodeId[]): void {
    const actors = [...this.#actors.values()].filter((actor) => ids.length === 0 || ids.includes(actor.id));
    for (let round = 0; round < MAX_STABILIZE_ROUNDS; round++) {
      let isBusy = false;
      for (const actor of actors) isBusy = this.ready(actor) || isBusy;
      for (const actor of actors) isBusy = this.persist(actor) || isBusy;
      for (const actor of actors) isBusy = this.deliver(actor) || isBusy;
      if (!isBusy) return;
    }
    throw new Error('does not come to rest');
  }

  status(): void {
    for (const { id, core } of this.#actors.values()) {
      const { role, term, vote, leader, log, commitIndex, configurations } = core.state;
      const entries = log.between(log.firstIndex, log.lastIndex).map(formatEntry).join(' ');
      const base = log.baseIndex === 0 ? '' : `(${log.baseIndex}/${log.baseTerm}) `;
      const members = formatPeers(configurations.current.peers);
      this.say(
        `${id} ${role} term=${term} vote=${vote ?? '-'} leader=${leader ?? '-'} commit=${commitIndex} members=${members} log=${base}${entries}`,
      );
    }
  }

  progress(actor: Actor): void {
    for (const [id, peer] of actor.core.state.leadership?.progress ?? []) {
      const departing = peer.departing === undefined ? '' : ' departing';
      this.say(
        `${id} ${peer.state} match=${peer.match} next=${peer.next} inflight=${peer.inflightCount}${departing}`,
      );
    }
  }

  #create(
    id: NodeId,
    log: RaftLog,
    state: { readonly term: number; readonly vote: NodeId | undefined; readonly commit: number },
    configurations: ConfigurationHistory,
    maxEntriesPerAppend = 4,
  ): void {
    const random = { value: 0.5 };
    const limits = {
      maxEntriesPerAppend,
      maxBytesPerAppend: 1000,
      maxInflightAppends: 2,
      maxInflightBytes: 10_000,
      maxUncommittedBytes: 200,
    };
    const core = new RaftCore(
      { id, timing: this.timing, limits, random: () => random.value },
      {
        hardState: { term: asTerm(state.term), vote: state.vote },
        log,
        configurations,
        commitIndex: asIndex(state.commit),
        snapshot: undefined,
      },
      this.nowMs,
    );
    this.#actors.set(id, { id, core, random, unsaved: [], installing: undefined });
  }
}

function parsePeer(text: string): RaftPeer {
  const id = text.replace('?', '');
  return { id: asNodeId(id), address: `${id}:8300`, isVoter: !text.endsWith('?') };
}

function parseFields(fields: readonly string[]): ReadonlyMap<string, string> {
  return new Map(fields.map((field) => [field.split('=')[0] ?? '', field.split('=')[1] ?? '']));
}

function configurationEntry(peers: readonly RaftPeer[]): LogEntry {
  return { index: asIndex(1), term: asTerm(1), kind: 'configuration', data: encodePeers(peers) };
}

const formatPeers = (peers: readonly RaftPeer[]): string =>
  peers.map((peer) => peer.id + (peer.isVoter ? '' : '?')).join(',');

function formatEntry(entry: LogEntry): string {
  const what = entry.kind === 'command' ? `"${new TextDecoder().decode(entry.data)}"` : entry.kind;
  return `${entry.index}/${entry.term}:${what}`;
}

function formatWrite(write: Write): string {
  const { hardState, entries } = write;
  const parts = [
    hardState === undefined ? '' : `term=${hardState.term} vote=${hardState.vote ?? '-'}`,
    entries.map(formatEntry).join(' '),
  ];
  return parts.filter((part) => part !== '').join(' ');
}

function formatMessage(message: Message): string {
  switch (message.kind) {
    case 'vote-request':
      return `${message.isPreVote ? 'pre-' : ''}vote-request term=${message.term} last=${message.lastIndex}/${message.lastTerm}${message.isForced ? ' forced' : ''}`;
    case 'vote-reply':
      return `${message.isPreVote ? 'pre-' : ''}vote-reply term=${message.term} ${message.granted ? 'granted' : 'refused'}`;
    case 'append':
      return `append term=${message.term} prev=${message.prevIndex}/${message.prevTerm} commit=${message.commitIndex} round=${message.stamp.round} [${message.entries.map(formatEntry).join(' ')}]`;
    case 'append-reply':
      return message.accepted
        ? `append-reply term=${message.term} accepted up to ${message.index}`
        : `append-reply term=${message.term} refused after ${message.index}, hint ${message.hintIndex}/${message.hintTerm}`;
    case 'heartbeat':
      return `heartbeat term=${message.term} commit=${message.commitIndex} round=${message.stamp.round}`;
    case 'heartbeat-reply':
      return `heartbeat-reply term=${message.term} round=${message.stamp.round}`;
    case 'timeout-now':
      return `timeout-now term=${message.term} round=${message.round}`;
    case 'read-index':
      return `read-index term=${message.term} batch=${message.batch}`;
    case 'read-index-reply':
      return `read-index-reply term=${message.term} batch=${message.batch} index=${message.index}`;
    case 'install-snapshot':
      return `install-snapshot term=${message.term} ${message.meta.index}/${message.meta.term}`;
  }
}

function formatNotice(notice: Notice): string {
  switch (notice.kind) {
    case 'became-follower':
      return `follows ${notice.leader ?? 'nobody'} in term ${notice.term}`;
    case 'heartbeat-timeout':
      return `hears no leader, last was ${notice.lastLeader ?? 'none'}`;
    case 'became-candidate':
      return `${notice.isPreVote ? 'asks whether it could win' : 'is a candidate in'} term ${notice.term}`;
    case 'won-election':
      return `leads in term ${notice.term}, tally ${notice.tally}`;
    case 'lost-quorum':
      return `has lost its quorum in term ${notice.term}`;
    case 'no-known-peers':
      return 'knows no peers';
    case 'not-a-voter':
      return 'is no voter';
    case 'configuration':
      return `has the configuration of entry ${notice.index}`;
    case 'transfer-aborted':
      return `gives up the transfer to ${notice.to}`;
    case 'storage-stuck':
      return `cannot store and gives up the lead in term ${notice.term}`;
    case 'reads-confirmed':
      return `confirms reads ${notice.contexts} at ${notice.index}`;
    case 'reads-failed':
      return `fails reads ${notice.contexts}`;
  }
}
