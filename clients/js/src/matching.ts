/** Which topics a filter matches. */

/** True if the filter, in its segments, matches the topic in its own. */
export function matches(filter: readonly string[], topic: readonly string[]): boolean {
  const last = filter.length - 1;
  const isRest = filter[last] === '>';
  return (
    (isRest ? topic.length > last : topic.length === filter.length) &&
    filter.every((part, at) => part === '*' || part === topic[at] || (isRest && at === last))
  );
}
