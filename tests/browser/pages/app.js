// An app that follows and publishes with the SDK, and keeps what came where a story sees it.

import { connect } from "fanfare-client";

const came = [];
let told = () => {};
const note = (text) => {
  came.push(text);
  told();
};

let status;
const asked = new URLSearchParams(location.search);
const client = connect(asked.get("broker"), {
  ...globalThis.appOptions,
  transports: asked.get("transports")?.split(","),
  onStatus: ({ kind }) => { status = kind; },
});
window.app = {
  client,
  get status() {
    return status;
  },
  came,
  /** All that came up to this text. */
  until: (text) => new Promise((resolve) => {
    told = () => came.includes(text) && resolve(came.slice(0, came.lastIndexOf(text) + 1));
    told();
  }),
};
client.subscribe("orders.>", {}, {
  message: ({ topic, data }) => note(`${topic} ${JSON.stringify(data)}`),
  gap: ({ topic = "anything" }) => note(`gap of ${topic}`),
  live: () => note("live"),
  end: (error) => note(`end: ${error}`),
});
