/** Topics and filters: which texts are some. The client leaves that to the broker, whose answer names the fault. */

const BYTES_MAX = 255;
const SEGMENT = '[^\\s\\p{Cc}.*>]+';
const TOPIC = new RegExp(`^(?!\\$)(${SEGMENT}\\.){0,15}${SEGMENT}$`, 'u');
const FILTER = new RegExp(`^(?!\\$)((${SEGMENT}|\\*)\\.){0,15}(${SEGMENT}|[*>])$`, 'u');

/** True if the text is a topic, or a filter if that is asked. */
export function isName(name: string, isFilter: boolean): boolean {
  return (isFilter ? FILTER : TOPIC).test(name) && new TextEncoder().encode(name).length <= BYTES_MAX;
}
