/** One gossip pool, LAN or WAN: binds the membership cores to sockets, clock, snapshot and keyring files. */

import { isIP } from 'node:net';
import { type Env, shuffle, sleep } from '../../shared/env.ts';
import type { Logger } from '../../shared/log.ts';
import type { Coordinate } from '../../shared/types/v1.ts';
import { hostPort, ipBytes } from './codec/ip-address.ts';
import { Keyring } from './codec/keyring.ts';
import { OWN_VERSIONS } from './codec/message-type.ts';
import { encodeKeyRequest } from './codec/query-payloads.ts';
import { encodeSerfMessage } from './codec/serf-messages.ts';
import { encodeTags } from './codec/tags.ts';
import type { Endpoint, GossipTransport } from './gossip-transport.ts';
import { type JoinAddress, listedErrors, parseJoinAddress } from './join-address.ts';
import { type KeyOperation, type KeyOperationResult, summariseKeyAnswers } from './key-operations.ts';
import { readKeyringFile, writeKeyringFile } from './keyring-file.ts';
import { PoolDriver } from './pool-driver.ts';
import { KEY_QUERY } from './serf/key-queries.ts';
import { USER_EVENT_SIZE_LIMIT } from './serf/serf.ts';
import { originCoordinate } from './serf/vivaldi.ts';
import { SnapshotFile } from './snapshot-file.ts';
import { StateExchange, textOf } from './state-exchange.ts';
import { createSocketTransport } from './transport.ts';
import type { GossipConfig, GossipEvent, GossipMember, GossipPool } from './types.ts';

const BROADCAST_TIMEOUT_MS = 5000;
/** A query times out by itself much sooner; this only guards against never hearing of it. */
const KEY_OPERATION_TIMEOUT_MS = 120_000;
/** Addresses joined at a time. */
const JOIN_PARALLELISM = 8;

export interface GossipDeps {
  readonly env: Env;
  /** Lines appear under `….serf.lan` and `….memberlist.lan` (or `wan`). */
  readonly log: Logger;
  /** Real sockets when left out. */
  readonly transport?: GossipTransport;
}

/** A pool that can also manage the gossip keys of all its members. */
export interface KeyedGossipPool extends GossipPool {
  /**
   * Asks every member, this one included, to change or list its gossip keys; each saves its own keyring file.
   *
   * @param key         16, 24 or 32 bytes; empty for `list`
   * @param relayFactor 0 … 5 detours for the answers
   */
  keyOperation(operation: KeyOperation, key: Uint8Array, relayFactor: number): Promise<KeyOperationResult>;
}

export function createGossipPool(config: GossipConfig, deps: GossipDeps): KeyedGossipPool {
  return new Pool(config, deps);
}

/** Invariant: `#driver` and `#exchange` are both set from the end of `start` on; nothing is sent before or after shutdown. */
class Pool implements KeyedGossipPool {
  readonly #config: GossipConfig;
  readonly #env: Env;
  readonly #log: Logger;
  readonly #serfLog: Logger;
  readonly #swimLog: Logger;
  readonly #transport: GossipTransport;
  readonly #listeners = new Set<(event: GossipEvent) => void>();
  #tags: Readonly<Record<string, string>>;
  #driver: PoolDriver | undefined;
  #exchange: StateExchange | undefined;
  #snapshot: SnapshotFile | undefined;
  #boundPort = 0;
  #keyringSave: Promise<void> = Promise.resolve();
  #leaving: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(config: GossipConfig, deps: GossipDeps) {
    this.#config = config;
    this.#env = deps.env;
    this.#log = deps.log;
    this.#serfLog = deps.log.named('serf').named(config.pool);
    this.#swimLog = deps.log.named('memberlist').named(config.pool);
    this.#transport = deps.transport ?? createSocketTransport(deps.env.clock);
    this.#tags = config.tags;
  }

  async start(): Promise<void> {
    const config = this.#config;
    const meta = encodeTags(config.tags);
    const advertised = config.advertiseAddress === '' ? config.bindAddress : config.advertiseAddress;
    const address = ipBytes(advertised);
    if (address === undefined) throw new Error(`Failed to parse advertise address: ${advertised}`);
    const keyring = new Keyring(await this.#initialKeys());
    this.#boundPort = await this.#transport.bind(config.bindAddress, config.bindPort, {
      onPacket: (packet, from) => this.#driver?.onPacket(packet, from),
      onStream: (stream) => {
        if (this.#exchange === undefined) stream.destroy();
        else void this.#exchange.serve(stream);
      },
      onError: (error) => this.#swimLog.error('memberlist: socket error', { error: error.message }),
    });
    try {
      this.#snapshot = await this.#openSnapshot();
    } catch (thrown) {
      await this.#transport.close();
      throw thrown;
    }
    const setup = { config, env: this.#env, log: this.#log, transport: this.#transport };
    const driver = new PoolDriver({
      ...setup,
      address,
      port: config.advertisePort === 0 ? this.#boundPort : config.advertisePort,
      bindPort: this.#boundPort,
      meta,
      keyring,
      clocks: this.#snapshot?.previous.clocks ?? { member: 0n, event: 0n, query: 0n },
      hooks: {
        onEvent: (event) => this.#onEvent(event),
        onQuerySeen: (lTime) => this.#snapshot?.recordQuery(lTime),
        onKeyringChanged: () => this.#saveKeyring(keyring),
        tcpPing: (effect) => void this.#exchange?.tcpPing(effect),
        pushPull: (effect) => void this.#periodicPushPull(effect.name, effect),
        reconnect: (effect) => void this.#reconnect(effect),
      },
    });
    this.#driver = driver;
    this.#exchange = new StateExchange(driver, setup);
    driver.start();
  }

  async join(addresses: readonly string[], ignoreOldEvents: boolean): Promise<number> {
    const driver = this.#running();
    if (driver.serf.state !== 'alive') throw new Error("Serf can't Join after Leave or Shutdown");
    const reached = await this.#contact(addresses, ignoreOldEvents);
    if (reached > 0) driver.feedSerf({ kind: 'announce-join' });
    return reached;
  }

  leave(): Promise<void> {
    this.#leaving ??= this.#leave();
    return this.#leaving;
  }

  shutdown(): Promise<void> {
    this.#closing ??= this.#shutdown();
    return this.#closing;
  }

  members(): readonly GossipMember[] {
    return this.#driver?.serf.members() ?? [];
  }

  localMember(): GossipMember {
    const { nodeName: name, advertiseAddress, bindAddress, advertisePort, bindPort } = this.#config;
    const known = this.#driver?.serf.member(name);
    if (known !== undefined) return known;
    const address = advertiseAddress === '' ? bindAddress : advertiseAddress;
    const port = advertisePort === 0 ? bindPort : advertisePort;
    return { name, address, port, tags: this.#tags, status: 'none', versions: OWN_VERSIONS };
  }

  setTags(tags: Readonly<Record<string, string>>): void {
    const meta = encodeTags(tags);
    this.#tags = tags;
    this.#running().feedSwim({ kind: 'set-meta', meta });
  }

  async forceLeave(name: string, prune: boolean): Promise<void> {
    const driver = this.#running();
    if (driver.serf.member(name) === undefined) throw new Error(`No node found with name '${name}'`);
    const token = driver.nextToken();
    const sent = driver.waitFor(`force-leave ${token}`, BROADCAST_TIMEOUT_MS);
    driver.feedSerf({ kind: 'force-leave', name, prune, token });
    await sent;
  }

  fireEvent(name: string, payload: Uint8Array, coalesce: boolean): void {
    const driver = this.#running();
    const limit = USER_EVENT_SIZE_LIMIT;
    if (Buffer.byteLength(name) + payload.length > limit)
      throw new Error(`user event exceeds configured limit of ${limit} bytes before encoding`);
    const lTime = driver.serf.eventClock;
    const encoded = encodeSerfMessage({ type: 'user-event', lTime, name, payload, coalesce });
    if (encoded.length > limit)
      throw new Error(`encoded user event exceeds configured limit of ${limit} bytes after encoding`);
    driver.feedSerf({ kind: 'fire-event', name, payload: new Uint8Array(payload), coalesce });
  }

  coordinate(): Coordinate {
    return this.#driver?.serf.coordinate() ?? originCoordinate();
  }

  coordinateOf(name: string): Coordinate | undefined {
    return this.#driver?.serf.coordinateOf(name);
  }

  stats(): Readonly<Record<string, string>> {
    const driver = this.#running();
    const own = driver.serf.stats();
    const encrypted = String(!driver.security.keyring.isEmpty);
    return { ...own, encrypted, health_score: String(driver.swim.healthScore) };
  }

  async keyOperation(
    operation: KeyOperation,
    key: Uint8Array,
    relayFactor: number,
  ): Promise<KeyOperationResult> {
    const driver = this.#running();
    const token = driver.nextToken();
    const numNodes = this.members().filter((member) => member.status === 'alive').length;
    const answers = driver.waitFor(`query ${token}`, KEY_OPERATION_TIMEOUT_MS);
    const payload = encodeKeyRequest(key);
    driver.feedSerf({ kind: 'query', name: KEY_QUERY[operation], payload, relayFactor, token });
    return summariseKeyAnswers(await answers, numNodes);
  }

  subscribe(listener: (event: GossipEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async rejoinFromSnapshot(): Promise<number> {
    const driver = this.#running();
    const { nodeName } = this.#config;
    const previous = [...(this.#snapshot?.previous.alive ?? [])].filter(([name]) => name !== nodeName);
    for (const [name, address] of shuffle(this.#env.random, previous)) {
      if (!driver.isRunning || driver.serf.state !== 'alive') return 0;
      this.#serfLog.info(`serf: Attempting re-join to previously known node: ${name}: ${address}`);
      try {
        await this.#contact([address], false);
        this.#serfLog.info(`serf: Re-joined to previously known node: ${name}: ${address}`);
        return 1;
      } catch (thrown) {
        this.#serfLog.debug(`serf: Re-join to ${name} failed`, { error: textOf(thrown) });
      }
    }
    if (previous.length > 0) this.#serfLog.warn('serf: Failed to re-join any previously known node');
    return 0;
  }

  /** @throws Error that lists every failure when nobody answered */
  async #contact(addresses: readonly string[], ignoreOldEvents: boolean): Promise<number> {
    const failures: string[] = [];
    const targets = (await Promise.all(addresses.map((address) => this.#resolve(address, failures)))).flat();
    let reached = 0;
    const queue = [...targets];
    const worker = async () => {
      for (let to = queue.shift(); to !== undefined; to = queue.shift()) {
        try {
          await this.#exchange?.pushPull(to, { isJoin: true, ignoreOldEvents });
          reached += 1;
        } catch (thrown) {
          failures.push(`Failed to join ${to.host}: ${textOf(thrown)}`);
          this.#swimLog.debug(`memberlist: Failed to join ${to.host}: ${textOf(thrown)}`);
        }
      }
    };
    await Promise.all(Array.from({ length: JOIN_PARALLELISM }, worker));
    if (reached === 0 && failures.length > 0) throw new Error(listedErrors(failures));
    return reached;
  }

  async #resolve(text: string, failures: string[]): Promise<Endpoint[]> {
    try {
      const { host, port }: JoinAddress = parseJoinAddress(text, this.#boundPort);
      const hosts = isIP(host) > 0 ? [host] : await this.#transport.resolve(host);
      return hosts.map((each) => ({ host: each, port }));
    } catch (thrown) {
      failures.push(`Failed to resolve ${text}: ${textOf(thrown)}`);
      this.#swimLog.warn(`memberlist: Failed to resolve ${text}: ${textOf(thrown)}`);
      return [];
    }
  }

  async #periodicPushPull(name: string, to: Endpoint): Promise<void> {
    try {
      await this.#exchange?.pushPull(to, { isJoin: false, ignoreOldEvents: false });
    } catch (thrown) {
      this.#swimLog.error(`memberlist: Push/Pull with ${name} failed: ${textOf(thrown)}`);
    }
  }

  async #reconnect(to: Endpoint): Promise<void> {
    try {
      await this.#exchange?.pushPull(to, { isJoin: true, ignoreOldEvents: false });
    } catch (thrown) {
      this.#swimLog.debug(`memberlist: Failed to join ${hostPort(to.host, to.port)}: ${textOf(thrown)}`);
    }
  }

  async #leave(): Promise<void> {
    const driver = this.#running();
    await this.#snapshot?.leave();
    const intentSent = driver.waitFor('leave-sent', BROADCAST_TIMEOUT_MS);
    driver.feedSerf({ kind: 'leave' });
    await intentSent;
    const announced = driver.waitFor('leave-announced', BROADCAST_TIMEOUT_MS);
    driver.feedSwim({ kind: 'leave' });
    await announced;
    await sleep(this.#env.clock, this.#config.timers.leavePropagateDelayMs);
    driver.feedSerf({ kind: 'left' });
  }

  async #shutdown(): Promise<void> {
    const driver = this.#driver;
    if (driver !== undefined && driver.serf.state === 'alive')
      this.#serfLog.warn('serf: Shutdown without a Leave');
    driver?.stop();
    await this.#transport.close();
    await this.#snapshot?.close();
    await this.#keyringSave;
  }

  #onEvent(event: GossipEvent): void {
    this.#snapshot?.record(event);
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (thrown) {
        // A listener's trouble must not stop the pool, nor keep the event from the others.
        this.#serfLog.error('serf: event listener failed', { event: event.kind, error: textOf(thrown) });
      }
    }
  }

  /** The keyring file wins over the configured keys; without one it is written from them. */
  async #initialKeys(): Promise<readonly Uint8Array[]> {
    const { keyringPath, keys, pool } = this.#config;
    if (keyringPath === undefined) return keys;
    const stored = await readKeyringFile(keyringPath);
    if (stored === undefined) {
      if (keys.length > 0) await writeKeyringFile(keyringPath, keys, 'compact');
      return keys;
    }
    const isStored = (key: Uint8Array) => stored.some((held) => Buffer.compare(held, key) === 0);
    if (!keys.every(isStored))
      this.#serfLog.warn(" keyring doesn't include key provided with -encrypt, using keyring", {
        keyring: pool.toUpperCase(),
      });
    return stored;
  }

  #saveKeyring(keyring: Keyring): void {
    const { keyringPath } = this.#config;
    if (keyringPath === undefined) return;
    this.#keyringSave = this.#keyringSave
      .then(() => writeKeyringFile(keyringPath, keyring.keys, 'indented'))
      .catch((thrown: unknown) =>
        this.#serfLog.error('serf: Failed to write keyring', { error: textOf(thrown) }),
      );
  }

  async #openSnapshot(): Promise<SnapshotFile | undefined> {
    const { snapshotPath, rejoinAfterLeave } = this.#config;
    if (snapshotPath === undefined) return undefined;
    return SnapshotFile.open(snapshotPath, rejoinAfterLeave, {
      clock: this.#env.clock,
      log: this.#serfLog,
      memberClock: () => this.#driver?.serf.memberClock ?? 1n,
    });
  }

  #running(): PoolDriver {
    if (this.#driver === undefined) throw new Error('gossip pool is not started');
    return this.#driver;
  }
}
