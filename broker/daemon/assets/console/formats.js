// Numbers and times as a person reads them.

const whole = new Intl.NumberFormat("en");
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** A number with its thousands apart; a dash for one that is not told. */
export const count = (value) => (value === undefined ? "–" : whole.format(value));

/** "1 message", "2 messages". */
export const counted = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

/** What happens in a second; a dash while nothing is known. */
export function rate(perSecond) {
  if (perSecond === null || perSecond === undefined) return "–";
  if (perSecond > 0 && perSecond < 0.05) return "< 0.1";
  return perSecond < 9.95 && perSecond > 0 ? perSecond.toFixed(1) : count(Math.round(perSecond));
}

/** A size in the largest unit that leaves a number of one or more. */
export function bytes(value) {
  const step = value < 1 ? 0 : Math.min(Math.floor(Math.log2(value) / 10), UNITS.length - 1);
  const scaled = value / 1024 ** step;
  return `${step === 0 || scaled >= 99.95 ? count(Math.round(scaled)) : scaled.toFixed(1)} ${UNITS[step]}`;
}

/** A length of time in its largest two units. */
export function duration(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const [m, h, d] = [Math.floor(s / 60), Math.floor(s / 3600), Math.floor(s / 86_400)];
  if (s < 60) return `${s} s`;
  if (m < 60) return `${m} min ${s % 60} s`;
  return h < 24 ? `${h} h ${m % 60} min` : `${d} d ${h % 24} h`;
}

/** A short wait, to a tenth of a second. */
export const seconds = (ms) => `${(ms / 1000).toFixed(ms < 9_950 ? 1 : 0)} s`;

/** A very short time. */
export function latency(s) {
  if (s === null) return "–";
  if (s === Infinity) return "very long";
  return s < 0.001 ? `${count(Math.round(s * 1e6))} µs` : s < 1 ? `${count(s * 1e3)} ms` : `${count(s)} s`;
}

/** The time of the day. */
export const clock = (ms) => new Date(ms).toLocaleTimeString();

/** How long ago that was by this device's clock, which may be a little off the broker's. */
export const ago = (ms) => `${duration(Date.now() - ms)} ago`;
