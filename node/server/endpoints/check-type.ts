/** What kind of check a definition describes, for catalog registrations that don't say. */

import type { CheckDefinition } from '../../../shared/types/v1.ts';

/** '' when it describes none. */
export function checkTypeOf(definition: CheckDefinition): string {
  const isRepeated = definition.Interval !== undefined && definition.Interval !== '';
  if (definition.GRPC && isRepeated) return 'grpc';
  if (definition.HTTP && isRepeated) return 'http';
  if (definition.TTL) return 'ttl';
  if (definition.TCP && isRepeated) return 'tcp';
  if (definition.AliasNode || definition.AliasService) return 'alias';
  const isScript = (definition.ScriptArgs?.length ?? 0) > 0 && isRepeated;
  if (isScript && definition.DockerContainerID) return 'docker';
  return isScript ? 'script' : '';
}
