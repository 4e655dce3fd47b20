/** Which tabs follow which filters, over as few connections as that takes. */

import type { Client } from '../client.js';
import type { Subscription } from '../client/subscription.js';
import type { Gap, Message } from '../event.js';
import type { FanfareError } from '../outcome.js';
import { asFrame, reasonOf } from './frames.js';

/** One subscription of a connection, and the tabs that share it. */
interface Share {
  readonly filter: string;
  /** The options but for where it begins: only what is asked for alike is shared. */
  readonly kind: string;
  readonly client: Client;
  subscription: Subscription;
  isLive: boolean;
  /** It began with nothing of the past: who comes before it is live misses nothing either. */
  readonly isFresh: boolean;
  /** The tabs, each with its request that is not answered yet. */
  readonly tabs: Map<string, number | undefined>;
}

/** All that is shared. */
export class Shares {
  readonly #all = new Set<Share>();
  readonly #clients: Client[];

  /** `open` makes another connection: for a filter that is followed from another place meanwhile. */
  constructor(
    client: Client,
    readonly open: () => Client,
    readonly tell: (tab: string, ...frame: unknown[]) => void,
  ) {
    this.#clients = [client];
  }

  subscribe(
    tab: string,
    id: number,
    filter: string,
    options: { after?: string; last?: number; on_slow?: any; [other: string]: unknown },
  ): void {
    const { after, last, on_slow: onSlow, ...rest } = options;
    const kind = JSON.stringify({ onSlow, ...rest });
    const isThere = (share: Share) =>
      !last && (after ? share.subscription.cursor === after : share.isLive || share.isFresh);
    const known = [...this.#all].find((share) => share.filter === filter && share.kind === kind && isThere(share));
    if (known) return this.#join(known, tab, id, after);
    const isFree = (client: Client) =>
      ![...this.#all].some((share) => share.client === client && share.filter === filter);
    let client = this.#clients.find(isFree);
    if (!client) this.#clients.push((client = this.open()));
    const share = {
      filter,
      kind,
      client,
      isLive: false,
      isFresh: !after && !last,
      tabs: new Map([[tab, id]]),
    } as unknown as Share;
    this.#all.add(share);
    const bring = (event: Message | Gap) => this.#bring(share, asFrame(event));
    share.subscription = client.subscribe(
      filter,
      { after, last, onSlow, ...rest },
      {
        message: bring,
        gap: bring,
        live: () => this.#live(share),
        end: (error) => error && this.#end(share, error),
      },
    );
    if (after) this.#answer(share);
  }

  unsubscribe(tab: string, filter: string): void {
    for (const share of this.#all) if (share.filter === filter) this.#leave(share, tab);
  }

  /** The tab is gone. */
  forget(tab: string): void {
    for (const share of this.#all) this.#leave(share, tab);
  }

  /** Tells tabs where their filters stand though nothing came. */
  tellCursors(): void {
    for (const share of this.#all)
      if (share.isLive) this.#tellAll(share, 'live', share.filter, share.subscription.cursor);
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  #join(share: Share, tab: string, id: number, after?: string): void {
    share.tabs.set(tab, id);
    if (share.isLive || after) this.#answer(share);
    if (after && share.isLive) this.tell(tab, 'live', share.filter, share.subscription.cursor);
  }

  #bring(share: Share, frame: unknown[]): void {
    this.#answer(share);
    this.#tellAll(share, 'replay', share.filter, frame);
    this.#merge(share);
  }

  #live(share: Share): void {
    share.isLive = true;
    this.#answer(share);
    this.#tellAll(share, 'live', share.filter, share.subscription.cursor);
    this.#merge(share);
  }

  #end(share: Share, error: FanfareError): void {
    this.#all.delete(share);
    // That the connection is closed for good, all tabs are told in another way.
    if (error.closeCode) return;
    this.#answer(share);
    this.#tellAll(share, 'unsubscribed', share.filter, error.code, reasonOf(error));
  }

  /** Two that stand at the same place become one. */
  #merge(share: Share): void {
    const isSame = (other: Share) =>
      other !== share &&
      other.filter === share.filter &&
      other.kind === share.kind &&
      other.isLive &&
      share.isLive &&
      other.subscription.cursor === share.subscription.cursor;
    const other = [...this.#all].find(isSame);
    if (!other) return;
    const [kept, left] =
      this.#clients.indexOf(other.client) < this.#clients.indexOf(share.client) ? [other, share] : [share, other];
    for (const tab of left.tabs) kept.tabs.set(...tab);
    left.tabs.clear();
    this.#drop(left);
  }

  #leave(share: Share, tab: string): void {
    if (share.tabs.delete(tab) && !share.tabs.size) this.#drop(share);
  }

  #drop(share: Share): void {
    this.#all.delete(share);
    share.subscription.unsubscribe();
    const at = this.#clients.indexOf(share.client);
    if (at > 0 && ![...this.#all].some(({ client }) => client === share.client))
      this.#clients.splice(at, 1)[0]!.close();
  }

  #answer(share: Share): void {
    for (const [tab, id] of share.tabs) {
      if (id) this.tell(tab, 'ok', id, { cursor: share.subscription.cursor });
      share.tabs.set(tab, undefined);
    }
  }

  #tellAll(share: Share, ...frame: unknown[]): void {
    for (const tab of share.tabs.keys()) this.tell(tab, ...frame);
  }
}
