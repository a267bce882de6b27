/** `monitor`: the agent's log lines as they are written. */

import type { IncomingMessage } from 'node:http';
import { clientCommand } from '../client-command.ts';
import { boolFlag, messageOf, textFlag } from '../flag-access.ts';

export const monitorCommand = clientCommand({
  synopsis: 'Stream logs from a Consul agent',
  usage: `Usage: consul monitor [options]

  Shows recent log messages of a Consul agent, and attaches to the agent,
  outputting log messages as they occur in real time. The monitor lets you
  listen for log levels that may be filtered out of the agent's own log: an
  agent may only be logging at INFO level, but with the monitor you can see
  the DEBUG level logs.`,
  flags: [
    {
      name: 'log-level',
      kind: 'string',
      usage: 'Log level of the agent: trace, debug, info, warn or err. Default INFO.',
    },
    { name: 'log-json', kind: 'bool', usage: 'Output logs in JSON format.' },
  ],
  takesServerFlags: false,
  async run(client, flags, io) {
    const isJson = boolFlag(flags, 'log-json');
    const query = { loglevel: textFlag(flags, 'log-level', 'INFO'), logjson: isJson ? 'true' : undefined };
    let log: IncomingMessage;
    try {
      log = await client.open({
        method: 'GET',
        path: '/v1/agent/monitor',
        query,
        signal: io.interrupted,
      });
    } catch (error) {
      if (io.interrupted.aborted) return 0;
      io.err(`Error starting ${isJson ? 'JSON ' : ''}monitor: ${messageOf(error)}\n`);
      return 1;
    }
    log.setEncoding('utf8');
    try {
      for await (const text of log) io.out(String(text));
    } catch {
      // An agent that was killed cuts the stream short, which is said below; an interrupt cuts it too.
    }
    if (io.interrupted.aborted) return 0;
    io.err(
      '\nRemote side ended the monitor! This usually means that the\nremote side has exited or crashed.\n',
    );
    return 1;
  },
});
