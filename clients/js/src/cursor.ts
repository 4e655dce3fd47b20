/** Positions and cursors, which stay texts: what the broker gave is given back. */

const POSITION = /^(0|[1-9]\d{0,2})\.(0|[1-9a-z][0-9a-z]{0,9}):(0|[1-9]\d{0,15})$/;
const PARTITION_MAX = 255;

/** A position, read. */
export interface Position {
  readonly partition: number;
  /** The life of the partition's numbering. */
  readonly life: string;
  readonly seq: number;
}

/** What a text such as `0.k3f9a:10492` says; `undefined` if it is no position. */
export function parsePosition(text: string): Position | undefined {
  const found = POSITION.exec(text);
  if (!found) return undefined;
  const [partition, seq] = [Number(found[1]), Number(found[3])];
  return partition <= PARTITION_MAX && Number.isSafeInteger(seq) ? { partition, life: found[2]!, seq } : undefined;
}

/** The parts of a cursor in rising order of partition; `undefined` if the text is none. */
export function cursorParts(text: string): string[] | undefined {
  const parts = text.split(',');
  const partitions = new Set(parts.map((part) => parsePosition(part)?.partition));
  if (partitions.has(undefined) || partitions.size < parts.length) return undefined;
  return parts.sort((a, b) => parseInt(a) - parseInt(b));
}

/** The cursor in which the part of the position's partition is that position. */
export function replacePart(cursor: string | undefined, position: string): string {
  if (!cursor) return position;
  const partition = parseInt(position);
  const others = cursor.split(',').filter((part) => parseInt(part) !== partition);
  return [...others, position].sort((a, b) => parseInt(a) - parseInt(b)).join();
}
