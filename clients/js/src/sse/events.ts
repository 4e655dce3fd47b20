/** The format of server-sent events: text in pieces in, events out. */

/** The longest event, in characters. */
const EVENT_MAX = 16 << 20;

/** One event; without data it is a heartbeat that only moves the cursor. */
export interface ServerEvent {
  id: string | undefined;
  data: string | undefined;
}

/** Reads a stream, cut anywhere. */
export class EventReader {
  #rest = '';
  #event: ServerEvent = { id: undefined, data: undefined };

  /** The events that a piece of the stream completes; it throws if one is too long. */
  read(piece: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    const lines = (this.#rest + piece).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop()!;
    for (const line of lines) {
      if (line) this.#line(line);
      else if (this.#event.id !== undefined || this.#event.data !== undefined) {
        events.push(this.#event);
        this.#event = { id: undefined, data: undefined };
      }
    }
    if (this.#rest.length + (this.#event.data?.length ?? 0) > EVENT_MAX)
      throw new Error(`an event has over ${EVENT_MAX} characters`);
    return events;
  }

  #line(line: string): void {
    const found = /^\uFEFF?(id|data)(?:: ?(.*))?$/s.exec(line);
    if (!found) return;
    const value = found[2] ?? '';
    if (found[1] === 'id') this.#event.id = value;
    else this.#event.data = this.#event.data === undefined ? value : `${this.#event.data}\n${value}`;
  }
}
