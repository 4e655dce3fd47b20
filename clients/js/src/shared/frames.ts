/** What a client says, as the frames that it came from. */

import type { Gap, Message } from '../event.js';
import type { FanfareError } from '../outcome.js';

/** An event as a frame; bytes stay bytes. */
export function asFrame(event: Message | Gap): unknown[] {
  if (event.kind === 'message') {
    const { kind, topic, position, data, ...rest } = event;
    return [kind, topic, position, data, rest];
  }
  const { kind, topic, from, to, ...rest } = event;
  return [kind, topic ?? null, from, to, rest];
}

/** An error's reason without the code behind it. */
export const reasonOf = ({ message, code }: FanfareError): string => message.replace(` (${code})`, '');
