/** `/openapi.json`: this API, described for programs. */

import { openApiDocument } from '../../../shared/api/openapi.ts';
import { OPERATIONS } from '../../../shared/api/operations.ts';
import { renderJson } from '../../../shared/json.ts';
import { rawJsonReply } from '../reply.ts';
import { route } from '../router.ts';

let rendered: Buffer | undefined;

export const openApiRoutes = [
  route('GET', '/openapi.json', () => {
    // Made when first asked for: most agents never are.
    rendered ??= Buffer.from(renderJson(openApiDocument(OPERATIONS), false));
    return rawJsonReply(rendered);
  }),
];
