/** Reads the text of a short error answer, to decide what it means. */

import { type Answer, headerOf, isWhole } from '../exchange/exchange.ts';

/** Error texts worth reading are short. */
const MAX_BYTES = 4096;

/** The body as text, its compression undone; '' when it is long or streamed. */
export async function errorText(answer: Answer): Promise<string> {
  if (!isWhole(answer) || answer.body.length > MAX_BYTES) return '';
  const { body } = answer;
  if (headerOf(answer.headers, 'content-encoding') !== 'gzip') return new TextDecoder().decode(body);
  try {
    // TypeScript's lib keeps ArrayBuffer and SharedArrayBuffer apart; no body here is ever shared memory.
    const plain = new Response(body as BodyInit).body?.pipeThrough(new DecompressionStream('gzip'));
    return plain === undefined ? '' : await new Response(plain).text();
  } catch {
    // A body that isn't what its header says carries no text to decide on; the client gets it as it is.
    return '';
  }
}
