/**
 * A process of lock clients, each with a session and connections of its own: they take turns in a section that the lock
 * guards, and write to a shared log when they enter and leave it.
 *
 * Usage: lock-contender.ts BASE_URL LOG_FILE NAME CLIENTS SECTIONS
 */

import { appendFileSync } from 'node:fs';
import { Agent, request } from 'undici';

export const LOCK_KEY = 'contended/lock';
export const SESSION_TTL_SECONDS = 10;

/** One line of the log. Lines are appended whole, so their order in the file is the order in which things happened. */
export type LogLine =
  /** Written after the lock was granted. */
  | { readonly what: 'enter'; readonly client: string; readonly session: string }
  /** What the key said while the client was inside. */
  | {
      readonly what: 'fence';
      readonly session: string;
      readonly lockIndex: number;
      readonly modifyIndex: number;
    }
  /** Written before the lock is given back. */
  | { readonly what: 'leave'; readonly client: string; readonly session: string }
  /** Written before a session is destroyed under its client. */
  | { readonly what: 'destroy'; readonly session: string }
  /** Written after the process of these clients was killed. */
  | { readonly what: 'kill'; readonly name: string };

interface Entry {
  readonly Session?: string;
  readonly LockIndex: number;
  readonly ModifyIndex: number;
}

interface Reply {
  readonly status: number;
  readonly index: string;
  readonly text: string;
}

/** How often a session is renewed. */
export const RENEWAL_MS = 3000;
const INSIDE_MS = 15;

export function writeLog(file: string, line: LogLine): void {
  appendFileSync(file, `${JSON.stringify(line)}\n`);
}

class Contender {
  readonly #connections = new Agent({ connections: 2 });
  readonly #base: string;
  readonly #log: string;
  readonly #client: string;
  #session = '';

  constructor(base: string, log: string, client: string) {
    this.#base = base;
    this.#log = log;
    this.#client = client;
  }

  /** Goes through the section `sections` times; a turn that ends with a lost session doesn't count. */
  async run(sections: number): Promise<void> {
    await this.#openSession();
    const renewal = setInterval(
      () => void this.#send('PUT', `/v1/session/renew/${this.#session}`),
      RENEWAL_MS,
    );
    for (let done = 0; done < sections; ) if (await this.#turn()) done++;
    clearInterval(renewal);
    await this.#send('PUT', `/v1/session/destroy/${this.#session}`);
    await this.#connections.close();
  }

  async #openSession(): Promise<void> {
    const session = { Name: this.#client, TTL: `${SESSION_TTL_SECONDS}s`, LockDelay: '0s' };
    const { status, text } = await this.#send('PUT', '/v1/session/create', JSON.stringify(session));
    if (status !== 200) throw new Error(`no session: ${status} ${text}`);
    this.#session = (JSON.parse(text) as { ID: string }).ID;
  }

  /** @returns whether it went through the section as its only holder from beginning to end */
  async #turn(): Promise<boolean> {
    await this.#untilFree();
    const session = this.#session;
    const acquired = await this.#send('PUT', `/v1/kv/${LOCK_KEY}?acquire=${session}`, this.#client);
    if (acquired.status === 500 && acquired.text.includes('invalid session')) {
      await this.#openSession();
      return false;
    }
    if (acquired.status !== 200) throw new Error(`acquire: ${acquired.status} ${acquired.text}`);
    if (acquired.text !== 'true') return false;
    writeLog(this.#log, { what: 'enter', client: this.#client, session });
    const entry = await this.#read('?consistent');
    if (entry?.Session === session) {
      const { LockIndex: lockIndex, ModifyIndex: modifyIndex } = entry;
      writeLog(this.#log, { what: 'fence', session, lockIndex, modifyIndex });
    }
    await new Promise((resolve) => setTimeout(resolve, INSIDE_MS));
    writeLog(this.#log, { what: 'leave', client: this.#client, session });
    const released = await this.#send('PUT', `/v1/kv/${LOCK_KEY}?release=${session}`, 'free');
    return released.status === 200 && released.text === 'true';
  }

  async #untilFree(): Promise<void> {
    let index = '0';
    for (;;) {
      const reply = await this.#send('GET', `/v1/kv/${LOCK_KEY}?index=${index}&wait=10s`);
      if (entryOf(reply)?.Session === undefined) return;
      index = reply.index;
    }
  }

  async #read(query: string): Promise<Entry | undefined> {
    return entryOf(await this.#send('GET', `/v1/kv/${LOCK_KEY}${query}`));
  }

  async #send(method: 'GET' | 'PUT', path: string, body?: string): Promise<Reply> {
    const options = { method, dispatcher: this.#connections, ...(body === undefined ? {} : { body }) };
    const response = await request(`${this.#base}${path}`, options);
    const text = await response.body.text();
    return { status: response.statusCode, index: String(response.headers['x-consul-index']), text };
  }
}

function entryOf({ status, text }: Reply): Entry | undefined {
  if (status === 404) return undefined;
  if (status !== 200) throw new Error(`read: ${status} ${text}`);
  return (JSON.parse(text) as Entry[])[0];
}

if (import.meta.main) {
  const [base = '', log = '', name = '', clients = '0', sections = '0'] = process.argv.slice(2);
  const contenders = Array.from(
    { length: Number(clients) },
    (_, i) => new Contender(base, log, `${name}.${i}`),
  );
  await Promise.all(contenders.map((contender) => contender.run(Number(sections))));
}
