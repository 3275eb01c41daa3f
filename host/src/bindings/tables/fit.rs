//! Rows that waited in an outbox, as the table is declared now. Pure.

use crate::bindings::tables::domain;
use crate::delivery::{HeldRow, HeldTable, Value, key_bytes, outbox::Rows};
use crate::manifest::{Column, Table};

/// `rows` with their cells in the order of the columns of `table`; of a column that they do not know they say nothing.
///
/// # Errors
/// What of them `table` does not take as it is declared now.
pub fn fit(table: &Table, rows: Rows) -> Result<HeldTable, String> {
    if rows.key != table.key {
        return Err(format!(
            "it is of a table with the key `{}`, and `{}` has another",
            rows.key.join("`, `"),
            table.name
        ));
    }
    let of = |name: &str| rows.columns.iter().position(|known| known == name);
    let places: Vec<Option<usize>> = table.columns.iter().map(|column| of(&column.name)).collect();
    let gone = rows.columns.iter().enumerate().filter(|(_, name)| table.column(name).is_none());
    let gone: Vec<(usize, &String)> = gone.collect();
    let fitted = |mut row: HeldRow| {
        if let Some(cells) = row.cells.take() {
            row.cells = Some(cells_of(table, &cells, &places, &gone)?);
        }
        Ok((key_bytes(&row.key), row))
    };
    Ok(HeldTable { rows: rows.rows.into_iter().map(fitted).collect::<Result<_, String>>()? })
}

fn cells_of(
    table: &Table,
    cells: &[Option<Value>],
    places: &[Option<usize>],
    gone: &[(usize, &String)],
) -> Result<Vec<Option<Value>>, String> {
    let said = |at: usize| cells.get(at).and_then(Option::as_ref);
    let lost = gone.iter().find(|(at, _)| said(*at).is_some_and(|value| *value != Value::Null));
    if let Some((_, name)) = lost {
        return Err(format!("it has cells of column `{name}`, which `{}` is declared without", table.name));
    }
    let cell = |(column, place): (&Column, &Option<usize>)| {
        let value = place.and_then(said);
        if let Some(value) = value {
            // The words of `check` may hold the value.
            domain::check(table, column, value).map_err(|_| {
                let kind = column.kind.name();
                format!("its cells of column `{}` are none that `{}` takes as `{kind}`", column.name, table.name)
            })?;
        }
        Ok(value.cloned())
    };
    table.columns.iter().zip(places).map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::outbox;
    use crate::manifest::parse;

    fn table(columns: &str) -> Table {
        let text = format!(
            "spin_manifest_version = 2\n[application]\nname = \"a\"\nversion = \"1.0.0\"\n\
             [application.trigger.isobar.tables.t]\nstore = \"postgres\"\nkey = [\"id\"]\ncolumns = {{ {columns} }}\n"
        );
        parse(&text).unwrap_or_else(|problems| panic!("{problems:?}")).tables["t"].clone()
    }

    fn waiting(table: &Table, cells: Vec<Option<Value>>) -> Rows {
        let mut held = HeldTable::default();
        held.upsert(vec![Value::Int(1)], cells);
        held.delete(vec![Value::Int(2)]);
        let columns = table.columns.iter().map(|column| column.name.as_str()).collect();
        let records =
            outbox::records([outbox::Written { table: "t", key: &table.key, columns, held: &held }], 0).unwrap();
        outbox::rows(records.values.iter().next().unwrap()).unwrap()
    }

    #[test]
    fn cells_stay_with_their_columns_when_others_come_between() {
        let before = table(r#"id = "bigint", day = "int?", amount = "double?""#);
        let now = table(r#"id = "bigint", amount = "double?", added = "double?", day = "int?""#);
        let cells = vec![Some(Value::Int(1)), Some(Value::Int(5)), Some(Value::Double(2.5))];
        let fitted = fit(&now, waiting(&before, cells)).unwrap();
        let rows: Vec<_> = fitted.rows.values().map(|row| (row.key.clone(), row.cells.clone())).collect();
        let cells = vec![Some(Value::Int(1)), Some(Value::Double(2.5)), None, Some(Value::Int(5))];
        assert_eq!(rows, [(vec![Value::Int(1)], Some(cells)), (vec![Value::Int(2)], None)]);
    }

    #[test]
    fn what_the_table_takes_no_more_is_refused_without_its_values() {
        let before = table(r#"id = "bigint", word = "text?""#);
        let secret = || vec![Some(Value::Int(1)), Some(Value::Text("secret".to_owned()))];
        for (now, says) in [
            (table(r#"id = "bigint", word = "int?""#), "column `word` are none that `t` takes as `int"),
            (table(r#"id = "bigint", other = "text?""#), "column `word`, which `t` is declared without"),
        ] {
            let refused = fit(&now, waiting(&before, secret())).unwrap_err();
            assert!(refused.contains(says) && !refused.contains("secret"), "{refused}");
        }
        let null = vec![Some(Value::Int(1)), Some(Value::Null)];
        assert!(fit(&table(r#"id = "bigint", other = "text?""#), waiting(&before, null)).is_ok());
    }
}
