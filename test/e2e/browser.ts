/** A headless Chromium for tests, driven through the DevTools protocol. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually.ts';

export interface BrowserPage {
  open(url: string): Promise<void>;
  /** Value of an expression in the page; promises are waited for. @throws Error with the page's exception */
  evaluate<T>(expression: string): Promise<T>;
  /** Waits until the expression is true in the page. */
  until(what: string, expression: string): Promise<void>;
  /** Types into the element with the keyboard, replacing what it holds. */
  type(selector: string, text: string): Promise<void>;
  /** Clicks in the middle of the element. */
  click(selector: string): Promise<void>;
  /** Any command of the protocol. */
  send(method: string, parameters?: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>>;
  /** Errors, warnings and violations of the page's policy that it reported so far. */
  readonly complaints: readonly string[];
}

export interface Browser {
  readonly page: BrowserPage;
  close(): Promise<void>;
}

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
  '--remote-debugging-port=0',
];

/** Starts it with a profile of its own, one blank page open. */
export async function startBrowser(): Promise<Browser> {
  const profile = mkdtempSync(join(tmpdir(), 'chromium-'));
  const child = spawn('chromium', [...FLAGS, `--user-data-dir=${profile}`, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const close = async () => {
    child.kill('SIGKILL');
    await exited;
    rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  };
  try {
    const endpoint = new URL(await devToolsAddress(child));
    const target = await eventually('a page in the browser', () => firstPage(endpoint.host));
    return { page: await connect(target), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function devToolsAddress(child: ChildProcess): Promise<string> {
  let output = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    // Only the beginning matters; the rest is drained.
    if (output.length < 100_000) output += chunk.toString();
  });
  return eventually(`the browser to start`, async () => {
    if (child.exitCode !== null) throw new Error(`chromium ended:\n${output}`);
    return /DevTools listening on (ws:\S+)/.exec(output)?.[1];
  });
}

interface Target {
  readonly type: string;
  readonly webSocketDebuggerUrl: string;
}

async function firstPage(host: string): Promise<string | undefined> {
  const targets = (await (await fetch(`http://${host}/json/list`)).json()) as Target[];
  return targets.find(({ type }) => type === 'page')?.webSocketDebuggerUrl;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

interface Pending {
  readonly resolve: (result: Record<string, unknown>) => void;
  readonly reject: (error: Error) => void;
}

async function connect(address: string): Promise<BrowserPage> {
  const socket = new WebSocket(address);
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve, { once: true });
    socket.addEventListener('error', () => reject(new Error(`no connection to ${address}`)), { once: true });
  });
  const pending = new Map<number, Pending>();
  const complaints: string[] = [];
  let lastId = 0;
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(String(data)) as Message;
    if (message.id === undefined) noteComplaint(message, complaints);
    else settle(pending, message.id, message);
  });
  socket.addEventListener('close', () => {
    for (const { reject } of pending.values()) reject(new Error('the browser is gone'));
  });
  const send: BrowserPage['send'] = (method, params = {}) =>
    new Promise((resolve, reject) => {
      lastId++;
      pending.set(lastId, { resolve, reject });
      socket.send(JSON.stringify({ id: lastId, method, params }));
    });
  await Promise.all(['Page.enable', 'Runtime.enable', 'Log.enable'].map((method) => send(method)));
  return createPage(send, complaints);
}

function settle(pending: Map<number, Pending>, id: number, { result, error }: Message): void {
  const waiting = pending.get(id);
  pending.delete(id);
  if (error === undefined) waiting?.resolve(result ?? {});
  else waiting?.reject(new Error(error.message));
}

function noteComplaint({ method, params }: Message, complaints: string[]): void {
  if (method === 'Runtime.exceptionThrown') complaints.push(JSON.stringify(params?.exceptionDetails));
  if (method !== 'Log.entryAdded' || params === undefined) return;
  const { level, text, url } = params.entry as { level: string; text: string; url?: string };
  if (level === 'error' || level === 'warning') complaints.push(`${level}: ${text} ${url ?? ''}`);
}

function createPage(send: BrowserPage['send'], complaints: readonly string[]): BrowserPage {
  const evaluate = async <T>(expression: string): Promise<T> => {
    const options = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = (await send('Runtime.evaluate', options)) as {
      result: { value?: T };
      exceptionDetails?: { text: string; exception?: { description?: string } };
    };
    if (exceptionDetails !== undefined)
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value as T;
  };
  const until = (what: string, expression: string) =>
    eventually(what, async () => {
      if (await evaluate<boolean>(`Boolean(${expression})`)) return true;
      return undefined;
    }).then(() => undefined);
  const click = async (selector: string) => {
    const quoted = JSON.stringify(selector);
    await until(`${selector} to be there`, `document.querySelector(${quoted})`);
    const { x, y } = await evaluate<{ x: number; y: number }>(`(() => {
      const element = document.querySelector(${quoted});
      element.scrollIntoView({ block: 'center' });
      const { x, y, width, height } = element.getBoundingClientRect();
      return { x: x + width / 2, y: y + height / 2 };
    })()`);
    const at = { x, y, button: 'left', clickCount: 1 };
    await send('Input.dispatchMouseEvent', { type: 'mousePressed', ...at });
    await send('Input.dispatchMouseEvent', { type: 'mouseReleased', ...at });
  };
  return {
    open: async (url) => {
      await send('Page.navigate', { url });
    },
    evaluate,
    until,
    click,
    type: async (selector, text) => {
      const quoted = JSON.stringify(selector);
      await until(`${selector} to be there`, `document.querySelector(${quoted})`);
      await evaluate(
        `(() => { const field = document.querySelector(${quoted}); field.focus(); field.select(); })()`,
      );
      await send('Input.insertText', { text });
    },
    send,
    complaints,
  };
}
