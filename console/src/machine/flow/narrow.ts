import { useEffect, useState } from "preact/hooks";

/** Below this width a drawing from left to right would be seen through a keyhole. */
const NARROW = "(max-width: 640px)";

/** Whether there is little room from left to right. */
export function useNarrow(): boolean {
  const [isNarrow, setNarrow] = useState(() => matchMedia(NARROW).matches);
  useEffect(() => {
    const query = matchMedia(NARROW);
    const listener = () => setNarrow(query.matches);
    query.addEventListener("change", listener);
    listener();
    return () => query.removeEventListener("change", listener);
  }, []);
  return isNarrow;
}
