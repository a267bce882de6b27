/** Short fixed sequences of faults, for the test suite. */

import type { FaultStep } from './faults.ts';

export const SCRIPTS: Readonly<Record<string, readonly FaultStep[]>> = {
  /** What happens to processes: the leader dies, is frozen while another one leads, and all die at once. */
  processes: [
    { faults: [], holdMs: 0, restMs: 0, restWrites: 20 },
    { faults: [{ kind: 'kill', victims: 'leader' }], holdMs: 1200, restMs: 500, restWrites: 20 },
    { faults: [{ kind: 'pause', victims: 'leader' }], holdMs: 2500, restMs: 500, restWrites: 20 },
    { faults: [{ kind: 'kill', victims: 'all' }], holdMs: 200, restMs: 500, restWrites: 20 },
  ],
  /** What happens to the network: the leader alone, deaf, and out of reach of one follower. */
  network: [
    { faults: [], holdMs: 0, restMs: 0, restWrites: 20 },
    {
      faults: [{ kind: 'cut', cut: 'isolate', victims: 'leader' }],
      holdMs: 3000,
      restMs: 500,
      restWrites: 20,
    },
    { faults: [{ kind: 'cut', cut: 'deaf', victims: 'leader' }], holdMs: 2500, restMs: 500, restWrites: 20 },
    { faults: [{ kind: 'cut', cut: 'apart', victims: 'leader' }], holdMs: 1500, restMs: 500, restWrites: 20 },
  ],
};
