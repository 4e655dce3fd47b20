// A story of the SDK in Node: its stage has apps too.

import { Stage, storyOn } from "../../toolkit/stage.js";
import { App } from "./app.js";

class AppStage extends Stage {
  #apps = [];

  /** An app that reaches its broker in this way. */
  app(url, way, options) {
    const app = new App(url, way, options);
    this.#apps.push(app);
    this.atEnd(() => app.stop());
    return app;
  }

  told() {
    const apps = this.#apps.slice(-1).map(({ said }) => `the app was told:\n${said.slice(-60).join("\n")}`);
    return [...apps, ...super.told()];
  }
}

/** A test; `tell` is given the stage on which it plays. */
export const story = storyOn(AppStage);

/** The same story over each of these ways. */
export function stories(ways, name, tell) {
  for (const way of ways) story(`${name} (${way})`, (stage) => tell(stage, way));
}
