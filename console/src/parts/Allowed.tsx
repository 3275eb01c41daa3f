import type { ComponentChildren } from "preact";
import { useSession } from "../session";
import type { May } from "../types";

const SCOPES: Record<keyof May, string> = { sensitive: "read-sensitive", operate: "operate", deploy: "deploy" };

/** What only those see who may do it; others are told what is missing. */
export function Allowed({ need, to, children }: { need: keyof May; to: string; children: ComponentChildren }) {
  const { may, as_viewer } = useSession();
  if (may[need]) return <>{children}</>;
  return (
    <span class="muted">
      {as_viewer ? `A viewer may not ${to}.` : `To ${to}, one needs a link, a user or a token that may `}
      {!as_viewer && <code>{SCOPES[need]}</code>}
      {!as_viewer && "."}
    </span>
  );
}
