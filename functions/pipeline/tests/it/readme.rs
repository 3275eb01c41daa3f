//! What README shows is so.

use std::collections::BTreeMap;

use isobar::manifest::variables::resolve;

use crate::host::root;

#[test]
fn the_policy_of_readme_is_one_that_the_application_keeps_to() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let block = readme.split("```toml\n").find(|block| block.starts_with("[policy]")).unwrap();
    let config = isobar::config::parse(block.split("```").next().unwrap()).unwrap();
    let manifest = std::fs::read_to_string(root().join("spin.toml")).unwrap();
    let application = isobar::manifest::parse(&manifest).unwrap_or_else(|problems| panic!("{problems:?}"));
    let resolved = resolve(&application, &BTreeMap::new()).unwrap();
    assert_eq!(config.policy.unwrap().beyond(&application, &resolved), Vec::<String>::new());
}
