/** What an offline look at a data directory says about one file. */

/**
 * `repairable`: the next start puts it right by itself and loses nothing that was acknowledged.
 * `damaged`: something that was durable is gone or changed.
 */
export type Soundness = 'sound' | 'repairable' | 'damaged';

export interface Defect {
  readonly severity: Exclude<Soundness, 'sound'>;
  /** Byte from which on it is wrong; undefined when the file as a whole is. */
  readonly offset: number | undefined;
  readonly what: string;
}

export interface FileReport {
  /** Relative to the data directory. */
  readonly path: string;
  /** `raft log segment`, `node id` and so on. */
  readonly kind: string;
  readonly bytes: number;
  /** What it holds, in a few words; empty when nothing could be read. */
  readonly detail: string;
  readonly defects: readonly Defect[];
}

/** The worst of the defects. */
export function soundnessOf(defects: readonly Defect[]): Soundness {
  if (defects.some(({ severity }) => severity === 'damaged')) return 'damaged';
  return defects.length > 0 ? 'repairable' : 'sound';
}
