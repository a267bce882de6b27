/** Replays `testdata/*.txt`; `UPDATE_TRANSCRIPTS=1` rewrites them, so that a change of behaviour shows as a diff. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runTranscript } from '../testing/swim-transcript.ts';

const FOLDER = join(import.meta.dirname, 'testdata');

describe('transcripts of the membership core', () => {
  it.each(readdirSync(FOLDER))('%s', (file) => {
    const path = join(FOLDER, file);
    const stored = readFileSync(path, 'utf8');
    const replayed = runTranscript(stored);
    if (process.env.UPDATE_TRANSCRIPTS !== undefined) writeFileSync(path, replayed);
    else expect(replayed).toBe(stored);
  });
});
