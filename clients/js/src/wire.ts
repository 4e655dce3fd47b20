/** What a session's frames travel over. */

import type { Input } from './session.js';

/** A connection, standing or being made. */
export interface Wire {
  /** Sends a frame; only once `opened` was told. */
  send(frame: unknown[]): void;
  /** Closes it with this code, or just drops it; nothing is told after that. */
  close(code?: number): void;
}

/** What is told of a connection. */
export type WireInput = Extract<Input, { kind: 'opened' | 'frame' | 'heard' | 'closed' }>;

/** Begins to make a connection. */
export type Dial = (tell: (input: WireInput) => void) => Wire | Promise<Wire>;
