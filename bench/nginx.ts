/** nginx as people put it before a pool: the stream module, round robin over the HTTP ports of the client agents. */

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { childrenOf } from './process-use.ts';

const PROGRAM = process.env.NGINX ?? '/usr/sbin/nginx';
/** Debian's package keeps the module apart; elsewhere it is usually compiled in. */
const MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so';
const READY_WITHIN_MS = 10_000;

export interface Nginx {
  readonly url: URL;
  /** Master and workers. */
  pids(): readonly number[];
  stop(): Promise<void>;
}

export interface NginxOptions {
  readonly port: number;
  /** Ports of the agents on this machine. */
  readonly upstreamPorts: readonly number[];
  /** For its configuration and its log. */
  readonly folder: string;
  /** Most clients at once; each takes two connections. */
  readonly maxClients: number;
}

export function isNginxInstalled(): boolean {
  return existsSync(PROGRAM);
}

/** @throws Error when it does not listen, with its last words */
export async function startNginx(options: NginxOptions): Promise<Nginx> {
  const { folder, port } = options;
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, configuration(options));
  const child = spawn(PROGRAM, ['-c', file, '-p', folder, '-e', join(folder, 'error.log')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  let isOver = false;
  child.stderr.on('data', (text: Buffer) => {
    said += text.toString();
  });
  const exited = new Promise<void>((resolve) => {
    const over = () => {
      isOver = true;
      resolve();
    };
    child.once('exit', over).once('error', over);
  });
  const until = performance.now() + READY_WITHIN_MS;
  while (!(await listens(port))) {
    if (isOver || performance.now() > until)
      throw new Error(`nginx does not listen: ${said}${lastWords(folder)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { pid } = child;
  if (pid === undefined) throw new Error('nginx could not be started');
  return {
    url: new URL(`http://127.0.0.1:${port}`),
    pids: () => [pid, ...childrenOf(pid)],
    async stop() {
      if (!isOver) child.kill('SIGTERM');
      await exited;
    },
  };
}

function configuration({ port, upstreamPorts, folder, maxClients }: NginxOptions): string {
  const servers = upstreamPorts.map((upstream) => `    server 127.0.0.1:${upstream};`).join('\n');
  const load = existsSync(MODULE) ? `load_module ${MODULE};\n` : '';
  return `${load}daemon off;
pid ${join(folder, 'nginx.pid')};
worker_processes auto;
events { worker_connections ${2 * maxClients + 512}; }
stream {
  upstream consul {
${servers}
  }
  server {
    listen 127.0.0.1:${port};
    proxy_pass consul;
  }
}
`;
}

function lastWords(folder: string): string {
  const path = join(folder, 'error.log');
  return existsSync(path) ? readFileSync(path, 'utf8').slice(-2000) : '';
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    const settle = (isOpen: boolean) => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once('connect', () => settle(true)).once('error', () => settle(false));
  });
}
