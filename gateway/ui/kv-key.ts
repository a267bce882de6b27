/** Keys as paths: folders, crumbs, and which keys a URL can name. Pure. */

export interface Crumb {
  readonly label: string;
  /** Empty for the root, else ends with a slash. */
  readonly folder: string;
}

/** The folder that a key (or a folder) lies in: empty, or ends with a slash. */
export function parentFolder(key: string): string {
  return key.slice(0, key.replace(/\/$/, '').lastIndexOf('/') + 1);
}

/** The last part of a key, or of a folder with its slash. */
export function lastPart(key: string): string {
  return key.slice(parentFolder(key).length);
}

/** From the root down to the folder itself. */
export function crumbsOf(folder: string): Crumb[] {
  const crumbs: Crumb[] = [{ label: 'Key/Value', folder: '' }];
  let path = '';
  for (const part of folder.split('/').slice(0, -1)) {
    path += `${part}/`;
    crumbs.push({ label: part, folder: path });
  }
  return crumbs;
}

/** Folders first, each in natural order. */
export function splitListing(keys: readonly string[], folder: string): { folders: string[]; keys: string[] } {
  const inside = keys.filter((key) => key.startsWith(folder) && key !== folder);
  return {
    folders: inside.filter((key) => key.endsWith('/')),
    keys: inside.filter((key) => !key.endsWith('/')),
  };
}

/** The path of a key in a URL, each part escaped, slashes kept. */
export function keyPath(key: string): string {
  return key.split('/').map(encodeURIComponent).join('/');
}

/**
 * Why a URL cannot name this key: browsers and agents clean paths, so that the request would reach another key.
 *
 * @returns a sentence, or undefined when the key is fine
 */
export function keyProblem(key: string): string | undefined {
  if (key === '') return 'A key needs a name.';
  if (key.startsWith('/')) return 'A key must not begin with a slash.';
  if (key.includes('//')) return 'A key must not have two slashes in a row.';
  if (key.split('/').some((part) => part === '.' || part === '..'))
    return 'No part of a key may be “.” or “..”: a URL cannot carry it.';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: agents refuse exactly these in a path
  if (/[\x00-\x1f\x7f]/.test(key)) return 'A key must not contain control characters.';
  return undefined;
}
