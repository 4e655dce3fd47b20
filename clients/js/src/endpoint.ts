/** Where a broker is. */

import { FanfareError } from './outcome.js';

/** The base of a broker's paths, with `http` or `https` and without a slash at its end. */
export function baseUrl(url: string): string {
  const found = /^(?:http|ws)(s?:\/\/[^?#@]+?)\/*$/.exec(new URL(url, globalThis.location?.href).href);
  if (!found) throw new FanfareError('bad_url', `${JSON.stringify(url)} is no URL of a broker`);
  return `http${found[1]}`;
}
