// Where the frames of a recorded connection end.

const HEAD_END = Buffer.from("\r\n\r\n");
const EVENT_END = Buffer.from("\n\n");

/** The bytes after which a head, a frame of a WebSocket or an event ends, counted over all connections. */
export function ends(pieces) {
  const found = new Set();
  const pairs = new Set(pieces.map(({ pair }) => pair));
  let before = 0;
  const starts = pieces.map(({ bytes }) => (before += bytes.length) - bytes.length);
  for (const one of pairs) {
    const mine = pieces.flatMap((piece, at) => (piece.pair === one ? [{ bytes: piece.bytes, start: starts[at] }] : []));
    const bytes = Buffer.concat(mine.map((piece) => piece.bytes));
    // An end within the connection as one within all that was passed.
    const place = (end) => {
      for (const piece of mine) {
        if (end <= piece.bytes.length) return piece.start + end;
        end -= piece.bytes.length;
      }
      return undefined;
    };
    for (const end of endsWithin(bytes)) found.add(place(end));
  }
  return [...found].filter((end) => end !== undefined);
}

function endsWithin(bytes) {
  const head = bytes.indexOf(HEAD_END) + HEAD_END.length;
  const isSocket = /upgrade: websocket/i.test(bytes.subarray(0, head).toString("latin1"));
  return isSocket ? [head, ...socketEnds(bytes, head)] : [...allEnds(bytes, HEAD_END), ...allEnds(bytes, EVENT_END)];
}

function socketEnds(bytes, begin) {
  const found = [];
  for (let at = begin; at + 2 <= bytes.length; found.push(at)) {
    const isMasked = bytes[at + 1] & 0x80;
    let length = bytes[at + 1] & 0x7f;
    at += 2;
    if (length === 126) {
      length = bytes.readUInt16BE(at);
      at += 2;
    }
    at += (isMasked ? 4 : 0) + length;
  }
  return found;
}

function allEnds(bytes, mark) {
  const found = [];
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + 1)) found.push(at + mark.length);
  return found;
}
