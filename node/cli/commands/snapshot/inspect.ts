/** `snapshot inspect`: what an archive says about itself, without any agent. */

import type { Command } from '../../command.ts';
import { messageOf } from '../../flag-access.ts';
import { fileErrorText } from '../../system-text.ts';
import { type SnapshotMeta, verifySnapshot } from './archive.ts';
import { fileArgumentProblem } from './file-argument.ts';

const FIELDS = ['ID', 'Size', 'Index', 'Term', 'Version'] as const satisfies readonly (keyof SnapshotMeta)[];
const NAME_WIDTH = 13;

export const inspectCommand: Command = {
  kind: 'command',
  synopsis: 'Displays information about a Consul snapshot file',
  usage: `Usage: consul snapshot inspect [options] FILE

  Displays information about a snapshot file on disk, after checking that it
  is whole.

      $ consul snapshot inspect backup.snap`,
  flags: [],
  async run(flags, io) {
    const problem = fileArgumentProblem(flags);
    if (problem !== undefined) {
      io.err(`${problem}\n`);
      return 1;
    }
    const [path = ''] = flags.rest;
    try {
      const meta = await verifySnapshot(path);
      io.out(`${FIELDS.map((field) => `${field.padEnd(NAME_WIDTH)}${meta[field]}\n`).join('')}\n`);
      return 0;
    } catch (error) {
      const isUnopened = error instanceof Error && 'syscall' in error && error.syscall === 'open';
      io.err(
        isUnopened
          ? `Error opening snapshot file: ${fileErrorText('open', path, error)}\n`
          : `Error verifying snapshot: ${messageOf(error)}\n`,
      );
      return 1;
    }
  },
};
