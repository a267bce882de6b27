/** The page of a route. */

import { emptyState, pageHead } from '../parts.ts';
import type { Route } from '../routes.ts';
import type { Page, Scope } from '../scope.ts';
import { keyPage } from './key.ts';
import { kvPage } from './kv.ts';
import { membersPage } from './members.ts';
import { newKeyPage } from './new-key.ts';
import { nodePage } from './node.ts';
import { nodesPage } from './nodes.ts';
import { servicePage } from './service.ts';
import { servicesPage } from './services.ts';

export function openPage(route: Route, scope: Scope): Page {
  switch (route.page) {
    case 'services':
      return servicesPage(scope);
    case 'service':
      return servicePage(scope, route.name);
    case 'nodes':
      return nodesPage(scope);
    case 'node':
      return nodePage(scope, route.name);
    case 'kv':
      return kvPage(scope, route.folder);
    case 'key':
      return keyPage(scope, route.key);
    case 'new-key':
      return newKeyPage(scope, route.folder);
    case 'members':
      return membersPage(scope);
    case 'home':
      return { title: 'Proconsul', view: () => [] };
    case 'unknown':
      return {
        title: 'Not found',
        view: () => [
          pageHead('Not found'),
          emptyState('There is no such page', 'Choose one of the lists above.'),
        ],
      };
  }
}
