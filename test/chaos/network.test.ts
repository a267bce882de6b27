import { execFile, execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { type LocalProcess, startProcess } from '../../launch/process.ts';
import { eventually } from '../e2e/eventually.ts';
import { canCutNetworks } from '../e2e/tools.ts';
import { Network, serverAddress } from './network.ts';

const PORT = 7000;
const LISTEN = `require('node:net').createServer((socket) => socket.end()).listen(${PORT}, '0.0.0.0', () => console.log('listening'))`;
const connect = (address: string) =>
  `require('node:net').connect(${PORT}, '${address}').on('connect', () => process.exit(0)).on('error', () => process.exit(1)).setTimeout(800, () => process.exit(2))`;

/** Whether a connection from one namespace to a server's address is made, rather soon. */
function reaches(namespace: string, server: number): Promise<boolean> {
  const args = ['netns', 'exec', namespace, process.execPath, '-e', connect(serverAddress(server))];
  return new Promise((resolve) => {
    execFile('ip', args, (error) => resolve(error === null));
  });
}

async function untilReached(namespace: string, server: number): Promise<void> {
  await eventually(
    `${namespace} to reach server ${server}`,
    async () => (await reaches(namespace, server)) || undefined,
  );
}

test.skipIf(!canCutNetworks())(
  'a cut is silent and in one direction, others are not touched, and nothing is left in the end',
  async () => {
    let listener: LocalProcess;
    let names: string[];
    {
      using network = Network.create(3);
      names = [network.hub, ...[0, 1, 2].map((server) => network.namespaceOf(server))];
      const [, first = '', second = '', third = ''] = names;
      const wrapper = ['ip', 'netns', 'exec', first];
      listener = startProcess({ name: 'listener', args: ['-e', LISTEN], wrapper });
      for (const namespace of [network.hub, second, third]) await untilReached(namespace, 0);

      network.cut(1, 0);
      expect(await reaches(second, 0)).toBe(false);
      await untilReached(third, 0);
      await untilReached(network.hub, 0);
      network.mend(1, 0);
      await untilReached(second, 0);

      // The request arrives, the answer doesn't.
      network.cut(0, 1);
      expect(await reaches(second, 0)).toBe(false);
      network.mend(0, 1);
      await untilReached(second, 0);

      network.plug(0, false);
      expect(await reaches(network.hub, 0)).toBe(false);
      network.plug(0, true);
      await untilReached(network.hub, 0);
    }
    expect(await listener.exited).toEqual({ code: null, signal: 'SIGKILL' });
    const left = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' });
    for (const name of names) expect(left).not.toContain(name);
  },
  60_000,
);
