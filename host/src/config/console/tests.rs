use super::*;

/// The hash of a password that nobody has.
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$WdlnOKIDIvLbHlt1dGxfoq4aXyFvTfJ5hbGaO1Z2u5M";

fn read_text(text: &str) -> Result<ConsoleConfig, String> {
    crate::config::parse(text).map(|config| config.console)
}

#[test]
fn a_listener_for_others_and_its_people_are_read() {
    let text = format!(
        "[console]\nlisten = \"0.0.0.0:3443\"\nnames = [\"Isobar.example.org\"]\ncertificate = \"tls.crt\"\nkey = \"tls.key\"\n\
         proxies = [\"10.0.0.0/8\", \"192.0.2.1\"]\n\
         [console.users.anna]\nroles = [\"operator\", \"sensitive\"]\npassword_hash = \"{HASH}\"\n\
         [console.users.ben]\nroles = [\"viewer\"]\npassword_hash_file = \"/run/secrets/ben\"\n"
    );
    let read = read_text(&text).unwrap();
    assert_eq!(read.listen, Some("0.0.0.0:3443".parse().unwrap()));
    assert_eq!(read.names, ["isobar.example.org".to_owned()].into(), "as browsers write it");
    assert_eq!(read.tls, Some(Proof { certificate: "tls.crt".into(), key: "tls.key".into() }));
    assert_eq!(read.proxies, ["10.0.0.0/8", "192.0.2.1/32"].map(|network| network.parse().unwrap()));
    assert_eq!(read.users["anna"].roles, [Role::Operator, Role::Sensitive].into());
    assert_eq!(read.users["ben"].hash, HashSource::Kept(Secret::File("/run/secrets/ben".into())));
    assert!(!format!("{read:?}").contains("argon2id"), "a hash is told to nobody");
}

#[test]
fn what_cannot_be_is_named_with_its_place() {
    let user = |fields: &str| format!("[console.users.anna]\n{fields}\n");
    let weak = HASH.replace("argon2id", "argon2i");
    let dear = HASH.replace("m=19456", "m=4194304");
    for (text, told) in [
        ("[console]\nlisten = \"3000\"".to_owned(), "write it as `0.0.0.0:3000`"),
        ("[console]\nnames = [\"a.example\"]".to_owned(), "but not where"),
        ("[console]\nlisten = \"0.0.0.0:3000\"\nkey = \"k\"".to_owned(), "both, `certificate` and `key`"),
        ("[console]\nlisten = \"0.0.0.0:3000\"\nnames = [\"https://a.example/\"]".to_owned(), "is no name"),
        ("[console]\nlisten = \"0.0.0.0:3000\"\nproxies = [\"10.0.0.0/40\"]".to_owned(), "is no network"),
        ("[console]\nport = 3".to_owned(), "unknown field `port`"),
        (user("roles = [\"viewer\"]"), "[console.users.anna] has no password"),
        (user(&format!("roles = []\npassword_hash = \"{HASH}\"")), "[console.users.anna] may do nothing"),
        (user(&format!("roles = [\"admin\"]\npassword_hash = \"{HASH}\"")), "known: `viewer`, `operator`, `sensitive`"),
        (user("roles = [\"viewer\"]\npassword_hash = \"hunter2hunter2\""), "`password_hash` of [console.users.anna]"),
        (user(&format!("roles = [\"viewer\"]\npassword_hash = \"{weak}\"")), "is no argon2id hash"),
        (user(&format!("roles = [\"viewer\"]\npassword_hash = \"{dear}\"")), "costs more than 256 MiB"),
        (user(&format!("roles = [\"viewer\"]\npassword_hash = \"{HASH}\"\npassword_hash_env = \"H\"")), "twice"),
        (
            format!("[console.users.operator]\nroles = [\"viewer\"]\npassword_hash = \"{HASH}\""),
            "cannot have that name",
        ),
    ] {
        let error = read_text(&text).unwrap_err();
        assert!(error.contains(told), "{text}: {error}");
        assert!(!error.contains("hunter2") && !error.contains("c29tZXNhbHR"), "{error}");
    }
}
