/** The lines of a snapshot file: which members were alive and how far the clocks had come. */

export interface SnapshotClocks {
  member: bigint;
  event: bigint;
  query: bigint;
}

export interface SnapshotContent {
  /** `host:port` by name. */
  readonly alive: Map<string, string>;
  readonly clocks: SnapshotClocks;
}

/** More members than this are not remembered from a file. */
const MAX_NODES = 65_536;

export const snapshotLine = {
  alive: (name: string, address: string): string => `alive: ${name} ${address}\n`,
  notAlive: (name: string): string => `not-alive: ${name}\n`,
  clock: (kind: keyof SnapshotClocks, time: bigint): string => `${CLOCK_LABEL[kind]}: ${time}\n`,
  leave: (): string => 'leave\n',
};

const CLOCK_LABEL = { member: 'clock', event: 'event-clock', query: 'query-clock' } as const;

/** What the lines add up to. Unreadable lines are skipped: a torn last line must not cost the rest. */
export function replaySnapshot(text: string, rejoinAfterLeave: boolean): SnapshotContent {
  const content: SnapshotContent = { alive: new Map(), clocks: { member: 0n, event: 0n, query: 0n } };
  for (const line of text.split('\n')) replayLine(content, line, rejoinAfterLeave);
  return content;
}

/** Whether `replaySnapshot` understands the line. */
export function isSnapshotLine(line: string): boolean {
  return line === 'leave' || /^(?:alive: .+ .+|not-alive: .+|(?:event-|query-)?clock: \d{1,20})$/.test(line);
}

/** The shortest file with the same meaning. */
export function compactSnapshot(content: SnapshotContent): string {
  const { alive, clocks } = content;
  const lines = Array.from(alive, ([name, address]) => snapshotLine.alive(name, address));
  for (const kind of ['member', 'event', 'query'] as const)
    lines.push(snapshotLine.clock(kind, clocks[kind]));
  return lines.join('');
}

/** Names and addresses with line breaks would forge lines, so they are not recorded at all. */
export function isRecordable(name: string): boolean {
  return name !== '' && !/[\r\n]/.test(name);
}

function replayLine(content: SnapshotContent, line: string, rejoinAfterLeave: boolean): void {
  if (line === 'leave') {
    if (rejoinAfterLeave) return;
    content.alive.clear();
    content.clocks.member = 0n;
    content.clocks.event = 0n;
    content.clocks.query = 0n;
    return;
  }
  const [, label, rest] = /^([a-z-]+): (.*)$/.exec(line) ?? [];
  if (label === undefined || rest === undefined) return;
  if (label === 'alive') {
    const blank = rest.lastIndexOf(' ');
    if (blank > 0 && content.alive.size < MAX_NODES)
      content.alive.set(rest.slice(0, blank), rest.slice(blank + 1));
  } else if (label === 'not-alive') content.alive.delete(rest);
  else if (/^\d{1,20}$/.test(rest)) {
    if (label === 'clock') content.clocks.member = BigInt(rest);
    else if (label === 'event-clock') content.clocks.event = BigInt(rest);
    else if (label === 'query-clock') content.clocks.query = BigInt(rest);
  }
}
