/** Arguments that hold data, such as DATA of `kv put` or `-rules`: literal text, `@file`, or `-` for standard input. */

import { readFile } from 'node:fs/promises';
import { badBase64At } from '../../shared/base64.ts';
import type { CliIo } from './command.ts';
import { fileErrorText } from './system-text.ts';

/** @throws Error `Failed to read file: open x: no such file or directory`, `Failed to read stdin: …` */
export async function readDataArgument(argument: string, io: CliIo): Promise<Uint8Array> {
  if (argument === '-') {
    try {
      return await io.readStdin();
    } catch (error) {
      throw new Error(`Failed to read stdin: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (!argument.startsWith('@')) return Buffer.from(argument);
  const path = argument.slice(1);
  try {
    return await readFile(path);
  } catch (error) {
    throw new Error(`Failed to read file: ${fileErrorText('open', path, error)}`);
  }
}

/** @throws Error `illegal base64 data at input byte N` */
export function decodeBase64(text: string): Uint8Array {
  const { bytes, problem } = decodeBase64Start(text);
  if (problem !== undefined) throw new Error(problem);
  return bytes;
}

/** As Go's decoder leaves it: what is right at the beginning, in whole groups, and what is wrong behind it. */
export function decodeBase64Start(text: string): { bytes: Uint8Array; problem: string | undefined } {
  const badByte = badBase64At(text);
  if (badByte === undefined) return { bytes: Buffer.from(text, 'base64'), problem: undefined };
  const sound = text.slice(0, badByte).replace(/[\r\n]/g, '');
  const bytes = Buffer.from(sound.slice(0, sound.length - (sound.length % 4)), 'base64');
  return { bytes, problem: `illegal base64 data at input byte ${badByte}` };
}
