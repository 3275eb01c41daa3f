import type { Scale } from "../logic/dashboard";
import { colourOf } from "../logic/scale";

const STEPS = 24;

/** The colours of a scale from its low to its high end. */
export function ScaleBar({ scale, low, high }: { scale: Scale; low: string; high: string }) {
  const values = Array.from({ length: STEPS }, (_, step) => scale.middle - scale.reach + ((step + 0.5) / STEPS) * 2 * scale.reach);
  return (
    <p class="scale-bar">
      <span>{low}</span>
      <span class="colours" aria-hidden="true">
        {values.map((value) => (
          <span key={value} style={{ background: colourOf(scale, value) }} />
        ))}
      </span>
      <span>{high}</span>
    </p>
  );
}
