/** What a session's frames travel over. */

/** A connection, standing or being made. */
export interface Wire {
  /** Sends a frame; only once `opened` was told. */
  send(frame: unknown[]): void;
  /** Closes it with this code, or just drops it; nothing is told after that. */
  close(code?: number): void;
}

/** Who is told what happens on a connection. */
export interface Listener {
  opened(): void;
  /** A frame came, decoded; `undefined` if it could not be. */
  frame(frame: unknown): void;
  /** A sign of life came that is no frame. */
  heard(): void;
  /** It is over, or could not be made. */
  closed(code: number, reason: string): void;
}

/** Begins to make a connection. */
export type Dial = (listener: Listener) => Wire;
