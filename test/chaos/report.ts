/** What a run prints: a line while it goes on, and the numbers and verdicts at its end. */

import type { Judgement } from './judge.ts';
import type { Recorder } from './recorder.ts';
import type { ChaosOperation, RunHistory } from './run-history.ts';

export function progressLine(recorder: Recorder): string {
  const { ok, unknown } = countOutcomes(recorder.operations);
  const last = recorder.faults.at(-1)?.text ?? 'no fault yet';
  return `${seconds(recorder.now()).padStart(5)} s  ${ok} ok, ${recorder.failed} failed, ${unknown} unknown; ${last}`;
}

export function summary(history: RunHistory): string {
  const { ok, unknown, acknowledged } = countOutcomes(history.operations);
  const faults = Map.groupBy(
    history.faults.filter(({ text }) => text !== 'healed'),
    ({ text }) => text.replace(/: .*/, ''),
  );
  const counts = [...faults].map(([name, { length }]) => `${length} × ${name}`).sort();
  const gap = longestGap(history.operations);
  return [
    `seed ${history.seed}, ${history.servers} servers, through the ${history.through}`,
    `operations: ${ok} ok (${acknowledged} acknowledged writes), ${history.failed} failed without effect, ${unknown} of unknown outcome`,
    `faults: ${counts.join(', ') || 'none'}`,
    `longest time without an acknowledged write: ${seconds(gap.ms)} s, until ${seconds(gap.until)} s`,
  ].join('\n');
}

export function verdictLines(judgements: readonly Judgement[]): string {
  return judgements
    .map(({ name, isFine, text }) => `${isFine ? 'ok       ' : 'VIOLATION'} ${name}: ${text}`)
    .join('\n');
}

function countOutcomes(operations: readonly ChaosOperation[]) {
  // A session's end that nobody asked for is noted as an operation, too, but was none.
  const asked = operations.filter(({ input }) => input.kind !== 'release' || input.value !== undefined);
  const ok = asked.filter(({ output }) => output !== undefined);
  const acknowledged = ok.filter(({ output }) => output?.kind === 'done' && output.applied).length;
  return { ok: ok.length, unknown: asked.length - ok.length, acknowledged };
}

function longestGap(operations: readonly ChaosOperation[]): { readonly ms: number; readonly until: number } {
  const ends = operations
    .flatMap(({ output, end }) => (output?.kind === 'done' && output.applied ? [end] : []))
    .sort((a, b) => a - b);
  let longest = { ms: 0, until: 0 };
  for (const [at, until] of ends.entries()) {
    const ms = until - (ends[at - 1] ?? 0);
    if (ms > longest.ms) longest = { ms, until };
  }
  return longest;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
