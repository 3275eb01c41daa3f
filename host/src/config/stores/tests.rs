use std::path::PathBuf;
use std::time::Duration;

use super::{Backend, ConnectionConfig, Secret, Tls, place};
use crate::config::parse;
use crate::manifest;

const CASSANDRA: &str = "[stores.cassandra]\nnodes = [\"a\", \"[::1]:9043\"]\nkeyspace = \"k\"\n";
const POSTGRES: &str = "[stores.postgres]\naddress = \"p:5433\"\ndatabase = \"d\"\nschema = \"s\"\n";

fn read(text: &str) -> Vec<ConnectionConfig> {
    parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}")).stores
}

fn application(tables: &[(&str, &str)]) -> manifest::Application {
    let mut text = "spin_manifest_version = 2\n[application]\nname = \"shop\"\nversion = \"1.0.0\"\n".to_owned();
    for (name, store) in tables {
        text += &format!(
            "[application.trigger.isobar.tables.{name}]\nstore = \"{store}\"\nkey = [\"id\"]\ncolumns = {{ id = \"text\" }}\n"
        );
    }
    manifest::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[test]
fn what_is_not_said_is_as_usual() {
    let stores = read(&format!("{CASSANDRA}{POSTGRES}"));
    let [cassandra, postgres] = stores.as_slice() else { panic!("{stores:?}") };
    assert_eq!((cassandra.name.as_str(), postgres.name.as_str()), ("cassandra", "postgres"));
    assert_eq!(cassandra.timeout, Duration::from_secs(10));
    let Backend::Cassandra(settings) = &cassandra.backend else { panic!("{cassandra:?}") };
    assert_eq!(settings.nodes, ["a:9042", "[::1]:9043"]);
    assert_eq!(settings.consistency, "local-quorum");
    assert_eq!(settings.replication.get("class").map(String::as_str), Some("SimpleStrategy"));
    let Backend::Postgres(settings) = &postgres.backend else { panic!("{postgres:?}") };
    assert_eq!((settings.host.as_str(), settings.port, &settings.tls), ("p", 5433, &Tls::Off));
}

#[test]
fn logins_of_their_own_and_tls_can_be_said() {
    let stores = read(&format!(
        "{POSTGRES}tls = true\ncertificates = \"ca.pem\"\nuser = \"u\"\npassword_env = \"P\"\ntimeout_ms = 500\n\
         [stores.postgres.connections.secret]\ntables = [\"t\"]\nuser = \"r\"\npassword_file = \"/run/p\"\n"
    ));
    let [own, secret] = stores.as_slice() else { panic!("{stores:?}") };
    assert_eq!(own.password, Some(Secret::Environment("P".to_owned())));
    assert_eq!((secret.name.as_str(), secret.tables.as_deref()), ("postgres.secret", Some(&["t".to_owned()][..])));
    assert_eq!(secret.password, Some(Secret::File(PathBuf::from("/run/p"))));
    assert_eq!(secret.timeout, Duration::from_millis(500));
    let stores = read(&format!("{CASSANDRA}tls = true\ncertificates = \"ca.pem\"\n"));
    let Backend::Cassandra(settings) = &stores[0].backend else { panic!("{stores:?}") };
    assert_eq!(settings.authority, Some(PathBuf::from("ca.pem")));
    let Backend::Postgres(settings) = &secret.backend else { panic!("{secret:?}") };
    assert_eq!(settings.tls, Tls::Verified(Some(PathBuf::from("ca.pem"))));
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_remedy() {
    for (text, says) in [
        ("[stores.mysql]\n", "unknown field `mysql`"),
        ("[stores.cassandra]\nnodes = []\nkeyspace = \"k\"\n", "[stores.cassandra] `nodes` names none"),
        ("[stores.cassandra]\nnodes = [\"a:b\"]\nkeyspace = \"k\"\n", "`a:b` is no address; write `host:port`"),
        ("[stores.cassandra]\nnodes = [\"u@a\"]\nkeyspace = \"k\"\n", "is no address"),
        ("[stores.cassandra]\nnodes = [\"a\"]\nkeyspace = \"K\"\n", "lower-case letters"),
        ("[stores.cassandra]\nnodes = [\"a\"]\nkeyspace = \"k\\\"; DROP\"\n", "lower-case letters"),
        (&format!("{CASSANDRA}replication = {{ class = [] }}\n"), "`replication.class` is neither text nor a number"),
        (&format!("{CASSANDRA}password_env = \"P\"\n"), "[stores.cassandra] has a password and no `user`"),
        (&format!("{POSTGRES}user = \"u\"\npassword_env = \"P\"\npassword_file = \"f\"\n"), "say one"),
        (&format!("{POSTGRES}password = \"hunter2\"\n"), "unknown field `password`"),
        (&format!("{POSTGRES}certificates = \"c\"\n"), "no `tls = true`"),
        (&format!("{CASSANDRA}certificates = \"c\"\n"), "[stores.cassandra] has `certificates` and no `tls = true`"),
        (&format!("{CASSANDRA}tls = true\n"), "[stores.cassandra] has `tls = true` and no `certificates`"),
        (&format!("{POSTGRES}timeout_ms = 10\n"), "keep to 100 to 60000"),
        (&format!("{POSTGRES}[stores.postgres.connections.x]\n"), "missing field `tables`"),
        (&format!("{POSTGRES}[stores.postgres.connections.\"x y\"]\ntables = []\n"), "`connections` is `x y`"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn a_table_is_where_its_store_is_configured_and_else_in_the_data_folder() {
    let named = "[stores.postgres.connections.own]\ntables = [\"secret\"]\n";
    let mut shop = application(&[("carts", "cassandra"), ("bills", "postgres"), ("secret", "postgres")]);
    place(&mut shop, &read(&format!("{POSTGRES}{named}"))).unwrap();
    let connections: Vec<_> = shop.tables.values().map(|t| (t.name.as_str(), t.connection.as_deref())).collect();
    assert_eq!(connections, [("bills", Some("postgres")), ("carts", None), ("secret", Some("postgres.own"))]);

    let other = named.replace(".own", ".other");
    for (text, says) in [
        (named.replace("\"secret\"", "\"secrets\""), "there is no table `secrets`; did you mean `secret`?"),
        (named.replace("\"secret\"", "\"carts\""), "table `carts` is of store `cassandra`, not `postgres`"),
        (format!("{named}{other}"), "table `secret` is served by `postgres.other` already"),
    ] {
        let mut shop = application(&[("carts", "cassandra"), ("bills", "postgres"), ("secret", "postgres")]);
        let error = place(&mut shop, &read(&format!("{POSTGRES}{text}"))).unwrap_err();
        assert!(error.starts_with("[stores.postgres.connections."), "{error}");
        assert!(error.contains(says), "{error}");
    }
}
