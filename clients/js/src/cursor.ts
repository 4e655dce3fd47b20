/** Positions and cursors, which stay texts: what the broker gave is given back. */

const POSITION = /^(0|[1-9]\d{0,2})\.(0|[1-9a-z][0-9a-z]{0,9}):(0|[1-9]\d{0,15})$/;
const PARTITIONS_MAX = 256;

/** True if the text is a position such as `0.k3f9a:10492`. */
export function isPosition(text: string): boolean {
  return POSITION.test(text) && partitionOf(text) < PARTITIONS_MAX && Number.isSafeInteger(+text.split(':')[1]!);
}

/** True if the text is a position, or several of different partitions. */
export function isCursor(text: string): boolean {
  const parts = text.split(',');
  return parts.every(isPosition) && new Set(parts.map(partitionOf)).size === parts.length;
}

/** The cursor in which the part of the position's partition is that position. */
export function replacePart(cursor: string | undefined, position: string): string {
  const others = cursor?.split(',').filter((part) => partitionOf(part) !== partitionOf(position)) ?? [];
  return [...others, position].sort((a, b) => partitionOf(a) - partitionOf(b)).join();
}

const partitionOf = (position: string) => parseInt(position);
