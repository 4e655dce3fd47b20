/** Where a broker is. */

import { FanfareError } from './outcome.js';

/** The base of a broker's paths, with `http` or `https` and without a slash at its end. */
export function baseUrl(url: string): string {
  const fail = (why: string): never => {
    throw new FanfareError('bad_url', `URL ${JSON.stringify(url)} ${why}`);
  };
  const isPath = !url || url.startsWith('/');
  const whole = isPath || url.includes('://') ? url : `http://${url}`;
  let parsed: URL | undefined;
  try {
    parsed = new URL(whole, isPath ? globalThis.location?.href : undefined);
  } catch {
    return fail('is no URL such as http://127.0.0.1:8900');
  }
  if (!/^(http|ws)s?:$/.test(parsed.protocol)) fail('has a scheme that is none of http, https, ws and wss');
  if (parsed.search) fail('has a query, which is not used');
  if (parsed.username || parsed.password) fail('has a user in it, which is not used');
  return `${parsed.protocol.replace('ws', 'http')}//${parsed.host}${parsed.pathname.replace(/\/+$/, '')}`;
}
