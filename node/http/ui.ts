/** The root page and the files of the web UI. */

import { isUnchanged, UI_HEADERS } from '../../shared/ui-bundle.ts';
import type { HttpConfig } from './options.ts';
import { NOT_FOUND, type Reply, textReply } from './reply.ts';
import { redirectReply } from './respond.ts';

/**
 * What a path without an endpoint answers.
 *
 * @param ifNoneMatch the request's header of that name
 */
export function unroutedReply(
  method: string,
  path: string,
  config: HttpConfig,
  ifNoneMatch?: string | undefined,
): Reply {
  if (path === '/')
    return config.uiEnabled ? redirectReply(method, config.uiContentPath) : textReply(200, 'Consul Agent');
  if (!config.uiEnabled) return NOT_FOUND;
  if (`${path}/` === config.uiContentPath) return redirectReply(method, config.uiContentPath);
  if (path === '/robots.txt') return assetReply('robots.txt', undefined, config, ifNoneMatch);
  if (path.startsWith(config.uiContentPath))
    return assetReply(path.slice(config.uiContentPath.length), 'index.html', config, ifNoneMatch);
  return NOT_FOUND;
}

function assetReply(
  name: string,
  fallback: string | undefined,
  config: HttpConfig,
  ifNoneMatch: string | undefined,
): Reply {
  const asset = config.uiAssets?.(name) ?? (fallback === undefined ? undefined : config.uiAssets?.(fallback));
  if (asset === undefined) return NOT_FOUND;
  const { body, contentType, etag } = asset;
  const headers = ['Content-Type', contentType, ...(asset.headers ?? UI_HEADERS)];
  if (etag === undefined) return { status: 200, headers, body };
  headers.push('ETag', etag);
  return isUnchanged(ifNoneMatch, etag) ? { status: 304, headers, body: '' } : { status: 200, headers, body };
}
