/** `/v1/status/*`: answered by whichever server is asked, leader or not. */

import { statusLeader, statusPeers } from '../../rpc/endpoints.ts';
import { NO_META, serveRead } from '../read.ts';
import { route } from '../router.ts';

export const statusRoutes = [
  route('GET', '/v1/status/leader', (request) => serveRead(request, statusLeader, {}, NO_META)),
  route('GET', '/v1/status/peers', (request) => serveRead(request, statusPeers, {}, NO_META)),
];
