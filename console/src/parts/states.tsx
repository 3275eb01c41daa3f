/** What stands where there is nothing to show: each says what to do next. */

import type { ComponentChildren } from "preact";
import type { Answer } from "../answer";
import { Refused } from "../api";
import { useStale } from "./stale";
import { Ticked } from "./Ticked";

export function Loading({ what }: { what: string }) {
  return (
    <p class="state loading" role="status">
      Loading {what} …
    </p>
  );
}

/** There is nothing of that yet. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="state">
      <p class="lead">{title}</p>
      {children && <p>{children}</p>}
    </div>
  );
}

/** Something is there and may not be seen. */
export function Hidden({ what, children }: { what: string; children?: ComponentChildren }) {
  return (
    <div class="state">
      <p class="lead">{what} hidden.</p>
      <p>
        {children ?? (
          <>
            It is sensitive, and you may not see that. Who runs this host sees it by the link of <code>isobar open</code>, or gives a
            user the role <code>sensitive</code>, a token <code>read-sensitive</code>.
          </>
        )}
      </p>
    </div>
  );
}

export function words(error: unknown): { message: string; hint: string | null } {
  if (error instanceof Refused) return { message: error.message, hint: error.hint };
  return { message: error instanceof Error ? error.message : String(error), hint: null };
}

/** Something failed: why, and what to do. */
export function Failed({ error, again }: { error: unknown; again?: () => void }) {
  const { message, hint } = words(error);
  if (error instanceof Refused && error.status === 403) {
    return (
      <Hidden what="This is">
        <Ticked text={message} />
        {hint && <Ticked text={` – ${hint}`} />}
      </Hidden>
    );
  }
  return (
    <div class="state failed" role="alert">
      <p class="lead">
        <Ticked text={message} />
      </p>
      {hint && (
        <p>
          <Ticked text={hint} />
        </p>
      )}
      {again && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

interface AnsweredProps<T> {
  answer: Answer<T>;
  /** What is loaded, in words that follow "Loading". */
  what: string;
  children: (value: T) => ComponentChildren;
}

/** What came, or why it did not; what came before stays while it is loaded anew, and the page says that it is old. */
export function Answered<T>({ answer, what, children }: AnsweredProps<T>) {
  const { value, error, again } = answer;
  useStale(value === undefined ? null : error, again);
  if (value === undefined) return error ? <Failed error={error} again={again} /> : <Loading what={what} />;
  return <>{children(value)}</>;
}
