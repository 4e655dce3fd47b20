// The console: what an operator sees of a broker and does by hand. Each part of the page is a module of its own.

import { Health } from "./console/health.js";
import { Live } from "./console/live.js";
import { beginToPublish } from "./console/publish.js";
import { Sessions } from "./console/sessions.js";
import { Tabs } from "./console/tabs.js";
import { OneTopic } from "./console/topic.js";
import { Topics } from "./console/topics.js";

const live = new Live();
beginToPublish();
new Tabs({
  live,
  topics: new Topics(),
  topic: new OneTopic(),
  sessions: new Sessions(() => live.session),
  health: new Health(),
});
