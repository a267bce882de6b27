/** `/v1/connect/*` and its kin: there is no service mesh here, and every endpoint says so in the words of one that is off. */

import { badRequest, refused } from '../../../shared/errors.ts';
import { ignored, struct, text } from '../go-json.ts';
import { errorReply, FAILED_META_HEADERS, type Reply } from '../reply.ts';
import type { HttpRequest } from '../request.ts';
import { route } from '../router.ts';
import { decodeBody, parseGoBool } from './parts.ts';

const CHAIN = '/v1/discovery-chain/';

export const connectRoutes = [
  route('POST', '/v1/agent/connect/authorize', authorize),
  route('GET', '/v1/agent/connect/ca/roots', isOff),
  route('GET', '/v1/agent/connect/ca/leaf/', (request) => {
    request.refuseNamespace();
    return isOff();
  }),
  route('GET PUT', '/v1/connect/ca/configuration', isOff),
  route('GET', '/v1/connect/ca/roots', roots),
  route('GET POST', '/v1/connect/intentions', (request) =>
    request.method === 'GET' ? isOffWithMeta() : isOff(),
  ),
  route('GET', '/v1/connect/intentions/match', match),
  route('GET', '/v1/connect/intentions/check', check),
  route('GET PUT DELETE', '/v1/connect/intentions/', isOff),
  route('GET POST', CHAIN, (request) => {
    request.refuseNamespace();
    if (request.after(CHAIN) === '') throw badRequest('Bad request: Missing chain name');
    return isOffWithMeta();
  }),
];

const OFF = 'Connect must be enabled in order to use this endpoint';

function isOff(): Reply {
  return errorReply(refused(OFF));
}

/** As reads that send their meta headers whatever comes. */
function isOffWithMeta(): Reply {
  return errorReply(refused(OFF), FAILED_META_HEADERS);
}

const authorizeBody = struct({
  Target: text,
  ClientCertURI: text,
  ClientCertSerial: text,
  Namespace: ignored,
});

async function authorize(request: HttpRequest): Promise<Reply> {
  request.refuseNamespace();
  const { Target: target } = await decodeBody(request, authorizeBody);
  if (target === '') throw badRequest('Bad request: Target service must be specified');
  return isOff();
}

function roots(request: HttpRequest): Reply {
  const pem = request.query.text('pem');
  if (pem !== '' && parseGoBool(pem) === undefined)
    throw badRequest("Bad request: The 'pem' query parameter must be a boolean value");
  return isOffWithMeta();
}

function match(request: HttpRequest): Reply {
  const { query } = request;
  if (!query.has('by')) throw refused("required query parameter 'by' not set");
  if (!['source', 'destination'].includes(query.text('by')))
    throw refused("'by' parameter must be one of 'source' or 'destination'");
  if (!query.has('name')) throw refused("required query parameter 'name' not set");
  return isOff();
}

function check(request: HttpRequest): Reply {
  for (const needed of ['source', 'destination'])
    if (!request.query.has(needed)) throw refused(`required query parameter '${needed}' not set`);
  return isOff();
}
