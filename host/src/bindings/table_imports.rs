//! `<application>:tables/<table>`: linked from the component's own type, so that a new table needs no change here.
//!
//! A table's functions take one list of records and give a list of records or nothing (see `manifest::wit`); cells
//! go through `Val`, checked against the domain before they are held.

use std::collections::HashSet;
use std::sync::Arc;

use wasmtime::StoreContextMut;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, Type, Val};

use super::CallState;
use super::tables::{MOST_ROWS_READ, Range, StoredRow, TableError, domain, overlay};
use crate::delivery::rows::{CELL_BYTES, key_bytes};
use crate::delivery::{Row, Value};
use crate::embedded::WriteError;
use crate::manifest::schema::wit_name;
use crate::manifest::{Application, ColumnKind, Function, Operation, Table, TableGrant};

/// One table function as one component sees it.
struct Bound {
    table: Table,
    operation: Operation,
    /// Columns of the record that goes in or comes out, as indexes of the table's, and the names in WIT.
    columns: Columns,
}

/// Columns of a record, as indexes of the table's, and their names in WIT.
type Columns = Vec<(usize, Arc<str>)>;

/// Links every granted table that the component imports.
pub(super) fn link(
    linker: &mut Linker<CallState>,
    application: &Arc<Application>,
    function: &Function,
    component: &Component,
) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    for (interface, import) in component.component_type().imports(&engine) {
        let ComponentItem::ComponentInstance(instance) = import.ty else { continue };
        let granted = function.grants.tables.iter().find_map(|(table, grant)| {
            let named = format!("{}:tables/{}", application.name, wit_name(table));
            (named == interface).then_some((application.tables.get(table)?, grant))
        });
        let Some((table, grant)) = granted else { continue };
        let mut linked = linker.instance(interface)?;
        for (name, item) in instance.exports(&engine) {
            let ComponentItem::ComponentFunc(f) = item.ty else { continue };
            let operation = Operation::parse(name).filter(|o| grant.operations.contains(o));
            let Some(operation) = operation else { continue };
            let record = match operation {
                Operation::Get | Operation::Scan => f.results().next().and_then(|t| ok_of(&t)),
                Operation::Upsert | Operation::Delete => f.params().next().map(|(_, t)| t),
            };
            let columns = record.and_then(|r| columns(table, grant, operation, &r)).ok_or_else(|| {
                wasmtime::format_err!("`{interface}.{name}` is imported with a shape that was not granted")
            })?;
            let bound = Arc::new(Bound { table: table.clone(), operation, columns });
            linked.func_new_async(name, move |store, _, params, results| {
                let bound = Arc::clone(&bound);
                Box::new(async move {
                    let answer = answer(store, &bound, params).await?;
                    if let Some(result) = results.first_mut() {
                        *result = answer;
                    }
                    Ok(())
                })
            })?;
        }
    }
    Ok(())
}

fn ok_of(ty: &Type) -> Option<Type> {
    match ty {
        Type::Result(result) => result.ok(),
        _ => None,
    }
}

/// The columns of a `list<record>`. The gate has refused records with fields that are not granted; this is the last
/// place where one could pass, since functions that are linked by hand take any type.
fn columns(table: &Table, grant: &TableGrant, operation: Operation, list: &Type) -> Option<Columns> {
    let Type::List(list) = list else { return None };
    let Type::Record(record) = list.ty() else { return None };
    let may = |column: &str| match operation {
        Operation::Get | Operation::Scan | Operation::Upsert => grant.columns.iter().any(|c| c == column),
        Operation::Delete => table.is_key(column),
    };
    let position = |name: &str| table.columns.iter().position(|c| wit_name(&c.name) == name && may(&c.name));
    record.fields().map(|f| Some((position(f.name)?, Arc::from(f.name)))).collect()
}

/// Why an operation did not happen: the function's mistake, the store's trouble, or a limit of the call, which ends it.
enum Trouble {
    Invalid(String),
    Store(WriteError),
    Limit(wasmtime::Error),
}

impl From<wasmtime::Error> for Trouble {
    fn from(error: wasmtime::Error) -> Self {
        Trouble::Limit(error)
    }
}

impl From<TableError> for Trouble {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Store(error) => Trouble::Store(WriteError::File(error)),
            mistake => Trouble::Invalid(mistake.to_string()),
        }
    }
}

impl From<WriteError> for Trouble {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Table(error) => error.into(),
            trouble => Trouble::Store(trouble),
        }
    }
}

async fn answer(mut store: StoreContextMut<'_, CallState>, bound: &Bound, params: &[Val]) -> wasmtime::Result<Val> {
    let Some(Val::List(items)) = params.first() else {
        wasmtime::bail!("`{}` takes one list", bound.operation.name());
    };
    let call = store.data_mut();
    if bound.operation.writes() {
        call.budget.write(items.len(), items.iter().map(weight).sum())?;
    }
    let done = match bound.operation {
        Operation::Upsert => upsert(call, bound, items).map(|()| None),
        Operation::Delete => delete(call, bound, items).map(|()| None),
        Operation::Get => get(call, bound, items).await.map(Some),
        Operation::Scan => scan(call, bound, items).await.map(Some),
    };
    let error = |case: &str, text: String| {
        Val::Result(Err(Some(Box::new(Val::Variant(case.to_owned(), Some(Box::new(Val::String(text))))))))
    };
    Ok(match done {
        Ok(rows) => Val::Result(Ok(rows.map(Box::new))),
        Err(Trouble::Limit(error)) => return Err(error),
        Err(Trouble::Invalid(text)) => error("invalid", text),
        Err(Trouble::Store(trouble)) => {
            call.store_failed(&trouble);
            error("unavailable", format!("table `{}` cannot be read now", bound.table.name))
        }
    })
}

/// Bytes that a row takes while it is held, about.
fn weight(item: &Val) -> usize {
    let cell = |(_, val): &(String, Val)| match val {
        Val::String(text) => text.len(),
        Val::Option(Some(inner)) => match inner.as_ref() {
            Val::String(text) => text.len(),
            _ => 0,
        },
        _ => 0,
    };
    fields(item).map(|field| CELL_BYTES + cell(field)).sum()
}

fn upsert(call: &mut CallState, bound: &Bound, items: &[Val]) -> Result<(), Trouble> {
    let table = &bound.table;
    let mut rows = Vec::with_capacity(items.len());
    for item in items {
        let mut cells: Vec<Option<Value>> = vec![None; table.columns.len()];
        for ((at, _), (_, val)) in bound.columns.iter().zip(fields(item)) {
            let Some(column) = table.columns.get(*at) else { continue };
            let value = value(val);
            domain::check(table, column, &value).map_err(Trouble::Invalid)?;
            if let Some(cell) = cells.get_mut(*at) {
                *cell = Some(value);
            }
        }
        let key_cell = |name: &String| {
            let at = table.columns.iter().position(|c| c.name == *name)?;
            cells.get(at).cloned().flatten()
        };
        let key: Option<Row> = table.key.iter().map(key_cell).collect();
        let key = key.ok_or_else(|| Trouble::Invalid(format!("a row of table `{}` lacks its key", table.name)))?;
        rows.push((key, cells));
    }
    let held = call.effects.tables.entry(table.name.clone()).or_default();
    rows.into_iter().for_each(|(key, cells)| held.upsert(key, cells));
    Ok(())
}

fn delete(call: &mut CallState, bound: &Bound, items: &[Val]) -> Result<(), Trouble> {
    let keys = items.iter().map(|item| key(&bound.table, item)).collect::<Result<Vec<_>, _>>()?;
    let held = call.effects.tables.entry(bound.table.name.clone()).or_default();
    keys.into_iter().for_each(|key| held.delete(key));
    Ok(())
}

async fn get(call: &mut CallState, bound: &Bound, items: &[Val]) -> Result<Val, Trouble> {
    let table = &bound.table;
    let mut allowance = call.budget.ask(items.len())?;
    let mut keys = items.iter().map(|item| key(table, item)).collect::<Result<Vec<_>, _>>()?;
    let mut seen = HashSet::with_capacity(keys.len());
    keys.retain(|key| seen.insert(key_bytes(key)));
    let columns = names(bound);
    let waiting = call.waits.begin();
    let read = call.context.store_of(table).rows(table, &columns, &keys, &mut allowance).await;
    drop(waiting);
    let mut rows = read?;
    for held in call.held(table) {
        rows = overlay::get(table, &columns, rows, held, &keys);
    }
    let bytes: usize = rows.iter().map(StoredRow::bytes).sum();
    call.budget.read(allowance.used().1.max(bytes as u64))?;
    Ok(records(bound, rows))
}

async fn scan(call: &mut CallState, bound: &Bound, items: &[Val]) -> Result<Val, Trouble> {
    let table = &bound.table;
    let columns = names(bound);
    let mut found = Vec::new();
    for item in items {
        let mut cells = fields(item).map(|(_, val)| value(val));
        let (Some(partition), Some(first), Some(last)) = (cells.next(), cells.next(), cells.next()) else {
            return Err(Trouble::Invalid(format!("a range of table `{}` has three fields", table.name)));
        };
        let range = Range { partition, first, last };
        let mut allowance = call.budget.allowance();
        let waiting = call.waits.begin();
        let read = call.context.store_of(table).range(table, &columns, &range, &mut allowance).await;
        drop(waiting);
        let mut rows = read?;
        for held in call.held(table) {
            rows = overlay::scan(table, &columns, rows, held, &range);
        }
        let (stored_rows, stored_bytes) = allowance.used();
        let bytes: usize = rows.iter().map(StoredRow::bytes).sum();
        // A range costs the store something even where it is empty.
        call.budget.ask(rows.len().max(stored_rows as usize).max(1))?;
        call.budget.read(stored_bytes.max(bytes as u64))?;
        found.extend(rows);
        if found.len() > MOST_ROWS_READ {
            return Err(TableError::TooManyRows { table: table.name.clone(), most: MOST_ROWS_READ }.into());
        }
    }
    Ok(records(bound, found))
}

fn names(bound: &Bound) -> Vec<String> {
    bound.columns.iter().filter_map(|(at, _)| bound.table.columns.get(*at)).map(|c| c.name.clone()).collect()
}

/// The cells of a key record, whose fields are the table's key in order.
fn key(table: &Table, item: &Val) -> Result<Row, Trouble> {
    let cells = fields(item).map(|(_, val)| value(val));
    let columns = table.key.iter().filter_map(|k| table.column(k));
    cells
        .zip(columns)
        .map(|(cell, column)| domain::check(table, column, &cell).map(|()| cell).map_err(Trouble::Invalid))
        .collect()
}

fn fields(record: &Val) -> impl Iterator<Item = &(String, Val)> {
    match record {
        Val::Record(fields) => fields.as_slice(),
        _ => &[],
    }
    .iter()
}

fn value(val: &Val) -> Value {
    match val {
        Val::Option(Some(inner)) => value(inner),
        Val::Bool(b) => Value::Bool(*b),
        Val::S32(i) => Value::Int(i64::from(*i)),
        Val::S64(i) => Value::Int(*i),
        Val::Float64(d) => Value::Double(*d),
        Val::String(text) => Value::Text(text.clone()),
        _ => Value::Null,
    }
}

fn records(bound: &Bound, rows: Vec<StoredRow>) -> Val {
    let record = |row: StoredRow| {
        let cells = bound.columns.iter().zip(row.cells);
        Val::Record(cells.filter_map(|((at, name), cell)| Some((name.to_string(), val(bound, *at, cell)?))).collect())
    };
    Val::List(rows.into_iter().map(record).collect())
}

fn val(bound: &Bound, at: usize, cell: Value) -> Option<Val> {
    let column = bound.table.columns.get(at)?;
    let plain = match (column.kind, cell) {
        (_, Value::Null) => None,
        (ColumnKind::Int | ColumnKind::Date, Value::Int(i)) => Some(Val::S32(i32::try_from(i).unwrap_or_default())),
        (_, Value::Int(i)) => Some(Val::S64(i)),
        (_, Value::Double(d)) => Some(Val::Float64(d)),
        (_, Value::Bool(b)) => Some(Val::Bool(b)),
        (_, Value::Text(text)) => Some(Val::String(text)),
    };
    if column.nullable { Some(Val::Option(plain.map(Box::new))) } else { plain }
}
