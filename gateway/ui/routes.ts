/** Paths below the UI's root and the pages that they name, both ways. The form is Consul's, so that bookmarks stay. */

export type Route =
  /** No datacenter named yet. */
  | { readonly page: 'home' }
  | { readonly page: 'services'; readonly dc: string }
  | { readonly page: 'service'; readonly dc: string; readonly name: string }
  | { readonly page: 'nodes'; readonly dc: string }
  | { readonly page: 'node'; readonly dc: string; readonly name: string }
  /** `folder` is empty or ends with a slash. */
  | { readonly page: 'kv'; readonly dc: string; readonly folder: string }
  | { readonly page: 'key'; readonly dc: string; readonly key: string }
  | { readonly page: 'new-key'; readonly dc: string; readonly folder: string }
  | { readonly page: 'members'; readonly dc: string }
  | { readonly page: 'unknown'; readonly dc: string | undefined };

/**
 * @param path what follows the UI's root, escaped as in the address bar, without a leading slash: `dc1/kv/a/edit`
 */
export function parseRoute(path: string): Route {
  const parts = path.split('/').map(unescapePart);
  const [dc = '', section, ...rest] = parts;
  if (dc === '') return { page: 'home' };
  const [name = '', ...more] = rest;
  const isList = name === '' && more.length === 0;
  switch (section) {
    case undefined:
    case '':
      return { page: 'services', dc };
    case 'services':
      if (isList) return { page: 'services', dc };
      // Consul adds tabs behind the name, such as `/instances`.
      return { page: 'service', dc, name };
    case 'nodes':
      if (isList) return { page: 'nodes', dc };
      return { page: 'node', dc, name };
    case 'members':
      return isList ? { page: 'members', dc } : { page: 'unknown', dc };
    case 'kv':
      return parseKvRoute(dc, rest.join('/'));
    default:
      return { page: 'unknown', dc };
  }
}

/** A page of one key ends with `/edit`, whatever the key: only the last such part is taken off. */
function parseKvRoute(dc: string, rest: string): Route {
  if (rest === '' || rest.endsWith('/')) return { page: 'kv', dc, folder: rest };
  if (rest.endsWith('/edit')) return { page: 'key', dc, key: rest.slice(0, -'/edit'.length) };
  if (rest === 'create' || rest.endsWith('/create'))
    return { page: 'new-key', dc, folder: rest.slice(0, -'create'.length) };
  return { page: 'key', dc, key: rest };
}

/** The inverse of `parseRoute`, escaped. */
export function routePath(route: Route): string {
  switch (route.page) {
    case 'home':
      return '';
    case 'services':
    case 'nodes':
    case 'members':
      return joined(route.dc, route.page);
    case 'service':
      return joined(route.dc, 'services', route.name);
    case 'node':
      return joined(route.dc, 'nodes', route.name);
    case 'kv':
      return joined(route.dc, 'kv', ...route.folder.split('/'));
    case 'key':
      return joined(route.dc, 'kv', ...route.key.split('/'), 'edit');
    case 'new-key':
      return joined(route.dc, 'kv', ...route.folder.split('/').slice(0, -1), 'create');
    case 'unknown':
      return route.dc === undefined ? '' : joined(route.dc, 'services');
  }
}

function joined(...parts: string[]): string {
  return parts.map(encodeURIComponent).join('/');
}

function unescapePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    // A stray percent sign is one.
    return part;
  }
}
