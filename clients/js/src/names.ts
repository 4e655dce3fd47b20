/** Topics and filters: which texts are some, and which topics a filter matches. */

const BYTES_MAX = 255;
const SEGMENTS_MAX = 16;

/** Why a text is no topic, or no filter if wildcards are allowed; `undefined` if it is one. */
export function nameFault(name: string, wildcards: boolean): string | undefined {
  const bytes = new TextEncoder().encode(name).length;
  const segments = name.split('.');
  if (!name) return 'is empty';
  if (bytes > BYTES_MAX) return `has ${bytes} bytes, the limit is ${BYTES_MAX}`;
  if (segments.length > SEGMENTS_MAX) return `has ${segments.length} segments, the limit is ${SEGMENTS_MAX}`;
  if (segments.includes('')) return 'has an empty segment';
  if (/[\s\p{Cc}]/u.test(name)) return 'has a space or control character';
  if (name[0] === '$') return 'begins with $, which is reserved';
  const isFine = (segment: string, at: number) =>
    !/[*>]/.test(segment) || (wildcards && (segment === '*' || (segment === '>' && at === segments.length - 1)));
  return segments.every(isFine) ? undefined : `has * or > where ${wildcards ? 'it is no whole segment, or > before the end' : 'no wildcard may be'}`;
}

/** True if the filter, in its segments, matches the topic in its own. */
export function matches(filter: readonly string[], topic: readonly string[]): boolean {
  const isRest = filter.at(-1) === '>';
  return (
    (isRest ? topic.length >= filter.length : topic.length === filter.length) &&
    filter.every((part, at) => part === '*' || part === topic[at] || (isRest && at === filter.length - 1))
  );
}
