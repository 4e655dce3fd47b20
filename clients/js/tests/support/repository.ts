/** Files of the repository, from where the tests are built. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = new URL('../../../../../', import.meta.url);

/** The path of a file or folder of the repository. */
export const repository = (path: string): string => fileURLToPath(new URL(path, ROOT));

/** What a file of the protocol's vectors holds. */
export const vectors = (file: string): any => JSON.parse(readFileSync(repository(`protocol/vectors/${file}`), 'utf8'));
