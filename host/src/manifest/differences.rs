//! In what two declarations of a function differ, in plain words.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// What `after` says otherwise than `before`, a line for each; see [`super::Application::declaration`].
#[must_use]
pub fn differences(before: &Value, after: &Value) -> Vec<String> {
    let mut found = Vec::new();
    grants(before, after, &mut found);
    walk("", &without_grants(before), &without_grants(after), &mut found);
    found
}

fn without_grants(declared: &Value) -> Value {
    let mut declared = declared.clone();
    if let Some(fields) = declared.as_object_mut() {
        fields.remove("grants");
    }
    declared
}

/// What a function may do with tables and topics, one thing a line.
fn grants(before: &Value, after: &Value, found: &mut Vec<String>) {
    let (before, after) = (may(before), may(after));
    found.extend(after.difference(&before).map(|what| format!("it may {what}")));
    found.extend(before.difference(&after).map(|what| format!("it may no longer {what}")));
}

fn may(declared: &Value) -> BTreeSet<String> {
    let grants = &declared["grants"];
    let none = Map::new();
    let mut may = BTreeSet::new();
    for (table, grant) in grants["tables"].as_object().unwrap_or(&none) {
        for operation in strings(&grant["operations"]) {
            may.extend(strings(&grant["columns"]).map(|column| format!("{operation} `{column}` of table `{table}`")));
        }
    }
    may.extend(strings(&grants["publish"]).map(|topic| format!("publish to `{topic}`")));
    may.extend(strings(&grants["releases"]).map(|to| format!("release sensitive data to `{to}`")));
    if grants["state"] == true {
        let version = grants["state_version"].as_u64().unwrap_or(1);
        may.insert(format!("keep state of version {version}"));
    }
    may
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn walk(path: &str, before: &Value, after: &Value, found: &mut Vec<String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (before, after) {
        (Value::Object(b), Value::Object(a)) => {
            let keys: BTreeSet<&String> = b.keys().chain(a.keys()).collect();
            for key in keys {
                walk(&below(key), b.get(key).unwrap_or(&Value::Null), a.get(key).unwrap_or(&Value::Null), found);
            }
        }
        (Value::Array(b), Value::Array(a)) => {
            let (had, has): (Vec<&Value>, Vec<&Value>) = (b.iter().collect(), a.iter().collect());
            let added: Vec<String> = has.iter().filter(|v| !had.contains(v)).map(|v| shown(v)).collect();
            let gone: Vec<String> = had.iter().filter(|v| !has.contains(v)).map(|v| shown(v)).collect();
            found.extend(added.iter().map(|v| format!("`{path}` has {v} in addition")));
            found.extend(gone.iter().map(|v| format!("`{path}` has {v} no more")));
            if added.is_empty() && gone.is_empty() && had != has {
                found.push(format!("`{path}` has another order"));
            }
        }
        (Value::Null, Value::Object(fields)) => {
            fields.iter().for_each(|(k, v)| walk(&below(k), &Value::Null, v, found))
        }
        (Value::Object(fields), Value::Null) => {
            fields.iter().for_each(|(k, v)| walk(&below(k), v, &Value::Null, found))
        }
        (Value::Null, after) if !after.is_null() => {
            found.push(format!("`{path}` is {}, where nothing was said", shown(after)))
        }
        (before, Value::Null) if !before.is_null() => {
            found.push(format!("`{path}` is not said any more; it was {}", shown(before)))
        }
        (before, after) if before != after => {
            found.push(format!("`{path}` is {} instead of {}", shown(after), shown(before)))
        }
        _ => {}
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        Value::Array(elements) => elements.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_said_one_by_one() {
        let before = json!({
            "grants": { "tables": { "totals": { "operations": ["get"], "columns": ["id", "sum"] } }, "state": true },
            "limits": { "memory_mb": 32 },
            "tables": { "totals": { "columns": ["id: text", "sum: double?"] } },
            "triggers": { "orders": { "topic": "orders", "batch_max_records": 100 } },
        });
        let after = json!({
            "grants": { "tables": { "totals": { "operations": ["get"], "columns": ["id"] } }, "publish": ["sums"] },
            "limits": { "memory_mb": 64, "http_requests": 5 },
            "tables": { "totals": { "columns": ["id: text", "sum: double?", "at: timestamp?"] } },
            "triggers": { "orders": { "topic": "orders" } },
        });
        assert_eq!(
            differences(&before, &after),
            [
                "it may publish to `sums`",
                "it may no longer get `sum` of table `totals`",
                "it may no longer keep state of version 1",
                "`limits.http_requests` is 5, where nothing was said",
                "`limits.memory_mb` is 64 instead of 32",
                "`tables.totals.columns` has `at: timestamp?` in addition",
                "`triggers.orders.batch_max_records` is not said any more; it was 100",
            ]
        );
        assert_eq!(differences(&before, &before), Vec::<String>::new());
    }
}
