import type { Payload } from "../types";
import { decode } from "./records";

function Part({ title, payload }: { title: string; payload: Payload | null }) {
  const { form, text, line } = decode(payload);
  return (
    <div class="lines">
      <h3>
        {title}
        {form === "bytes" && `, ${line}`}
      </h3>
      {form === "nothing" ? <p class="muted">{line}</p> : <pre>{text}</pre>}
    </div>
  );
}

interface RecordDetailProps {
  headers?: [string, Payload][];
  /** What has no key has none to be shown. */
  payloadKey: Payload | null;
  value: Payload | null;
}

/** A record in full: its key, its headers, its value as what it is taken for. */
export function RecordDetail({ payloadKey, value, headers = [] }: RecordDetailProps) {
  return (
    <div class="lines">
      {payloadKey !== null && <Part title="Key" payload={payloadKey} />}
      {headers.length > 0 && (
        <div class="lines">
          <h3>Headers</h3>
          <pre>{headers.map(([name, payload]) => `${name}: ${decode(payload).text}`).join("\n")}</pre>
        </div>
      )}
      <Part title="Value" payload={value} />
    </div>
  );
}
