/** What a remote execution is asked for: the event's payload and the job stored under its session. */

/** Consul's default when the job names no heartbeat interval. */
const DEFAULT_WAIT_MS = 2_000;
const MIN_WAIT_MS = 100;
const MAX_WAIT_MS = 600_000;

/** Where the job lies and where reports go. */
export interface JobPlace {
  readonly prefix: string;
  readonly session: string;
}

/** Exactly one way to run is set. */
export type Job = { readonly waitMs: number } & (
  | { readonly kind: 'shell'; readonly command: string }
  | { readonly kind: 'direct'; readonly args: readonly [string, ...string[]] }
  | { readonly kind: 'script'; readonly script: Uint8Array }
);

/** @returns undefined when the payload, which anyone may have fired, names no place */
export function readPlace(payload: Uint8Array | null): JobPlace | undefined {
  const given = parseObject(payload);
  if (given === undefined) return undefined;
  const { Prefix, Session } = given;
  if (typeof Prefix !== 'string' || typeof Session !== 'string' || Session === '') return undefined;
  return { prefix: Prefix, session: Session };
}

/** @returns undefined when the value is no job */
export function readJob(value: Uint8Array): Job | undefined {
  const given = parseObject(value);
  if (given === undefined) return undefined;
  const { Command, Args, Script, Wait } = given;
  const waitMs =
    typeof Wait === 'number' && Wait > 0
      ? Math.min(Math.max(Wait / 1e6, MIN_WAIT_MS), MAX_WAIT_MS)
      : DEFAULT_WAIT_MS;
  if (typeof Script === 'string' && Script !== '')
    return { kind: 'script', script: Buffer.from(Script, 'base64'), waitMs };
  if (Array.isArray(Args) && Args.every((word): word is string => typeof word === 'string')) {
    const [program, ...rest] = Args;
    if (program !== undefined && program !== '') return { kind: 'direct', args: [program, ...rest], waitMs };
  }
  if (typeof Command === 'string' && Command !== '') return { kind: 'shell', command: Command, waitMs };
  return undefined;
}

function parseObject(bytes: Uint8Array | null): Readonly<Record<string, unknown>> | undefined {
  if (bytes === null) return undefined;
  try {
    const parsed: unknown = JSON.parse(Buffer.from(bytes).toString());
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : undefined;
  } catch {
    return undefined;
  }
}
