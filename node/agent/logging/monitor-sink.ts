/** Log records for whoever streams `/v1/agent/monitor`; costs nothing while nobody does. */

import { isAtLeast, type LogLevel, type LogRecord, type LogSink } from '../../../shared/log.ts';

export interface MonitorSink extends LogSink {
  /** @returns a function that ends the subscription */
  subscribe(level: LogLevel, receive: (record: LogRecord) => void): () => void;
}

export function createMonitorSink(): MonitorSink {
  const subscribers = new Set<{ readonly level: LogLevel; readonly receive: (record: LogRecord) => void }>();
  return {
    wants(level) {
      for (const subscriber of subscribers) if (isAtLeast(level, subscriber.level)) return true;
      return false;
    },
    write(record) {
      for (const { level, receive } of subscribers) if (isAtLeast(record.level, level)) receive(record);
    },
    subscribe(level, receive) {
      const subscriber = { level, receive };
      subscribers.add(subscriber);
      return () => subscribers.delete(subscriber);
    },
  };
}
