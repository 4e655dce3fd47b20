/** Fanfare's client: follow topics over a connection that comes back by itself, and publish over it. */

export { Client, connect, type Options } from './client.js';
export { Subscription, type Callbacks } from './client/subscription.js';
export { json, type Codec } from './codec.js';
export type { Event, Gap, Live, Message, Presence } from './event.js';
export type { PublishOptions, SubscribeOptions } from './options.js';
export { FanfareError, type History, type Published } from './outcome.js';
export type { Status } from './session.js';
