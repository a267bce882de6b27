/** Collects a run's history while its clients work, on one clock. */

import type { KvOutput } from '../history/kv-model.ts';
import type { Hold } from '../history/locks.ts';
import type { Outcome } from './exchange.ts';
import type { ChaosInput, ChaosOperation } from './run-history.ts';

export class Recorder {
  readonly operations: ChaosOperation[] = [];
  readonly holds: Hold[] = [];
  readonly faults: { readonly at: number; readonly text: string }[] = [];
  readonly #startedAt = performance.now();
  failed = 0;
  /** Writes that were answered as done. */
  acknowledged = 0;
  /** Why requests had no proper answer, with how often. */
  readonly reasons = new Map<string, number>();

  /** Milliseconds of the run, to the microsecond. */
  now(): number {
    return Math.round((performance.now() - this.#startedAt) * 1000) / 1000;
  }

  fault(text: string): void {
    this.faults.push({ at: Math.round(this.now()), text });
  }

  /**
   * Sends one operation and writes it down.
   *
   * @param parse what an answer says; undefined when it says that the operation had no effect
   * @returns the output, undefined when there is none, with the outcome
   */
  async operation(
    about: { readonly client: number; readonly key: string; readonly input: ChaosInput },
    send: () => Promise<Outcome>,
    parse: (status: number, text: string) => KvOutput | undefined,
  ): Promise<{ readonly output: KvOutput | undefined; readonly outcome: Outcome; readonly start: number }> {
    const start = this.now();
    const outcome = await send();
    if (outcome.kind === 'answered') {
      const output = parse(outcome.status, outcome.text);
      if (output === undefined) {
        this.failed++;
        this.note({ reason: `${outcome.status} ${outcome.text.trim()}` });
      } else {
        this.operations.push({ ...about, output, start, end: this.now() });
        if (output.kind === 'done' && output.applied) this.acknowledged++;
      }
      return { output, outcome, start };
    }
    this.note(outcome);
    // A read without an answer says nothing about anything.
    if (outcome.kind === 'failed' || about.input.kind === 'get') this.failed++;
    else this.operations.push({ ...about, output: undefined, start, end: Number.POSITIVE_INFINITY });
    return { output: undefined, outcome, start };
  }

  /** Counts why a request had no proper answer. */
  note({ reason }: { readonly reason: string }): void {
    const known = reason.slice(0, 120).replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'ID');
    this.reasons.set(known, (this.reasons.get(known) ?? 0) + 1);
  }
}
