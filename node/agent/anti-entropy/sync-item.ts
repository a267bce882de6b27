/** One local item on its way to the catalog, and the sets of those that have to go. */

/** `unverified`: restored, the catalog may well have it. `removed`: gone here, not yet there. */
export type Wish = 'unverified' | 'changed' | 'told' | 'removed' | 'refused';

export interface SyncItem {
  readonly id: string;
  wish: Wish;
  /** Bumped by each local change, so that an answer to an older one does not count. */
  version: number;
  /** Version under way; 0 when none. */
  sending: number;
  /** For services: operations under way that touch it. */
  busy: number;
  /** For checks: the service, '' for the node's. */
  serviceId: string;
  /** For services that are gone: checks that went with them and that the catalog may still have. */
  droppedChecks: string[] | undefined;
  onTried: (() => void)[] | undefined;
}

export interface DirtySet {
  readonly size: number;
  add(item: SyncItem): void;
  delete(item: SyncItem): void;
  has(item: SyncItem): boolean;
  /** May be added to and deleted from while being iterated. */
  all(): Iterable<SyncItem>;
}

export class DirtyServices implements DirtySet {
  readonly #items = new Set<SyncItem>();

  get size(): number {
    return this.#items.size;
  }

  add(item: SyncItem): void {
    this.#items.add(item);
  }

  delete(item: SyncItem): void {
    this.#items.delete(item);
  }

  has(item: SyncItem): boolean {
    return this.#items.has(item);
  }

  all(): Iterable<SyncItem> {
    return this.#items;
  }
}

/** Grouped by service, so that a service finds its own among many. An item's service may only change while it is not in here. */
export class DirtyChecks implements DirtySet {
  readonly #byService = new Map<string, Set<SyncItem>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(item: SyncItem): void {
    const group = this.#byService.get(item.serviceId) ?? new Set();
    if (group.has(item)) return;
    this.#byService.set(item.serviceId, group.add(item));
    this.#size++;
  }

  delete(item: SyncItem): void {
    const group = this.#byService.get(item.serviceId);
    if (!group?.delete(item)) return;
    this.#size--;
    if (group.size === 0) this.#byService.delete(item.serviceId);
  }

  has(item: SyncItem): boolean {
    return this.#byService.get(item.serviceId)?.has(item) ?? false;
  }

  of(serviceId: string): Iterable<SyncItem> {
    return this.#byService.get(serviceId) ?? [];
  }

  *all(): Iterable<SyncItem> {
    for (const group of this.#byService.values()) yield* group;
  }
}
