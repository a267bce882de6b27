/** Entry of the web UI's bundle. */

import { runApp } from './run-app.ts';

const host = document.getElementById('app');
// The page names its own root: agents may serve it elsewhere than at /ui/.
if (host !== null) runApp(host, new URL(document.baseURI).pathname);
