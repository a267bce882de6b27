/** What a configured watch calls for every change: a program with the result as its input, or a URL. */

import { spawn } from 'node:child_process';
import { Agent, request } from 'undici';
import { renderJson } from '../../../../shared/json.ts';
import type { CliIo } from '../../command.ts';
import type { WatchResult } from './results.ts';

/** Ends when the change has been handled. @throws Error when it has not */
export type Handler = (result: WatchResult, io: CliIo) => Promise<void>;

/** What is kept of a program's output, for the error it ends with. */
const MAX_OUTPUT_BYTES = 4096;

/** The result as a line of JSON on standard input, its index in `CONSUL_INDEX`; the interrupt kills it. */
export function scriptHandler(spec: {
  readonly words: readonly string[];
  readonly isShell: boolean;
}): Handler {
  return (result, io) => {
    const [program = '', ...args] = spec.isShell
      ? [io.env.SHELL || '/bin/sh', '-c', ...spec.words]
      : spec.words;
    return new Promise((resolve, reject) => {
      const child = spawn(program, args, {
        env: { ...io.env, CONSUL_INDEX: result.index },
        stdio: ['pipe', 'pipe', 'pipe'],
        signal: io.interrupted,
      });
      let output = '';
      const collect = (chunk: Buffer) => {
        if (output.length < MAX_OUTPUT_BYTES) output += chunk.toString('latin1');
      };
      child.stdout.on('data', collect);
      child.stderr.on('data', collect);
      // A program that doesn't read its input is within its rights.
      child.stdin.on('error', () => undefined);
      child.stdin.end(`${renderJson(result.value, false)}\n`);
      child.once('error', (error) => (io.interrupted.aborted ? resolve() : reject(error)));
      child.once('close', (code, signal) => {
        if (code === 0 || io.interrupted.aborted) resolve();
        else reject(new Error(failureText(code, signal, output)));
      });
    });
  };
}

function failureText(code: number | null, signal: string | null, output: string): string {
  const end = code === null ? `signal: ${signal}` : `exit status ${code}`;
  const shown = output.slice(0, MAX_OUTPUT_BYTES).trim();
  return shown === '' ? end : `${end}: ${shown}`;
}

export interface HttpHandlerSettings {
  readonly url: URL;
  readonly method: string;
  readonly timeoutMs: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly skipsVerify: boolean;
}

/** The result as JSON, its index in `X-Consul-Index`; any status of 2xx is success. */
export function httpHandler(settings: HttpHandlerSettings): Handler {
  const { timeoutMs } = settings;
  const dispatcher = new Agent({
    connect: { timeout: timeoutMs, rejectUnauthorized: !settings.skipsVerify },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  });
  return async (result, io) => {
    const { statusCode, body } = await request(settings.url, {
      dispatcher,
      method: settings.method.toUpperCase(),
      headers: [
        ...['Content-Type', 'application/json', 'X-Consul-Index', result.index],
        ...settings.headers.flat(),
      ],
      body: renderJson(result.value, false),
      signal: io.interrupted,
    });
    await body.dump();
    if (statusCode < 200 || statusCode > 299)
      throw new Error(`watch handler responded with status ${statusCode}`);
  };
}
