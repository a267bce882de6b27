/** Which nodes have taken up a job and how they fared, told as it becomes known. */

import type { CliIo } from '../../command.ts';

/** Each call is about one report of one node. */
export interface Progress {
  acknowledged(node: string): void;
  /** Output; empty text is a sign of life. */
  printed(node: string, text: string): void;
  exited(node: string, code: number): void;
  /** Whether some node is still at work. */
  isBusy(): boolean;
  finish(): void;
  /** Some node failed or did not finish. */
  hasFailed(): boolean;
}

export function createProgress(io: CliIo, isVerbose: boolean): Progress {
  const taken = new Set<string>();
  const codes = new Map<string, number>();
  const say = (text: string) => {
    if (isVerbose) io.out(`${text}\n`);
  };
  return {
    acknowledged(node) {
      taken.add(node);
      say(`==> ${node}: acknowledged`);
    },
    printed(node, text) {
      if (text === '') {
        say(`==> ${node}: heartbeat received`);
        return;
      }
      for (const line of text.split('\n')) io.out(`    ${node}: ${line}\n`);
    },
    exited(node, code) {
      codes.set(node, code);
      io.out(`==> ${node}: finished with exit code ${code}\n`);
    },
    isBusy: () => [...taken].some((node) => !codes.has(node)),
    finish() {
      io.out(`${codes.size} / ${taken.size} node(s) completed / acknowledged\n`);
    },
    hasFailed: () => [...codes.values()].some((code) => code !== 0) || codes.size < taken.size,
  };
}
