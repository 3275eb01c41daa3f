/** What stands there while nobody is signed in: how one comes in. */

import { useEffect, useId, useRef, useState } from "preact/hooks";
import { type SignInWay, post } from "./api";
import { CopyCommand } from "./parts/CopyCommand";
import { words } from "./parts/states";
import { Ticked } from "./parts/Ticked";
import type { Session } from "./types";

const REASONS = {
  none: "You are not signed in here.",
  used: "This link was used already, or is too old.",
  ended: "The session has ended.",
};

export type Why = keyof typeof REASONS;

interface SignedOutProps {
  why: Why;
  ways: readonly SignInWay[];
  enter: (session: Session) => void;
}

export function SignedOut({ why, ways, enter }: SignedOutProps) {
  const hasPassword = ways.includes("password");
  // From another machine a link is of no use.
  const hasLink = ways.includes("link");
  return (
    <main class="alone">
      <h1>{REASONS[why]}</h1>
      {hasPassword && <PasswordForm enter={enter} />}
      {!hasPassword && !hasLink && (
        <p>
          <Ticked text="Nobody has a password here: whoever runs the host adds a user by `isobar user add`." />
        </p>
      )}
      {hasLink && (
        <>
          <p>
            {hasPassword ? "A link signs you in, too. It" : "A new link"} comes from the terminal, in the folder of the application. Each
            link is good once.
          </p>
          <CopyCommand command="isobar open" />
        </>
      )}
    </main>
  );
}

/** Sends what is in the fields. */
function useSending(enter: (session: Session) => void) {
  const [name, password] = [useRef<HTMLInputElement>(null), useRef<HTMLInputElement>(null)];
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => name.current?.focus(), []);
  // One tries again where one was wrong: mostly in the password, which is not seen and written anew.
  useEffect(() => {
    if (error !== null) password.current?.select();
  }, [error]);
  const send = async (event: Event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setError(null);
    try {
      enter(await post<Session>("/session", { name: name.current?.value ?? "", password: password.current?.value ?? "" }));
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  return { name, password, busy, error, send };
}

function PasswordForm({ enter }: { enter: (session: Session) => void }) {
  const { name, password, busy, error, send } = useSending(enter);
  const said = useId();
  const marks = { required: true, "aria-invalid": error !== null, "aria-describedby": error === null ? undefined : said };
  return (
    <form class="sign-in" onSubmit={(event) => void send(event)}>
      <label>
        Name
        <input ref={name} name="username" autocomplete="username" autocapitalize="none" spellcheck={false} {...marks} />
      </label>
      <label>
        Password
        <input ref={password} name="password" type="password" autocomplete="current-password" {...marks} />
      </label>
      <p class="failure" id={said} role="alert">
        {error !== null && <Told error={error} />}
      </p>
      <button type="submit" class="main">
        {busy ? "Signing in …" : "Sign in"}
      </button>
    </form>
  );
}

function Told({ error }: { error: unknown }) {
  const { message, hint } = words(error);
  return <Ticked text={hint ? `${message}: ${hint}` : message} />;
}
