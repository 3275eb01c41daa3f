import type { ComponentChildren } from "preact";

export interface TableColumn<R> {
  /** By which it is sorted, and which tells it from others. */
  name: string;
  title?: ComponentChildren;
  unit?: string | undefined;
  /** Numbers stand at the right. */
  right?: boolean;
  /** Whether its header sorts; needs `onSort`. */
  sorts?: boolean;
  cell: (row: R) => ComponentChildren;
}

interface DataTableProps<R> {
  /** What it shows, for who hears it. */
  caption: string;
  columns: TableColumn<R>[];
  rows: readonly R[];
  rowKey: (row: R, at: number) => string | number;
  /** The column by which rows are ordered, with `-` before it from the highest down. */
  order?: string | null;
  onSort?: (order: string) => void;
  /** What stands there when there are no rows. */
  empty?: ComponentChildren;
}

function ariaSort(name: string, order: string | null | undefined): "ascending" | "descending" | undefined {
  if (order === name) return "ascending";
  return order === `-${name}` ? "descending" : undefined;
}

function Header<R>({ column, order, onSort }: { column: TableColumn<R> } & Pick<DataTableProps<R>, "order" | "onSort">) {
  const sorted = ariaSort(column.name, order);
  const title = (
    <>
      {column.title ?? column.name}
      {column.unit && <span class="unit">, {column.unit}</span>}
    </>
  );
  return (
    <th scope="col" class={column.right ? "right" : undefined} aria-sort={sorted}>
      {column.sorts && onSort ? (
        <button type="button" class="sort" onClick={() => onSort(sorted === "ascending" ? `-${column.name}` : column.name)}>
          {title}
          <span aria-hidden="true">{sorted === "ascending" ? " ↑" : sorted === "descending" ? " ↓" : ""}</span>
        </button>
      ) : (
        title
      )}
    </th>
  );
}

/** Rows in columns; it scrolls in itself where it is wider than the page. */
export function DataTable<R>({ caption, columns, rows, rowKey, order, onSort, empty }: DataTableProps<R>) {
  return (
    <div class="table" role="group" aria-label={caption} tabIndex={0}>
      <table>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <Header key={column.name} column={column} order={order} onSort={onSort} />
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={rowKey(row, at)}>
              {columns.map((column) => (
                <td key={column.name} class={column.right ? "right" : undefined}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
          {rows.length === 0 && (
            <tr>
              <td colSpan={columns.length} class="none">
                {empty ?? "Nothing"}
              </td>
            </tr>
          )}
        </tbody>
      </table>
    </div>
  );
}
