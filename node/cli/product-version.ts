/** The product's own version, apart from the API level that it keeps. */

import manifest from '../../package.json' with { type: 'json' };

export const PRODUCT_VERSION: string = manifest.version;
