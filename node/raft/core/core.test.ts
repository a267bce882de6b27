/** The core's behaviour as transcripts: `testdata/*.txt`. `UPDATE_TRANSCRIPTS=1` writes what it does now; read the diff. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { runTranscript } from '../testing/transcript.ts';

const directory = new URL('testdata/', import.meta.url);

describe('transcript', () => {
  it.each(readdirSync(directory).filter((name) => name.endsWith('.txt')))('%s', (name) => {
    const file = new URL(name, directory);
    const source = readFileSync(file, 'utf8');
    const actual = runTranscript(source);
    if (process.env.UPDATE_TRANSCRIPTS === '1') writeFileSync(file, actual);
    else expect(actual).toBe(source);
  });
});
