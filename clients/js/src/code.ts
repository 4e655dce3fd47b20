/** Codes: the words of errors, and after which closes a client comes back. */

const ERRORS =
  'bad_frame unknown_op unsupported bad_topic bad_filter bad_cursor bad_data bad_request already_connected ' +
  'already_subscribed not_subscribed unauthorized forbidden not_found method_not_allowed too_large limit ' +
  'idempotency_mismatch rate_limited overloaded storage_full unavailable internal';
/** Codes of RFC 6455 after which a client comes back, less 1000. */
const COME_BACK = [1, 5, 6, 11, 12, 13];

/** An error's code and reason; a code of a later version is `internal`, its word put before the reason. */
export function readCode(code: string, reason: string): [code: string, reason: string] {
  return ERRORS.split(' ').includes(code) ? [code, reason] : ['internal', `${code}: ${reason}`];
}

/** True if a client comes back after a connection that ended with this code. */
export function comesBack(code: number): boolean {
  return code < 4500 ? COME_BACK.includes(code - 1000) : code < 5000;
}
