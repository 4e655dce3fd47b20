/** Which topics a filter matches. */

/** True if the filter, in its segments, matches the topic in its own. */
export function matches(filter: readonly string[], topic: readonly string[]): boolean {
  return (
    (filter.length === topic.length || filter.at(-1) === '>') &&
    filter.every((part, at) => at < topic.length && (part === topic[at] || part === '*' || part === '>'))
  );
}
