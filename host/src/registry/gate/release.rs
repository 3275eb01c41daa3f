//! Releases of the contract: a component that was built against an older one of the same track runs, as this one has all that it had.

use std::collections::BTreeMap;

use crate::engine::inspect::{Capabilities, Interface};
use crate::manifest::wit::PLATFORM_VERSION;

const PACKAGE: &str = "isobar:platform/";

/// What a component has, with the interfaces of the contract under the names of this release.
pub(super) fn current(found: &Capabilities) -> Capabilities {
    Capabilities { imports: renamed(&found.imports), exports: renamed(&found.exports), ..found.clone() }
}

fn renamed(all: &BTreeMap<String, Interface>) -> BTreeMap<String, Interface> {
    let mut renamed = BTreeMap::new();
    for (name, interface) in all {
        let current = ours(name);
        // Two releases at one time are two interfaces, of which one is none of ours.
        let is_taken = current != *name && (all.contains_key(&current) || renamed.contains_key(&current));
        renamed.insert(if is_taken { name.clone() } else { current }, interface.clone());
    }
    renamed
}

fn ours(name: &str) -> String {
    let of_older_release = || {
        let (interface, version) = name.strip_prefix(PACKAGE)?.split_once('@')?;
        let (track, patch) = version.rsplit_once('.')?;
        let (our_track, our_patch) = PLATFORM_VERSION.rsplit_once('.')?;
        let is_older = track == our_track && patch.parse::<u32>().ok()? < our_patch.parse::<u32>().ok()?;
        is_older.then(|| format!("{PACKAGE}{interface}@{PLATFORM_VERSION}"))
    };
    of_older_release().unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_releases_of_the_same_track_are_ours_and_others_are_not() {
        let state = format!("{PACKAGE}state@{PLATFORM_VERSION}");
        assert_eq!(ours(&state), state);
        assert_eq!(ours("isobar:platform/state@0.1.0"), state);
        for other in ["state@0.1.99", "state@0.0.1", "state@0.2.0", "state@1.1.0", "state@0.1", "state@0.1.x", "state"]
        {
            let name = format!("{PACKAGE}{other}");
            assert_eq!(ours(&name), name);
        }
        assert_eq!(ours("shop:platform/state@0.1.0"), "shop:platform/state@0.1.0");
    }

    #[test]
    fn an_interface_of_two_releases_stays_two() {
        let state = format!("{PACKAGE}state@{PLATFORM_VERSION}");
        let both: BTreeMap<String, Interface> =
            ["isobar:platform/state@0.1.0", &state].map(|n| (n.to_owned(), Interface::default())).into();
        assert_eq!(renamed(&both), both);
    }
}
