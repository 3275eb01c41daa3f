//! Which interfaces that are not isobar's own can be linked, and when: WASI's, and Spin's variables. Names only; what
//! they do is wasmtime's, `http`'s and `variables`'.

/// What spin.toml must give to a function before it is linked with an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it answers from the batch, or not at all.
    Nothing,
    /// An allowed outbound host.
    Hosts,
    /// A variable.
    Variables,
}

/// Interfaces of one version, and what they need. Patch releases are compatible: so wasmtime's linker has it.
type Release = (&'static str, Need, &'static [&'static str]);

/// What both releases of WASI have.
const BOTH: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/ip-name-lookup",
];
const OF_0_2: &[&str] = &[
    "wasi:clocks/wall-clock",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:sockets/instance-network",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];
const OF_0_3: &[&str] = &["wasi:cli/types", "wasi:clocks/system-clock", "wasi:clocks/types", "wasi:sockets/types"];

const RELEASES: [Release; 7] = [
    ("0.2", Need::Nothing, BOTH),
    ("0.2", Need::Nothing, OF_0_2),
    ("0.3", Need::Nothing, BOTH),
    ("0.3", Need::Nothing, OF_0_3),
    ("0.2", Need::Hosts, &["wasi:http/outgoing-handler", "wasi:http/types"]),
    ("0.3", Need::Hosts, &["wasi:http/client", "wasi:http/types"]),
    ("3.0", Need::Variables, &["spin:variables/variables"]),
];

/// What `interface` (`namespace:package/name@version`) needs to be linked; none where it is never linked.
#[must_use]
pub fn need(interface: &str) -> Option<Need> {
    let (name, version) = interface.split_once('@')?;
    // Neither `0.2.0-rc` nor `0.2.0+build`: those are not compatible.
    let (release, patch) = version.rsplit_once('.').filter(|(_, patch)| patch.bytes().all(|b| b.is_ascii_digit()))?;
    let has = |(of, _, names): &&Release| *of == release && !patch.is_empty() && names.contains(&name);
    RELEASES.iter().find(has).map(|(_, need, _)| *need)
}

/// The releases in which an interface can be linked that `interface` names in another version.
#[must_use]
pub fn releases(interface: &str) -> Vec<&'static str> {
    let name = interface.split('@').next().unwrap_or_default();
    RELEASES.iter().filter(|(_, _, names)| names.contains(&name)).map(|(release, _, _)| *release).collect()
}

#[cfg(test)]
mod tests {
    use wasmtime::component::Linker;

    use super::super::CallState;
    use super::*;
    use crate::engine::Engine;

    /// Of types only: there is nothing to link.
    const TYPES_ONLY: [&str; 2] = ["wasi:cli/types", "wasi:clocks/types"];

    /// Whether an instance of that name is in the linker: then nothing else can take the name.
    fn is_linked(linker: &mut Linker<CallState>, name: &str) -> bool {
        linker.allow_shadowing(false);
        linker.root().func_wrap(name, |_, (): ()| Ok(())).is_err()
    }

    #[test]
    fn what_is_said_to_be_linked_is_linked() {
        let cache = tempfile::tempdir().unwrap();
        let engine = Engine::new(Some(cache.path())).unwrap();
        let mut linker = Linker::<CallState>::new(engine.wasmtime());
        linker.allow_shadowing(true);
        super::super::link_system(&mut linker).unwrap();
        super::super::http::link(&mut linker).unwrap();
        super::super::variables::link(&mut linker).unwrap();
        for (release, _, names) in RELEASES {
            for name in names.iter().filter(|name| !TYPES_ONLY.contains(name) || release == "0.2") {
                // Of 0.2 wasmtime links its newest patch.
                let mut patches = (0..20).map(|patch| format!("{name}@{release}.{patch}"));
                assert!(patches.any(|name| is_linked(&mut linker, &name)), "`{name}@{release}` is not linked");
            }
        }
        assert!(!is_linked(&mut linker, "wasi:http/incoming-handler@0.2.0"), "the test sees no difference");
    }

    #[test]
    fn only_whole_names_of_released_versions_are_taken() {
        for taken in ["wasi:cli/exit@0.2.0", "wasi:cli/exit@0.2.12", "wasi:cli/exit@0.3.1", "wasi:cli/types@0.3.0"] {
            assert_eq!(need(taken), Some(Need::Nothing), "{taken}");
        }
        assert_eq!(need("wasi:http/client@0.3.0"), Some(Need::Hosts));
        assert_eq!(need("spin:variables/variables@3.0.0"), Some(Need::Variables));
        for refused in [
            "wasi:cli/evil@0.2.0",
            "wasi:cli/exit",
            "wasi:cli/exit@0.2",
            "wasi:cli/exit@0.2.",
            "wasi:cli/exit@0.2.0-rc",
            "wasi:cli/exit@0.2.0-x@0.3.0",
            "wasi:cli/exit@0.2.0+x",
            "wasi:cli/exit@0.2.0.1",
            "wasi:cli/exit@0.20.1",
            "wasi:cli/exit@1.0.2",
            "wasi:cli/run@0.2.0",
            "wasi:cli/types@0.2.0",
            "wasi:clocks/timezone@0.2.0",
            "wasi:http/client@0.2.0",
            "wasi:http/incoming-handler@0.2.0",
            "wasi:http/handler@0.3.0",
            "evil:wasi:cli/exit@0.2.0",
            "spin:variables/variables@3.1.0",
            "spin:variables/variables@2.0.0",
            "spin:key-value/key-value@3.0.0",
            "",
        ] {
            assert_eq!(need(refused), None, "{refused}");
        }
        assert_eq!(releases("wasi:cli/exit@0.1.0"), ["0.2", "0.3"]);
        assert!(releases("wasi:cli/evil@0.2.0").is_empty());
    }
}
