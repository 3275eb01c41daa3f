//! Loads of tables, and which functions have to read their input again then.

use std::sync::Arc;

use crate::delivery::HeldTable;
use crate::embedded::{Note, Store, WriteError};
use crate::kafka::Cluster;
use crate::manifest::{Application, Function, TriggerSource};

/// Writes rows of a table and asks the functions that read it to read their input again, wherever they run; gives what they read.
///
/// # Errors
/// [`WriteError`]; the table is to be loaded again then.
pub async fn load(
    store: &Store,
    cluster: Option<&Arc<Cluster>>,
    table: &str,
    rows: HeldTable,
) -> Result<Vec<Note>, WriteError> {
    let application = store.application();
    let notes = rereads(&application, table);
    match cluster {
        Some(cluster) => {
            store.load(table, rows, Vec::new()).await?;
            cluster.reread(&application, notes.clone()).await?;
        }
        None => store.load(table, rows, notes.clone()).await?,
    }
    Ok(notes)
}

/// Every partition of every topic of the functions that read `table`.
#[must_use]
pub fn rereads(application: &Application, table: &str) -> Vec<Note> {
    let reads = |f: &&Function| f.grants.tables.get(table).is_some_and(|g| g.operations.iter().any(|o| !o.writes()));
    let mut notes = Vec::new();
    for function in application.functions.values().filter(reads) {
        for trigger in &function.triggers {
            let TriggerSource::Topic(name) = &trigger.source else { continue };
            let partitions = application.topics.get(name).map_or(0, |t| t.partitions);
            let note =
                |partition| Note { function: function.name.as_str().into(), source: name.as_str().into(), partition };
            notes.extend((0..partitions).map(note));
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_readers_of_the_table_read_again_and_all_of_their_partitions() {
        let text = r#"
            spin_manifest_version = 2
            application.name = "shop"
            component.join.source = "join.wasm"
            component.count.source = "count.wasm"
            [[trigger.isobar]]
            id = "by-order"
            component = "join"
            topic = "orders"
            [[trigger.isobar]]
            id = "by-time"
            component = "join"
            cron_expression = "0 * * * * *"
            [[trigger.isobar]]
            component = "count"
            topic = "orders"
            [application.trigger.isobar.topics.orders]
            partitions = 2
            [application.trigger.isobar.tables.customers]
            store = "postgres"
            key = ["id"]
            columns = { id = "text", name = "text?" }
            [application.trigger.isobar.grants.join]
            tables.customers = ["get"]
        "#;
        let application = crate::manifest::parse(text).unwrap();
        let found: Vec<(String, String, u32)> = rereads(&application, "customers")
            .into_iter()
            .map(|n| (n.function.to_string(), n.source.to_string(), n.partition))
            .collect();
        let join = |partition| ("join".to_owned(), "orders".to_owned(), partition);
        assert_eq!(found, [join(0), join(1)]);
        assert_eq!(rereads(&application, "others"), []);
    }
}
