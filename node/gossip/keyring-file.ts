/** The keyring on disk: a JSON array of base64 keys, primary first, readable by the owner only. */

import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

const MODE = 0o600;
const toBase64 = (key: Uint8Array): string => Buffer.from(key).toString('base64');

/**
 * @returns undefined when there is no file
 * @throws Error when the file is not an array of base64 texts
 */
export async function readKeyringFile(path: string): Promise<Uint8Array[] | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return undefined;
    throw thrown;
  }
  const parsed: unknown = JSON.parse(text);
  if (!Array.isArray(parsed) || !parsed.every((key) => typeof key === 'string'))
    throw new Error(`keyring file ${path} is not a list of keys`);
  return parsed.map((key) => new Uint8Array(Buffer.from(key, 'base64')));
}

/** Written beside and renamed, so that a crash leaves the old or the new keys, never half of them. */
export async function writeKeyringFile(
  path: string,
  keys: readonly Uint8Array[],
  layout: 'compact' | 'indented',
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const text = JSON.stringify(keys.map(toBase64), null, layout === 'indented' ? 2 : undefined);
  const beside = `${path}.new`;
  await writeFile(beside, text, { mode: MODE });
  await rename(beside, path);
}
