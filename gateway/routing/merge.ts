/** Makes one answer out of those of several agents. Pure; the rules are in `docs/gateway.md`. */

import { isRecord, parseJson } from '../upstream/pool-listing.ts';
import { joinMembers, type Member, type Members, splitMembers } from './json-members.ts';

/** One agent's answer, its body as text. Lists are ordered by agent name, so that ties go the same way everywhere. */
export interface AgentText {
  readonly agent: string;
  readonly status: number;
  readonly text: string;
}

const SEVERITY = ['passing', 'warning', 'critical', 'maintenance'] as const;
type Aggregated = (typeof SEVERITY)[number];

const STATUS_OF: Readonly<Record<Aggregated, number>> = {
  passing: 200,
  warning: 429,
  critical: 503,
  maintenance: 503,
};

/**
 * Objects by ID into one. An ID that several agents have keeps the entry with the worst `Status`, then that of the
 * first agent.
 *
 * @returns undefined when one of the texts is no JSON object
 */
export function mergeObjects(answers: readonly AgentText[]): string | undefined {
  const parts = answers.map(({ text }) => splitMembers(text));
  const best = new Map<string, Member>();
  for (const part of parts) {
    if (part?.shape !== 'object') return undefined;
    for (const member of part.members) {
      const known = best.get(member.key);
      if (known === undefined || statusRank(member.raw) > statusRank(known.raw)) best.set(member.key, member);
    }
  }
  return joinMembers({ shape: 'object', members: [...best.values()], isPretty: isAnyPretty(parts) });
}

/** Health by service name: all instances, and the worst of them as status. */
export function mergeHealth(
  answers: readonly AgentText[],
): { status: number; reason: string; text: string } | undefined {
  const found = answers.filter(({ status }) => status !== 404);
  const parts = found.map(({ text }) => splitMembers(text));
  const members: Member[] = [];
  for (const part of parts) {
    if (part?.shape !== 'array') return undefined;
    members.push(...part.members);
  }
  if (members.length === 0) return undefined;
  const reason = worst(members.map(({ raw }) => aggregatedOf(raw)));
  const text = joinMembers({ shape: 'array', members, isPretty: isAnyPretty(parts) });
  return { status: STATUS_OF[reason], reason, text };
}

/** The same for `format=text`: each agent sent one word. */
export function mergeHealthWords(
  answers: readonly AgentText[],
): { status: number; reason: string } | undefined {
  const words = answers.filter(({ status }) => status !== 404).map(({ text }) => aggregated(text.trim()));
  if (words.length === 0) return undefined;
  const reason = worst(words);
  return { status: STATUS_OF[reason], reason };
}

function isAnyPretty(parts: readonly (Members | undefined)[]): boolean {
  return parts.some((part) => part?.isPretty);
}

function statusRank(raw: string): number {
  const entry = parseJson(raw);
  const status = isRecord(entry) ? entry.Status : undefined;
  const words: readonly unknown[] = SEVERITY;
  return words.indexOf(status);
}

function aggregatedOf(raw: string): Aggregated {
  const entry = parseJson(raw);
  return aggregated(isRecord(entry) ? entry.AggregatedStatus : undefined);
}

/** What can't be understood counts as critical. */
function aggregated(word: unknown): Aggregated {
  return SEVERITY.find((known) => known === word) ?? 'critical';
}

function worst(words: readonly Aggregated[]): Aggregated {
  return words.reduce((a, b) => (SEVERITY.indexOf(b) > SEVERITY.indexOf(a) ? b : a), 'passing');
}
