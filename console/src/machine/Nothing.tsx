import type { PageProps } from "../pages";
import { Empty } from "../parts/states";

/** For an address that means nothing. */
export default function Nothing({ name }: PageProps) {
  return (
    <Empty title={`There is nothing at ${name}.`}>
      <a href="/">The board</a> and <a href="/flow">the flow</a> lead to all there is.
    </Empty>
  );
}
