import type { Status } from "../types";

/** That the data are a demo's: nobody should take them for real. */
export function MadeUp({ status }: { status: Status | undefined }) {
  return status?.made_up ? <span class="waiting">Made-up data of a demo</span> : null;
}
