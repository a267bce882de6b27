/** Warnings for services and tags that cannot be looked up by DNS. They are registered all the same. */

import type { LogFields } from '../../../shared/log.ts';
import type { Service } from '../../../shared/types/v1.ts';

export interface NameWarning {
  readonly message: string;
  readonly fields: LogFields;
}

const MAX_LABEL_BYTES = 63;

export function dnsNameWarnings(service: Service): NameWarning[] {
  const warnings: NameWarning[] = [];
  const name = labelProblem(service.Service);
  if (name !== undefined)
    warnings.push({
      message: `Service name will not be discoverable via DNS ${name}`,
      fields: { service: service.Service },
    });
  for (const tag of service.Tags ?? []) {
    const problem = labelProblem(tag);
    if (problem !== undefined)
      warnings.push({ message: `Service tag will not be discoverable via DNS ${problem}`, fields: { tag } });
  }
  return warnings;
}

function labelProblem(label: string): string | undefined {
  if (!/^[A-Za-z0-9-]*$/.test(label))
    return 'due to invalid characters. Valid characters include all alpha-numerics and dashes.';
  if (label.length > MAX_LABEL_BYTES)
    return 'due to it being too long. Valid lengths are between 1 and 63 bytes.';
  return undefined;
}
