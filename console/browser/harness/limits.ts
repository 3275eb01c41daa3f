/** How long anything is waited for. A test that needs longer fails: whoever looks at the page would have given up. */

/** Until the host says where it listens. */
export const START_MS = 20_000;
/** From the signal to end until the host has ended. */
export const END_MS = 10_000;
/** A command against the running host. */
export const COMMAND_MS = 20_000;
/** Filling a data folder with all that the demo has. */
export const FILL_MS = 120_000;
/** Something appears on a page. */
export const SHOW_MS = 10_000;
/** From opening the link until all charts are filled and have moved. */
export const FILLED_MS = 20_000;
/** From a commit until it is seen. */
export const UPDATE_MS = 2_000;
/** A function catches up, or a shadow has compared something. */
export const CATCH_UP_MS = 20_000;
/** Between two looks at what is awaited. */
export const LOOK_MS = 50;
