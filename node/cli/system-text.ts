/** The system's words for why a file can't be used, as Go prints them. */

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EEXIST: 'file exists',
  EISDIR: 'is a directory',
  ENOTDIR: 'not a directory',
  ENOSPC: 'no space left on device',
  EROFS: 'read-only file system',
};

/** `open x: no such file or directory`; what has no such code keeps its own message. */
export function fileErrorText(operation: string, path: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const words = WORDS[code];
  if (words !== undefined) return `${operation} ${path}: ${words}`;
  return error instanceof Error ? error.message : String(error);
}
