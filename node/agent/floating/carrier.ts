/** The agent as a carrier of floating services: follows what is placed on it, and commits what is asked of it. */

import { type Env, sleep } from '../../../shared/env.ts';
import { ConsulError, toConsulError } from '../../../shared/errors.ts';
import type { Logger } from '../../../shared/log.ts';
import {
  CARRIER_FAILED,
  type FloatingCheckChange,
  type FloatingPart,
  type FloatingPlace,
  type PlacedService,
} from '../../../shared/types/floating.ts';
import type { Backend, CallOptions, ReadOptions } from '../../rpc/backend.ts';
import {
  floatingChecks,
  floatingDeregister,
  floatingGet,
  floatingOnNode,
  floatingRegister,
} from '../../rpc/floating-endpoints.ts';
import { type NodeEntry, registerRequest } from '../anti-entropy/messages.ts';
import { type CarryOptions, carry, drop } from './carry.ts';
import { Knowledge } from './knowledge.ts';
import { isOwn, planCarriage } from './plan.ts';

export interface CarrierOptions extends CarryOptions {
  readonly env: Env;
  readonly log: Logger;
  readonly backend: Backend;
  readonly node: () => NodeEntry;
  readonly agentToken: () => string;
  readonly defaultToken: () => string;
}

/** One wait for news. Short, so that a server that hangs does not keep them long. */
const WAIT_MS = 15_000;
const GATHER_MS = 100;
const FETCHED_AT_ONCE = 256;
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 15_000;
/** How long a registration waits for the leader to notice that this agent is back. */
const REVIVAL_MS = 5000;
const REVIVAL_PAUSE_MS = 250;

/**
 * Invariant: the registry carries nothing that `#knowledge` knows to have gone, so that neither a slow server nor a
 * slow call brings it back.
 */
export class Carrier {
  readonly #o: CarrierOptions;
  readonly #controller = new AbortController();
  readonly #knowledge = new Knowledge();
  /** Counts own writes. */
  #writes = 0;
  #isRefreshing = false;
  #refreshAgain = false;

  constructor(options: CarrierOptions) {
    this.#o = options;
  }

  start(): void {
    void this.#follow();
  }

  stop(): void {
    this.#controller.abort();
  }

  /** Resolves when the service is placed here and known here. @throws ConsulError, by rejection */
  async register(parts: readonly FloatingPart[], replaceChecks: boolean): Promise<void> {
    const { backend, env } = this.#o;
    const node = registerRequest(this.#o.node(), undefined, [], true);
    const options = this.#call(parts[0]?.token ?? '');
    const endMs = env.clock.monotonicMs() + REVIVAL_MS;
    for (;;) {
      try {
        const placed = await backend.write(floatingRegister, { node, parts, replaceChecks }, options);
        this.#placed(placed);
        return;
      } catch (error) {
        const isReviving = toConsulError(error).message.includes(CARRIER_FAILED);
        if (!isReviving || env.clock.monotonicMs() >= endMs) throw error;
        await sleep(env.clock, REVIVAL_PAUSE_MS);
      }
    }
  }

  /** Changes checks of a service that is carried here. @throws ConsulError, by rejection */
  async changeChecks(
    id: string,
    change: Partial<Pick<FloatingCheckChange, 'set' | 'remove'>>,
    token: string,
  ): Promise<void> {
    const wanted = { id, node: this.#o.node().nodeName, set: [], remove: [], ...change };
    this.#placed(await this.#o.backend.write(floatingChecks, wanted, this.#call(token)));
  }

  /**
   * Removes a floating service wherever it is.
   *
   * @param generation only while its placement is this one; 0: in any case
   * @returns whether there was one
   */
  async deregister(id: string, generation: number, token: string): Promise<boolean> {
    return this.#deregister(id, generation, false, token);
  }

  /** Makes a service that is carried here this agent's own. */
  async release(id: string, token: string): Promise<void> {
    await this.#deregister(id, 0, true, token);
  }

  /** Something that was believed to be carried here is not: asks at once. */
  refresh(): void {
    if (this.#isRefreshing) {
      this.#refreshAgain = true;
      return;
    }
    this.#isRefreshing = true;
    void this.#refresh();
  }

  async #refresh(): Promise<void> {
    do {
      this.#refreshAgain = false;
      try {
        await this.#ask();
      } catch (error) {
        // The one who follows will learn it as soon as a server answers.
        this.#o.log.debug('failed to look for floating services', { error: toConsulError(error).message });
      }
    } while (this.#refreshAgain && !this.#isStopped());
    this.#isRefreshing = false;
  }

  async #deregister(id: string, generation: number, release: boolean, token: string): Promise<boolean> {
    const request = { id, generation, release };
    const index = await this.#o.backend.write(floatingDeregister, request, this.#call(token));
    if (index === 0) return false;
    this.#writes++;
    // A released service is dropped, or made the agent's own, by whoever asked for it.
    if (!this.#knowledge.removed(id, index) || release) return true;
    const floating = this.#o.registry.state.service(id)?.floating;
    if (floating?.id === id) drop(this.#o.registry, id);
    else if (floating !== undefined) this.#o.registry.dropCarried(id);
    return true;
  }

  async #follow(): Promise<void> {
    const { clock, random } = this.#o.env;
    let minIndex = 0;
    let pauseMs = RETRY_MIN_MS;
    while (!this.#isStopped()) {
      try {
        minIndex = await this.#next(minIndex);
        pauseMs = RETRY_MIN_MS;
        // Gathers bursts: a list is as long as there are services here.
        await sleep(clock, GATHER_MS);
      } catch (error) {
        if (this.#isStopped()) return;
        this.#o.log.debug('failed to follow floating services', { error: toConsulError(error).message });
        minIndex = 0;
        await sleep(clock, pauseMs * (0.5 + random.next()));
        pauseMs = Math.min(RETRY_MAX_MS, pauseMs * 2);
      }
    }
  }

  /** @returns index to wait on next */
  async #next(minIndex: number): Promise<number> {
    const { value, meta } = await this.#read({ consistency: 'stale', minIndex, waitMs: WAIT_MS });
    if (!meta.knownLeader)
      throw new ConsulError('no-leader', 500, 'the server that was asked knows no leader');
    if (this.#knowledge.isOutdated(meta.index)) await this.#ask();
    else await this.#learn(value, meta.index);
    return meta.index;
  }

  /** Asks the leader, whose answer counts even when it is of an earlier index: then the state is another. */
  async #ask(): Promise<void> {
    const writes = this.#writes;
    const { value, meta } = await this.#read({ consistency: 'default' });
    if (this.#knowledge.isOutdated(meta.index) && writes !== this.#writes) return;
    await this.#learn(value, meta.index);
  }

  #read(options: Pick<ReadOptions, 'consistency' | 'minIndex' | 'waitMs'>) {
    const { nodeName } = this.#o.node();
    const { signal } = this.#controller;
    const call = { ...this.#call(this.#o.agentToken()), ...options, signal };
    return this.#o.backend.read(floatingOnNode, { node: nodeName }, call);
  }

  async #learn(places: readonly FloatingPlace[], index: number): Promise<void> {
    if (this.#isStopped()) return;
    const { log, registry } = this.#o;
    this.#knowledge.list(places, index);
    const plan = planCarriage(registry.state, places);
    for (const id of plan.drop) {
      log.info('no longer carrying floating service', { service: id });
      drop(registry, id);
    }
    for (let at = 0; at < plan.fetch.length; at += FETCHED_AT_ONCE)
      await this.#fetch(plan.fetch.slice(at, at + FETCHED_AT_ONCE));
  }

  async #fetch(places: readonly FloatingPlace[]): Promise<void> {
    const { backend } = this.#o;
    const { signal } = this.#controller;
    const options: ReadOptions = { ...this.#call(this.#o.agentToken()), consistency: 'default', signal };
    const { nodeName: node } = this.#o.node();
    const { value } = await backend.read(floatingGet, { node, ids: places.map(({ id }) => id) }, options);
    for (const placed of value) this.#take(placed);
  }

  /** News, or the answer to an own write; what was learnt meanwhile may be newer. */
  #take(placed: PlacedService): void {
    const { log, registry } = this.#o;
    if (this.#isStopped() || !this.#knowledge.isCurrent(placed)) return;
    const known = registry.state.service(placed.id)?.floating;
    if (known !== undefined && known.id === placed.id && known.generation >= placed.generation) return;
    if (isOwn(registry.state, placed)) {
      void this.#giveUp(placed);
      return;
    }
    if (known === undefined) log.info('carrying floating service', { service: placed.id });
    carry(this.#o, placed);
  }

  /** The agent's own service of this ID came first. */
  async #giveUp({ id, generation, parts }: PlacedService): Promise<void> {
    const request = { id, generation, release: true };
    try {
      await this.#o.backend.write(floatingDeregister, request, this.#call(parts[0]?.token ?? ''));
    } catch (error) {
      this.#o.log.warn('failed to release floating service', {
        service: id,
        error: toConsulError(error).message,
      });
    }
  }

  #placed(placed: PlacedService): void {
    this.#writes++;
    this.#knowledge.wrote(placed.generation);
    this.#take(placed);
  }

  #call(token: string): CallOptions {
    return { datacenter: this.#o.node().datacenter, token: token || this.#o.defaultToken() };
  }

  #isStopped(): boolean {
    return this.#controller.signal.aborted;
  }
}
