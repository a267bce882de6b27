/** `keygen`: a fresh key for gossip encryption. */

import { randomBytes } from 'node:crypto';
import type { Command } from '../command.ts';

const KEY_BYTES = 32;

export const keygenCommand: Command = {
  kind: 'command',
  synopsis: 'Generates a new encryption key',
  usage:
    'Usage: consul keygen\n\n  Generates a new encryption key that can be used to configure the agent to encrypt traffic.',
  flags: [],
  async run(_flags, io) {
    io.out(`${randomBytes(KEY_BYTES).toString('base64')}\n`);
    return 0;
  },
};
