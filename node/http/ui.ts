/** The root page and the files of the web UI. */

import type { HttpConfig } from './options.ts';
import { NOT_FOUND, type Reply, textReply } from './reply.ts';
import { redirectReply } from './respond.ts';

/** What a path without an endpoint answers. */
export function unroutedReply(method: string, path: string, config: HttpConfig): Reply {
  if (path === '/')
    return config.uiEnabled ? redirectReply(method, config.uiContentPath) : textReply(200, 'Consul Agent');
  if (!config.uiEnabled) return NOT_FOUND;
  if (`${path}/` === config.uiContentPath) return redirectReply(method, config.uiContentPath);
  if (path === '/robots.txt') return assetReply('robots.txt', undefined, config);
  if (path.startsWith(config.uiContentPath))
    return assetReply(path.slice(config.uiContentPath.length), 'index.html', config);
  return NOT_FOUND;
}

function assetReply(name: string, fallback: string | undefined, config: HttpConfig): Reply {
  const asset = config.uiAssets?.(name) ?? (fallback === undefined ? undefined : config.uiAssets?.(fallback));
  if (asset === undefined) return NOT_FOUND;
  return { status: 200, headers: ['Content-Type', asset.contentType], body: asset.body };
}
