/** AES-GCM blobs: version byte, 12-byte nonce, ciphertext, 16-byte tag. */

import { type CipherGCMTypes, createCipheriv, createDecipheriv } from 'node:crypto';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const BLOCK_BYTES = 16;
const HEADER_BYTES = 1 + NONCE_BYTES;

/** What version 1, the one we send, adds to a message. */
export const ENCRYPTION_OVERHEAD = HEADER_BYTES + TAG_BYTES;

export type EncryptionVersion = 0 | 1;

/**
 * @param key   16, 24 or 32 bytes
 * @param nonce 12 fresh random bytes
 * @param authenticated bytes that the receiver must present unchanged (TCP header), or empty
 */
export function encryptBlob(
  key: Uint8Array,
  nonce: Uint8Array,
  message: Uint8Array,
  authenticated: Uint8Array,
  version: EncryptionVersion = 1,
): Uint8Array {
  const plain = version === 0 ? padded(message) : message;
  const cipher = createCipheriv(algorithmFor(key), key, nonce);
  if (authenticated.length > 0) cipher.setAAD(authenticated);
  const body = cipher.update(plain);
  // GCM is a stream mode, so `final` yields no further bytes.
  cipher.final();
  const blob = new Uint8Array(HEADER_BYTES + body.length + TAG_BYTES);
  blob[0] = version;
  blob.set(nonce, 1);
  blob.set(body, HEADER_BYTES);
  blob.set(cipher.getAuthTag(), HEADER_BYTES + body.length);
  return blob;
}

/** The message under the first key that opens the blob; undefined when none does or the blob is malformed. */
export function decryptBlob(
  keys: readonly Uint8Array[],
  blob: Uint8Array,
  authenticated: Uint8Array,
): Uint8Array | undefined {
  const version = blob[0];
  if (version !== 0 && version !== 1) return undefined;
  const minimum = version === 0 ? ENCRYPTION_OVERHEAD + BLOCK_BYTES : ENCRYPTION_OVERHEAD;
  if (blob.length < minimum) return undefined;
  for (const key of keys) {
    const plain = decryptWith(key, blob, authenticated);
    if (plain !== undefined) return version === 0 ? unpadded(plain) : plain;
  }
  return undefined;
}

function decryptWith(key: Uint8Array, blob: Uint8Array, authenticated: Uint8Array): Uint8Array | undefined {
  const decipher = createDecipheriv(algorithmFor(key), key, blob.subarray(1, HEADER_BYTES), {
    authTagLength: TAG_BYTES,
  });
  if (authenticated.length > 0) decipher.setAAD(authenticated);
  decipher.setAuthTag(blob.subarray(blob.length - TAG_BYTES));
  const plain = decipher.update(blob.subarray(HEADER_BYTES, blob.length - TAG_BYTES));
  try {
    decipher.final();
    return plain;
  } catch {
    // The tag does not fit: another key, or not ours. The caller tries the next key.
    return undefined;
  }
}

function algorithmFor(key: Uint8Array): CipherGCMTypes {
  if (key.length === 16) return 'aes-128-gcm';
  return key.length === 24 ? 'aes-192-gcm' : 'aes-256-gcm';
}

/** PKCS7: a full block is added when the length is already a multiple of the block. */
function padded(message: Uint8Array): Uint8Array {
  const more = BLOCK_BYTES - (message.length % BLOCK_BYTES);
  const result = new Uint8Array(message.length + more).fill(more);
  result.set(message);
  return result;
}

function unpadded(plain: Uint8Array): Uint8Array | undefined {
  const more = plain.at(-1) ?? 0;
  if (more === 0 || more > BLOCK_BYTES || more > plain.length) return undefined;
  return plain.subarray(0, plain.length - more);
}
