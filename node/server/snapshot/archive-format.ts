/** What is inside a snapshot archive: gzip of a tar with three files, in this order (reference: snapshot). */

export const META_FILE = 'meta.json';
export const STATE_FILE = 'state.bin';
export const SUMS_FILE = 'SHA256SUMS';

/** `meta.json`, as much of it as this program reads back. */
export interface ArchiveMeta {
  /** term-index-milliseconds. */
  readonly ID: string;
  /** Of the newest change in the state. */
  readonly Index: number;
  readonly Term: number;
  /** Bytes of the state. */
  readonly Size: number;
}
