/** How a frame, one array, becomes what a WebSocket carries and the reverse. */

/** An encoding of frames: JSON, or MessagePack of `fanfare-client/msgpack`. */
export interface Codec {
  /** What is offered in `Sec-WebSocket-Protocol`. */
  readonly subprotocol: string;
  /** True if frames carry bytes as they are, and not as base64. */
  readonly isBinary: boolean;
  encode(frame: readonly unknown[]): string | Uint8Array<ArrayBuffer>;
  /** It throws if this is no value of the encoding. */
  decode(message: string | ArrayBuffer): unknown;
}

/** JSON in text frames. */
export const json: Codec = {
  subprotocol: 'fanfare.v1.json',
  isBinary: false,
  encode: (frame) => JSON.stringify(frame),
  // Bytes, turned into text, are no JSON.
  decode: (message) => JSON.parse(message as string),
};
