/** Fanfare's client: follow topics over a connection that comes back by itself, and publish over it. */

export { connect, type Client, type Options } from './client.js';
export type { Callbacks, Subscription } from './client/subscription.js';
export { json, type Codec } from './codec.js';
export type { Event, Gap, Live, Message, Presence } from './event.js';
export type { HistoryOptions, PublishOptions, SubscribeOptions } from './options.js';
export { FanfareError, type History, type Published } from './outcome.js';
export type { Status } from './session.js';
