//! What is committed of the functions' WIT is what spin.toml gives now. That the WIT itself is right is `generated_wit`'s.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use isobar::manifest::{parse, wit};

#[test]
fn the_committed_wit_is_what_the_manifest_gives() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join("spin.toml")).expect("spin.toml is readable");
    let application = parse(&text).expect("spin.toml is accepted");
    let mut stale: Vec<String> = Vec::new();
    for function in application.functions.values() {
        let folder = root.join(&function.wit);
        let mut committed = files(&folder);
        for (path, expected) in wit::generate(&application, function) {
            let path = folder.join(path);
            committed.remove(&path);
            match fs::read_to_string(&path) {
                Ok(found) if found == expected => {}
                Ok(_) => stale.push(format!("{} is stale", path.display())),
                Err(error) => stale.push(format!("{}: {error}", path.display())),
            }
        }
        stale.extend(committed.iter().map(|path| format!("{} is not part of the grants any more", path.display())));
    }
    assert!(stale.is_empty(), "run `isobar wit` and commit what it writes:\n{}", stale.join("\n"));
}

/// All files below `folder`; none where it does not exist.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("the folder is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path);
            }
        }
    }
    files
}
