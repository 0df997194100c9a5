/** A table that is a list of cards on a phone: roles are written out, because a table laid out otherwise is none to some readers. */
import type { ComponentChildren } from "preact";
import { NONE } from "../format";
import "./table.css";

export interface Column<Row> {
  name: string;
  cell: (row: Row) => ComponentChildren;
  number?: boolean;
  /** How this column is sorted now, and what happens when its head is pressed. */
  sorted?: "ascending" | "descending" | "none";
  sort?: () => void;
}

interface Props<Row> {
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  id: (row: Row) => string;
}

export function Table<Row>({ caption, columns, rows, id }: Props<Row>) {
  return (
    <table class="cards" role="table">
      <caption class="visually-hidden">{caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map((column) => (
            <th key={column.name} role="columnheader" scope="col" class={column.number ? "number" : ""} aria-sort={column.sorted}>
              {column.sort === undefined ? (
                column.name
              ) : (
                <button type="button" class="sort" onClick={column.sort}>
                  {column.name}
                  <span aria-hidden="true">{ARROWS[column.sorted ?? "none"]}</span>
                </button>
              )}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <tr key={id(row)} role="row">
            {columns.map((column) => {
              const value = column.cell(row);
              return (
                <td key={column.name} role="cell" class={`${column.number ? "number" : ""} ${value === NONE ? "void" : ""}`}>
                  <span class="cell-name" aria-hidden="true">
                    {column.name}
                  </span>
                  <span class="cell-value">{value}</span>
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const ARROWS = { ascending: " ↑", descending: " ↓", none: " ↕" };
