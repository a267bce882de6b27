/** `WriteSession.Open`: what request IDs are numbered in. */

import { writeSessionOpen } from '../../rpc/write-session-endpoints.ts';
import { openWriteSessionCommand } from '../commands.ts';
import { writeByCommand } from './define.ts';

/** Four hex digits at a time, so that no number is drawn that is not exact. */
const DIGIT_GROUPS = [0, 1, 2, 3];

export const openHandler = writeByCommand(
  writeSessionOpen,
  (_, { env }, tables) => {
    const draw = () =>
      DIGIT_GROUPS.map(() =>
        Math.floor(env.random.next() * 65_536)
          .toString(16)
          .padStart(4, '0'),
      ).join('');
    let id = draw();
    while (tables.writeSessions.get(id) !== undefined) id = draw();
    return openWriteSessionCommand(id, env.clock.nowMs());
  },
  (applied) => {
    if (typeof applied !== 'string') throw new Error('write-session-open was applied without an ID');
    return applied;
  },
);
