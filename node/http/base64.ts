/** Standard base64 as Go decodes it: padding is required, line breaks are skipped, and the first bad byte is named. */

import { badBase64At } from '../../shared/base64.ts';
import { GoJsonError } from './go-json-parse.ts';

/** @throws GoJsonError `illegal base64 data at input byte N` */
export function decodeGoBase64(text: string): Uint8Array {
  const badByte = badBase64At(text);
  if (badByte !== undefined) throw new GoJsonError(`illegal base64 data at input byte ${badByte}`);
  return Buffer.from(text, 'base64');
}
