/** The set of gossip keys: the first encrypts, all are tried for decryption. */

export const KEY_ERROR = {
  size: 'key size must be 16, 24 or 32 bytes',
  unknown: 'Requested key is not in the keyring',
  primary: 'Removing the primary key is not allowed',
} as const;

/** More keys than this are refused: each one costs a decryption attempt per foreign packet. */
const MAX_KEYS = 64;

/** Invariant: every key has a valid length, no key occurs twice, at most `MAX_KEYS` are held. */
export class Keyring {
  #keys: readonly Uint8Array[] = [];

  /** @throws Error `key size must be 16, 24 or 32 bytes` */
  constructor(keys: readonly Uint8Array[]) {
    for (const key of keys) {
      const problem = this.install(key);
      if (problem !== undefined) throw new Error(problem);
    }
  }

  /** Primary first. */
  get keys(): readonly Uint8Array[] {
    return this.#keys;
  }

  get isEmpty(): boolean {
    return this.#keys.length === 0;
  }

  get primary(): Uint8Array | undefined {
    return this.#keys[0];
  }

  /** Adds a key behind the others; a known one changes nothing. @returns an error text or undefined */
  install(key: Uint8Array): string | undefined {
    if (key.length !== 16 && key.length !== 24 && key.length !== 32) return KEY_ERROR.size;
    if (this.#has(key)) return undefined;
    if (this.#keys.length >= MAX_KEYS) return `keyring holds its limit of ${MAX_KEYS} keys`;
    this.#keys = [...this.#keys, key];
    return undefined;
  }

  /** Makes an installed key the primary one. @returns an error text or undefined */
  use(key: Uint8Array): string | undefined {
    if (!this.#has(key)) return KEY_ERROR.unknown;
    this.#keys = [key, ...this.#keys.filter((held) => !isSameKey(held, key))];
    return undefined;
  }

  /** Removing an unknown key succeeds. @returns an error text or undefined */
  remove(key: Uint8Array): string | undefined {
    if (this.primary !== undefined && isSameKey(this.primary, key)) return KEY_ERROR.primary;
    this.#keys = this.#keys.filter((held) => !isSameKey(held, key));
    return undefined;
  }

  #has(key: Uint8Array): boolean {
    return this.#keys.some((held) => isSameKey(held, key));
  }
}

function isSameKey(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
