/** Request times by method and route, under Consul's names: `http.GET.v1.kv._`. */

import type { Metrics, Sample } from '../../shared/metrics.ts';
import type { CompiledRoute } from './router.ts';

/** Each sample is looked up by the route object itself, so that a request builds no text. */
export function requestTimers(
  metrics: Metrics,
): (method: string, match: CompiledRoute) => Sample | undefined {
  const known = new Map<CompiledRoute, Map<string, Sample>>();
  return (method, match) => {
    const found = known.get(match)?.get(method);
    if (found !== undefined) return found;
    if (!(match.methods as readonly string[]).includes(method)) return undefined;
    const sample = metrics.sample(`http.${method}.${label(match.path)}`);
    known.set(match, (known.get(match) ?? new Map<string, Sample>()).set(method, sample));
    return sample;
  };
}

/** Slashes become dots; a prefix ends in a part that stands for whatever follows. */
function label(path: string): string {
  return path
    .slice(1)
    .split('/')
    .map((part) => (part === '' ? '_' : part))
    .join('.');
}
