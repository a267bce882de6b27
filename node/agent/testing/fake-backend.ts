/** A catalog in memory behind the `Backend` interface, for tests: it can fail, hold answers back, and tells what it was asked. */

import { type ConsulError, noClusterLeader, refused } from '../../../shared/errors.ts';
import type {
  DeregisterRequest,
  HealthCheck,
  Node,
  RegisterRequest,
  Service,
} from '../../../shared/types/v1.ts';
import type { Backend, CallOptions, JsonReply, ReadOptions, ReadReply } from '../../rpc/backend.ts';
import type { ReadEndpoint, WriteEndpoint } from '../../rpc/endpoint.ts';

export interface WriteSeen {
  readonly name: string;
  readonly args: unknown;
  readonly token: string;
}

export class FakeBackend implements Backend {
  node: Node | null = null;
  readonly services = new Map<string, Service>();
  readonly checks = new Map<string, HealthCheck>();
  readonly writes: WriteSeen[] = [];
  /** Thrown by every call while set. */
  failure: ConsulError | undefined;
  /** Thrown by writes for which it answers an error. */
  refuse: (write: WriteSeen) => ConsulError | undefined = () => undefined;
  /** Writes wait for this when set. */
  gate: Promise<void> | undefined;
  /** How long a write is under way before it takes effect. */
  delay: () => Promise<void> = () => Promise.resolve();
  knownLeader = true;
  reads = 0;
  inFlight = 0;
  maxInFlight = 0;

  /** `register web+check1`, `register check:c`, `deregister web`, `node`: what was written, briefly. */
  log(): string[] {
    return this.writes.map(({ name, args }) => {
      if (name === 'Catalog.Deregister') {
        const { ServiceID, CheckID } = args as DeregisterRequest;
        return ServiceID !== '' ? `deregister ${ServiceID}` : `deregister check:${CheckID}`;
      }
      if (name !== 'Catalog.Register') return name;
      const { Service, Check, Checks } = args as RegisterRequest;
      const checks = [...(Checks ?? []), ...(Check === null ? [] : [Check])].map((check) => check.CheckID);
      if (Service !== null) return `register ${[Service.ID, ...checks].join('+')}`;
      return checks.length === 0 ? 'node' : `register check:${checks.join('+')}`;
    });
  }

  read<Args, Result>(
    endpoint: ReadEndpoint<Args, Result>,
    _args: Args,
    options: ReadOptions,
  ): Promise<ReadReply<Result>> {
    if (endpoint.name === 'Floating.OnNode') return noPlacements(options) as Promise<ReadReply<Result>>;
    this.reads++;
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const value: unknown =
      endpoint.name === 'Health.NodeChecks'
        ? [...this.checks.values()]
        : this.node === null
          ? null
          : { Node: this.node, Services: Object.fromEntries(this.services) };
    const meta = { index: 7, knownLeader: this.knownLeader, lastContactMs: 0 };
    return Promise.resolve({ meta, value: value as Result });
  }

  readJson(): Promise<JsonReply> {
    return Promise.reject(noClusterLeader());
  }

  readLocal(): undefined {
    return undefined;
  }

  async write<Args, Result>(
    endpoint: WriteEndpoint<Args, Result>,
    args: Args,
    options: CallOptions,
  ): Promise<Result> {
    const seen = { name: endpoint.name, args, token: options.token };
    this.writes.push(seen);
    this.inFlight++;
    this.maxInFlight = Math.max(this.maxInFlight, this.inFlight);
    try {
      await this.gate;
      await this.delay();
      const failure = this.failure ?? this.refuse(seen);
      if (failure !== undefined) throw failure;
      if (endpoint.name === 'Catalog.Register') this.#register(args as RegisterRequest);
      if (endpoint.name === 'Catalog.Deregister') this.#deregister(args as DeregisterRequest);
    } finally {
      this.inFlight--;
    }
    return true as Result;
  }

  #register(request: RegisterRequest): void {
    if (this.node === null || !request.SkipNodeUpdate)
      this.node = {
        ID: request.ID,
        Node: request.Node,
        Address: request.Address,
        Datacenter: request.Datacenter,
        TaggedAddresses: request.TaggedAddresses,
        Meta: request.NodeMeta,
        CreateIndex: 1,
        ModifyIndex: 1,
      };
    if (request.Service !== null)
      this.services.set(request.Service.ID, { ...request.Service, CreateIndex: 1, ModifyIndex: 1 });
    const checks = [...(request.Checks ?? []), ...(request.Check === null ? [] : [request.Check])];
    for (const check of checks) {
      const service = this.services.get(check.ServiceID);
      if (check.ServiceID !== '' && service === undefined) throw refused('Missing service registration');
      this.checks.set(check.CheckID, {
        ...check,
        ServiceName: service?.Service ?? '',
        ServiceTags: service?.Tags ?? [],
        CreateIndex: 1,
        ModifyIndex: 1,
      });
    }
  }

  #deregister(request: DeregisterRequest): void {
    if (request.CheckID !== '') this.checks.delete(request.CheckID);
    if (request.ServiceID === '') return;
    this.services.delete(request.ServiceID);
    for (const [id, check] of this.checks) if (check.ServiceID === request.ServiceID) this.checks.delete(id);
  }
}

/** Nothing is placed anywhere, ever: who waits for it waits on. */
function noPlacements({ minIndex }: ReadOptions): Promise<ReadReply<unknown>> {
  if (minIndex !== undefined && minIndex > 0) return new Promise(() => {});
  return Promise.resolve({ meta: { index: 1, knownLeader: true, lastContactMs: 0 }, value: [] });
}
