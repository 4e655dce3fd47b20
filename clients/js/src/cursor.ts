/** Positions and cursors, which stay texts: what the broker gave is given back. */

const POSITION = /^(0|[1-9]\d{0,2})\.((?:0|[1-9a-z][0-9a-z]{0,9})):(0|[1-9]\d{0,15})$/;
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
  const [partition, life, seq] = [+found?.[1]!, found?.[2]!, +found?.[3]!];
  return partition <= PARTITION_MAX && Number.isSafeInteger(seq) ? { partition, life, seq } : undefined;
}

/** A cursor with its parts in rising order of partition; `undefined` if the text is none. */
export function parseCursor(text: string): string | undefined {
  const partitions = new Set(text.split(',').map((part) => parsePosition(part)?.partition));
  return partitions.has(undefined) || partitions.size < text.split(',').length ? undefined : sorted(text.split(','));
}

/** The cursor in which the part of the position's partition is that position. */
export function replacePart(cursor: string | undefined, position: string): string {
  const others = cursor?.split(',').filter((part) => parseInt(part) !== parseInt(position));
  return sorted([...(others ?? []), position]);
}

const sorted = (parts: string[]) => parts.sort((a, b) => parseInt(a) - parseInt(b)).join();
