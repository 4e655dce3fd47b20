/** What the compiler says of programs that use the client: this file is only compiled. */

import {
  connect,
  FanfareError,
  type Client,
  type Event,
  type Message,
  type Published,
  type Subscription,
} from '../src/index.js';
import { msgpack } from '../src/msgpack.js';
import { connectShared } from '../src/shared.js';

interface Price {
  symbol: string;
  bid: number;
}

export async function follow(client: Client): Promise<void> {
  const prices: Subscription<Price> = client.subscribe<Price>('prices.*', { last: 1, onSlow: 'latest', echo: false });
  for await (const event of prices) {
    if (event.kind === 'message') {
      const bid: number = event.data.bid;
      // @ts-expect-error a price has no ask
      event.data.ask;
      // @ts-expect-error a message is read-only
      event.topic = 'x';
      void bid;
    } else if (event.kind === 'gap') {
      const from: string = event.from;
      // @ts-expect-error a gap has no data
      event.data;
      void from;
    } else if (event.kind === 'live') {
      const cursor: string = event.cursor;
      void cursor;
    }
    // @ts-expect-error what kind of event it is has to be asked first
    event.data;
  }
  client.subscribe<Price>(
    'prices.*',
    {},
    {
      message(message: Message<Price>) {
        void message.data.symbol;
      },
      // @ts-expect-error there is no such callback
      mesage() {},
    },
  );
  client.subscribe(
    'a',
    {},
    {
      message({ data }) {
        // @ts-expect-error nobody said what the data are
        data.x;
      },
      end: (error?: FanfareError) => void error?.code,
    },
  );
  // @ts-expect-error there is no such policy
  client.subscribe('a', { onSlow: 'block' });
  // @ts-expect-error a cursor is a text
  client.subscribe('a', { after: 7 });
}

export async function publish(client: Client): Promise<void> {
  const published: Published = await client.publish('a', { any: 'value' }, { ttlS: 60, headers: { trace: 'x' } });
  // @ts-expect-error the time to live is a number
  await client.publish('a', 1, { ttlS: '60' });
  // @ts-expect-error a topic is a text
  await client.publish(1, 1);
  const { frames, more } = await client.history<Price>('prices.a', { limit: 10 });
  const events: readonly Event<Price>[] = frames;
  void [published.position, published.receivers, more, events];
}

export function options(): Client[] {
  const status = connect('/', { onStatus: (status) => status.kind === 'waiting' && status.reason }).status;
  // @ts-expect-error there is no reason to be connected
  if (status.kind === 'connected') status.reason;
  // @ts-expect-error a token is a text, or a promise of one
  connect('/', { token: () => 7 });
  // @ts-expect-error there is no such transport
  connect('/', { transports: ['polling'] });
  return [
    connect('/', { codec: msgpack, token: async () => 'jwt' }),
    connectShared('/', { name: 'site', transports: ['sse'] }),
  ];
}
