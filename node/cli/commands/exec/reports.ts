/** Reads the keys in which nodes report on a job: `<node>/ack`, `<node>/out/00000` and following, `<node>/exit`. */

import type { KvEntry } from '../../../../shared/types/v1.ts';
import type { ApiClient } from '../../api-client.ts';
import type { CliIo } from '../../command.ts';
import { readView } from '../lock/kv-access.ts';
import type { Progress } from './progress.ts';

/**
 * Tells every report once, until nothing comes for `quietMs`, or twice that while nodes are at work.
 * @throws Error when the reports can't be read
 */
export async function watchReports(
  client: ApiClient,
  folder: string,
  quietMs: number,
  progress: Progress,
  io: CliIo,
): Promise<void> {
  const seen = new Set<string>();
  let index = '';
  let lastNewsMs = io.clock.monotonicMs();
  while (!io.interrupted.aborted) {
    const limitMs = quietMs * (progress.isBusy() ? 2 : 1);
    const leftMs = lastNewsMs + limitMs - io.clock.monotonicMs();
    if (leftMs <= 0) return;
    let entries: readonly KvEntry[];
    try {
      const view = await readView(client, folder, {
        isRecurse: true,
        index,
        waitMs: leftMs,
        signal: io.interrupted,
      });
      entries = view.entries;
      index = view.index;
    } catch (error) {
      if (io.interrupted.aborted) return;
      throw error;
    }
    const news = entries.filter((entry) => !seen.has(entry.Key));
    for (const entry of news) {
      seen.add(entry.Key);
      tell(entry.Key.slice(folder.length), Buffer.from(entry.Value ?? '', 'base64').toString(), progress);
    }
    if (news.length > 0) lastNewsMs = io.clock.monotonicMs();
  }
}

/** Keys of another form, such as the job itself, are no reports. */
function tell(path: string, text: string, progress: Progress): void {
  const slash = path.indexOf('/');
  if (slash < 0) return;
  const node = path.slice(0, slash);
  const report = path.slice(slash + 1);
  if (report === 'ack') progress.acknowledged(node);
  else if (report.startsWith('out/')) progress.printed(node, text);
  else if (report === 'exit') progress.exited(node, /^-?\d+$/.test(text) ? Number(text) : -1);
}
