/** `GET /v1/agent/monitor`: the agent's log as an endless answer. */

import { badRequest } from '../../../shared/errors.ts';
import { formatLogJson, formatLogLine, type LogRecord, parseLogLevel } from '../../../shared/log.ts';
import type { StreamReply, StreamSink } from '../reply.ts';
import type { HttpRequest } from '../request.ts';

/** Lines kept for a slow reader; what comes on top is dropped. */
const MAX_PENDING_LINES = 512;

export function monitor(request: HttpRequest): StreamReply {
  const wanted = request.query.text('loglevel');
  const level = parseLogLevel(wanted === '' ? 'INFO' : wanted);
  if (level === undefined) throw badRequest(`Bad request: Unknown log level: ${wanted}`);
  const format = request.query.has('logjson') ? formatLogJson : formatLogLine;
  const { agent } = request.context.dependencies;
  const closing = request.waitSignal();
  return {
    status: 200,
    headers: [],
    stream: (out) => {
      const lines = new BoundedLines(out);
      const cancel = agent.monitor(level, (record: LogRecord) => lines.push(`${format(record)}\n`));
      out.onClose(cancel);
      closing.addEventListener('abort', () => out.end(), { once: true });
    },
  };
}

/** Invariant: `#pending` is empty unless the peer is slow, and never longer than the bound. */
class BoundedLines {
  readonly #out: StreamSink;
  #isSlow = false;
  #pending: string[] = [];

  constructor(out: StreamSink) {
    this.#out = out;
    out.onDrain(() => this.#drained());
  }

  push(line: string): void {
    if (!this.#isSlow) this.#isSlow = !this.#out.write(line);
    else if (this.#pending.length < MAX_PENDING_LINES) this.#pending.push(line);
  }

  #drained(): void {
    const text = this.#pending.join('');
    this.#pending = [];
    this.#isSlow = text !== '' && !this.#out.write(text);
  }
}
