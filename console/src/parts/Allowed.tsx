import type { ComponentChildren } from "preact";
import { useSession } from "../session";
import type { May } from "../types";

/** As a user's role and as a token's scope. */
const SCOPES: Record<keyof May, [string, string]> = {
  sensitive: ["sensitive", "read-sensitive"],
  operate: ["operator", "operate"],
  deploy: ["operator", "deploy"],
};

/** What only those see who may do it; others are told what is missing. */
export function Allowed({ need, to, children }: { need: keyof May; to: string; children: ComponentChildren }) {
  const { may, as_viewer } = useSession();
  if (may[need]) return <>{children}</>;
  return (
    <span class="muted">
      {as_viewer ? (
        `A viewer may not ${to}.`
      ) : (
        <>
          To {to}, one needs a link, a user with the role <code>{SCOPES[need][0]}</code> or a token that may{" "}
          <code>{SCOPES[need][1]}</code>.
        </>
      )}
    </span>
  );
}
