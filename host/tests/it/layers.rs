//! The arrows of ARCHITECTURE.md point one way: a module names only modules of its own layer or of those below. And
//! the host knows nothing of the application that it runs.

use std::fs;
use std::path::{Path, PathBuf};

/// From below to above.
const LAYERS: [&[&str]; 4] = [
    &["manifest", "config", "delivery", "clock"],
    &["bindings", "embedded", "engine", "kafka", "stores"],
    &["deploys", "dispatch", "triggers", "registry", "shadows"],
    &["app", "cli", "commands", "console", "demo", "program", "rehearsal", "spin", "ui", "main", "lib"],
];

/// Words of the application; the host must do without them.
const FOREIGN: [&str; 5] = ["station", "temperature", "dwd", "humidity", "weather"];

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&entry).unwrap();
                found.push((entry.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

#[test]
fn arrows_point_down() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let module = path.components().next().unwrap().as_os_str().to_string_lossy().replace(".rs", "");
        let own = layer(&module).unwrap_or_else(|| panic!("`{module}` belongs to no layer; put it into LAYERS"));
        for (number, line) in text.lines().enumerate() {
            for used in line.split("crate::").skip(1) {
                let name: String = used.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                if layer(&name).is_some_and(|used| used > own) {
                    wrong.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "these point upward:\n{}", wrong.join("\n"));
}

#[test]
fn the_host_knows_nothing_of_the_application() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            let lower = line.to_lowercase();
            let words = lower.split(|c: char| !c.is_alphanumeric());
            if words.into_iter().any(|word| FOREIGN.contains(&word.trim_end_matches('s'))) {
                found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "the host speaks of:\n{}", found.join("\n"));
}
