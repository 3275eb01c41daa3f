//! Which addresses a name may lead to: those of the public internet. Pure; names themselves are `manifest::outbound`'s.
//!
//! What is not known to be public is taken for not public. NAT64 with a prefix of a network's own cannot be told from
//! public addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::manifest::outbound::Host;

/// Azure's way into the machine below; the other clouds' metadata have link-local, private or shared addresses.
const AZURE_HOST: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// IPv4 networks that are not public: address, length of the prefix, what they are.
const NOT_PUBLIC_V4: [([u8; 4], u32, &str); 15] = [
    ([0, 0, 0, 0], 8, "an unspecified"),
    ([10, 0, 0, 0], 8, "a private"),
    ([100, 64, 0, 0], 10, "a provider's private"),
    ([127, 0, 0, 0], 8, "a loopback"),
    ([169, 254, 0, 0], 16, "a link-local"),
    ([172, 16, 0, 0], 12, "a private"),
    ([192, 0, 0, 0], 24, "a reserved"),
    ([192, 0, 2, 0], 24, "a documentation"),
    ([192, 88, 99, 0], 24, "a relay's"),
    ([192, 168, 0, 0], 16, "a private"),
    ([198, 18, 0, 0], 15, "a benchmark"),
    ([198, 51, 100, 0], 24, "a documentation"),
    ([203, 0, 113, 0], 24, "a documentation"),
    ([224, 0, 0, 0], 4, "a multicast"),
    ([240, 0, 0, 0], 4, "a reserved or broadcast"),
];

/// The same of IPv6, by the first two segments. Beside these, all outside of `2000::/3` is reserved.
const NOT_PUBLIC_V6: [([u16; 2], u32, &str); 7] = [
    ([0xfc00, 0], 7, "a private"),
    ([0xfe80, 0], 10, "a link-local"),
    ([0xfec0, 0], 10, "a private"),
    ([0xff00, 0], 8, "a multicast"),
    // IETF's own: Teredo, benchmarks, identifiers that are no addresses.
    ([0x2001, 0], 23, "a reserved"),
    ([0x2001, 0xdb8], 32, "a documentation"),
    ([0x3fff, 0], 20, "a documentation"),
];

/// Why a connection to `host` may not be made at `address`, to which it leads: the kind of address, with its article.
/// A host that is itself an address was named so in spin.toml.
pub(super) fn prohibited(host: &Host, address: IpAddr) -> Option<&'static str> {
    match host {
        Host::Address(_) => None,
        Host::Name(_) if host.is_localhost() && address.is_loopback() => None,
        Host::Name(_) => not_public(address),
    }
}

/// What kind of address it is, if it is not one of the public internet.
fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => not_public_v4(address),
        IpAddr::V6(address) => not_public_v6(address),
    }
}

fn not_public_v4(address: Ipv4Addr) -> Option<&'static str> {
    if address == AZURE_HOST {
        return Some("a metadata");
    }
    let bits = address.to_bits();
    let within = |network: [u8; 4], length: u32| (bits ^ u32::from_be_bytes(network)) >> (32 - length) == 0;
    NOT_PUBLIC_V4.iter().find(|(network, length, _)| within(*network, *length)).map(|(_, _, kind)| *kind)
}

fn not_public_v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(embedded) = embedded_v4(address) {
        return not_public_v4(embedded);
    }
    let [first, second, ..] = address.segments();
    let bits = u32::from(first) << 16 | u32::from(second);
    let within = |[a, b]: [u16; 2], length: u32| (bits ^ (u32::from(a) << 16 | u32::from(b))) >> (32 - length) == 0;
    match NOT_PUBLIC_V6.iter().find(|(network, length, _)| within(*network, *length)) {
        Some((_, _, kind)) => Some(kind),
        None if address.is_unspecified() => Some("an unspecified"),
        None if address.is_loopback() => Some("a loopback"),
        None if !within([0x2000, 0], 3) => Some("a reserved"),
        None => isatap_v4(address).and_then(not_public_v4),
    }
}

/// The IPv4 address that is reached through this one: mapped, by NAT64's well-known prefix, or by 6to4. The deprecated
/// compatible ones are reserved as a whole.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

/// The IPv4 address in an ISATAP interface identifier, below any prefix.
fn isatap_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses by their kind; `None` are public.
    const TABLE: &[(Option<&str>, &[&str])] = &[
        (
            None,
            &["1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0"],
        ),
        (None, &["168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0"]),
        (None, &["191.255.255.255", "192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0", "192.167.255.255"]),
        (None, &["192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255"]),
        (None, &["203.0.114.0", "223.255.255.255"]),
        (Some("an unspecified"), &["0.0.0.0", "0.0.0.1", "0.255.255.255", "::", "::ffff:0.0.0.0"]),
        (
            Some("a private"),
            &["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"],
        ),
        (Some("a provider's private"), &["100.64.0.0", "100.100.100.200", "100.127.255.255"]),
        (Some("a loopback"), &["127.0.0.0", "127.0.0.1", "127.255.255.255", "::1"]),
        (Some("a link-local"), &["169.254.0.0", "169.254.169.254", "169.254.170.2", "169.254.255.255"]),
        (Some("a metadata"), &["168.63.129.16", "::ffff:168.63.129.16"]),
        (Some("a reserved"), &["192.0.0.0", "192.0.0.192", "192.0.0.255"]),
        (Some("a documentation"), &["192.0.2.0", "192.0.2.255", "198.51.100.1", "203.0.113.255"]),
        (Some("a relay's"), &["192.88.99.0", "192.88.99.255"]),
        (Some("a benchmark"), &["198.18.0.0", "198.19.255.255"]),
        (Some("a multicast"), &["224.0.0.0", "239.255.255.255"]),
        (Some("a reserved or broadcast"), &["240.0.0.0", "255.255.255.254", "255.255.255.255"]),
        // IPv6 of its own.
        (None, &["2000::", "2001:200::1", "2001:4860:4860::8888", "2001:db7:ffff::", "2001:db9::", "2600::1"]),
        (None, &["2001:ffff::", "2003::1", "3ffe::1", "3fff:1000::", "3fff:ffff::"]),
        (Some("a private"), &["fc00::", "fd00:ec2::254", "fdff:ffff::", "fec0::1", "feff::1"]),
        (Some("a link-local"), &["fe80::", "fe80::1", "febf:ffff::"]),
        (Some("a multicast"), &["ff00::", "ff02::1", "ffff:ffff::"]),
        (Some("a documentation"), &["2001:db8::", "2001:db8:ffff::", "3fff::", "3fff:fff::1"]),
        (Some("a reserved"), &["2001::1", "2001:0:7f00:1::", "2001:2::1", "2001:10::1", "2001:20::1", "2001:1ff::"]),
        (Some("a reserved"), &["100::", "1fff:ffff::", "4000::", "5f00::1", "e000::", "fbff::", "fe00::", "fe7f::"]),
        // IPv4 inside: mapped, compatible, translated, NAT64, NAT64 of a network, 6to4, ISATAP.
        (None, &["::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::1", "2600::5efe:1.1.1.1", "2600::5eff:10.0.0.1"]),
        (Some("a loopback"), &["::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::", "2600::5efe:127.0.0.1"]),
        (Some("a private"), &["::ffff:10.0.0.1", "64:ff9b::192.168.0.1", "2002:ac10::1", "2600::200:5efe:10.0.0.1"]),
        (Some("a provider's private"), &["::ffff:100.64.0.1", "64:ff9b::100.64.0.1", "2002:6440:1::"]),
        (Some("a link-local"), &["::ffff:169.254.169.254", "64:ff9b::169.254.169.254", "2002:a9fe:a9fe::1"]),
        (Some("a reserved or broadcast"), &["::ffff:255.255.255.255", "64:ff9b::255.255.255.255", "2002:ffff:ffff::"]),
        (Some("a multicast"), &["::ffff:224.0.0.1", "64:ff9b::224.0.0.1", "2002:e000:1::"]),
        (Some("a documentation"), &["::ffff:192.0.2.1", "64:ff9b::192.0.2.1", "2002:c000:201::"]),
        (Some("a reserved"), &["::127.0.0.1", "::1.1.1.1", "::ffff:0:127.0.0.1", "::ffff:0:1.1.1.1"]),
        (Some("a reserved"), &["64:ff9b:1::127.0.0.1", "64:ff9b:1::1.1.1.1", "64:ff9b::1:1.1.1.1", "64:ff9c::1.1.1.1"]),
    ];

    #[test]
    fn the_table_of_addresses() {
        for (kind, addresses) in TABLE {
            for address in *addresses {
                assert_eq!(not_public(address.parse().unwrap()), *kind, "{address}");
            }
        }
    }

    #[test]
    fn only_a_literal_address_and_localhost_go_inside() {
        let loopback = ["127.0.0.1", "::1"].map(|a| a.parse().unwrap());
        let inside: IpAddr = "10.0.0.1".parse().unwrap();
        let named = |name: &str| Host::Name(name.to_owned());
        for address in loopback {
            assert_eq!(prohibited(&Host::Address(address), address), None);
            assert_eq!(prohibited(&named("localhost"), address), None);
            for name in ["localhost.", "a.localhost", "localhost.example.org", "127.1"] {
                assert_eq!(prohibited(&named(name), address), Some("a loopback"), "{name}");
            }
        }
        assert_eq!(prohibited(&Host::Address(inside), inside), None);
        assert_eq!(prohibited(&named("localhost"), inside), Some("a private"));
    }
}
