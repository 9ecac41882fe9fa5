use super::addresses::Adjustment;
use super::*;

fn host(name: &str, addresses: &[(&str, &str)]) -> ListedHost {
    let addresses = addresses.iter().map(|(kind, text)| (AddressKind::of(kind, text), (*text).to_owned()));
    ListedHost { name: name.to_owned(), addresses: addresses.collect(), ..ListedHost::default() }
}

fn addresses(inventory: &Inventory) -> Vec<Vec<&str>> {
    inventory.nodes.iter().map(|node| node.addresses.iter().map(String::as_str).collect()).collect()
}

#[test]
fn internal_addresses_lead_and_external_ones_come_last() {
    let listed = host(
        "a",
        &[("Hostname", "a"), ("ExternalIP", "203.0.113.1"), ("InternalIP", "10.0.0.1"), ("InternalIP", "fd00::1")],
    );
    let inventory = Inventory::from_list(vec![listed], ExternalIps::NamesOnly);
    assert_eq!(addresses(&inventory), [["10.0.0.1", "fd00::1", "a", "203.0.113.1"]]);
    assert!(inventory.adjusted.is_empty(), "{:?}", inventory.adjusted);
}

#[test]
fn an_external_address_never_leads_its_family_unless_asked() {
    let listed = || {
        vec![
            host("a", &[("InternalIP", "10.0.0.1"), ("ExternalIP", "2001:db8::1"), ("ExternalIP", "203.0.113.1")]),
            host("b", &[("Hostname", "b"), ("ExternalIP", "203.0.113.2")]),
        ]
    };
    let inventory = Inventory::from_list(listed(), ExternalIps::NamesOnly);
    assert_eq!(addresses(&inventory), [["10.0.0.1", "203.0.113.1"]]);
    assert_eq!(
        inventory.adjusted.iter().map(|address| &address.adjustment).collect::<Vec<_>>(),
        [&Adjustment::NoInternalOfFamily]
    );
    assert_eq!(inventory.external_only, [("b".to_owned(), "203.0.113.2".to_owned())]);
    let inventory = Inventory::from_list(listed(), ExternalIps::AsAddresses);
    assert_eq!(addresses(&inventory)[0], ["10.0.0.1", "2001:db8::1", "203.0.113.1"]);
    assert_eq!(addresses(&inventory)[1], ["b", "203.0.113.2"]);
}

#[test]
fn addresses_of_several_hosts_are_skipped_except_internal_ips() {
    let listed = vec![
        host("a", &[("InternalIP", "10.0.0.1"), ("ExternalIP", "203.0.113.9"), ("Hostname", "ubuntu")]),
        host("b", &[("InternalIP", "10.0.0.2"), ("ExternalIP", "203.0.113.9"), ("Hostname", "ubuntu")]),
        host("c", &[("InternalIP", "10.0.0.2"), ("ExternalIP", "10.0.0.1"), ("Hostname", "a")]),
    ];
    let inventory = Inventory::from_list(listed, ExternalIps::NamesOnly);
    assert_eq!(addresses(&inventory), [["10.0.0.1"], ["10.0.0.2"], ["10.0.0.2"]]);
    assert_eq!(inventory.adjusted.len(), 6, "{:?}", inventory.adjusted);
}

#[test]
fn a_host_keeps_its_own_name_if_others_list_it_too() {
    let listed = vec![
        host("a", &[("InternalIP", "10.0.0.1"), ("Hostname", "b")]),
        host("b", &[("InternalIP", "10.0.0.2"), ("Hostname", "b")]),
    ];
    let inventory = Inventory::from_list(listed, ExternalIps::NamesOnly);
    assert_eq!(addresses(&inventory), [&["10.0.0.1"][..], &["10.0.0.2", "b"]]);
    assert_eq!(
        inventory.adjusted.iter().map(|address| &address.adjustment).collect::<Vec<_>>(),
        [&Adjustment::OtherHostName]
    );
}

#[test]
fn items_that_are_not_hosts_or_lack_a_host_name_are_skipped() {
    let mut fargate = host("fargate-ip-10-0-0-9", &[("InternalIP", "10.0.0.9")]);
    fargate.provider = Some(Provider::Fargate);
    let listed = vec![
        host("a", &[("InternalIP", "10.0.0.1")]),
        fargate,
        host("Node-B", &[("InternalIP", "10.0.0.2")]),
        host(&"x".repeat(64), &[("InternalIP", "10.0.0.3")]),
    ];
    let inventory = Inventory::from_list(listed, ExternalIps::NamesOnly);
    assert_eq!(addresses(&inventory), [["10.0.0.1"]]);
    assert!(matches!(
        inventory.skipped.iter().map(|(_, why)| why).collect::<Vec<_>>()[..],
        [SkipReason::NotAHost(_), SkipReason::Name(_), SkipReason::Name(_)]
    ));
}

#[test]
fn names_invalid_in_certificates_are_skipped_with_a_reason() {
    let listed = host(
        "a",
        &[
            ("InternalIP", "10.0.0.1"),
            ("Hostname", "A.Example.NET"),
            ("InternalDNS", "a_1.example.net"),
            ("InternalIP", "fe80::1%eth0"),
            ("InternalIP", "fe80::1"),
            ("InternalIP", "169.254.3.4"),
            ("InternalIP", "127.0.0.1"),
            ("Hostname", "localhost.localdomain"),
            ("ExternalIP", "0.0.0.0"),
        ],
    );
    let inventory = Inventory::from_list(vec![listed, host("b", &[("InternalIP", "fe80::2")])], ExternalIps::NamesOnly);
    assert_eq!(addresses(&inventory), [["10.0.0.1", "a.example.net"]]);
    assert_eq!(inventory.adjusted.len(), 9, "{:?}", inventory.adjusted);
    assert!(inventory.adjusted.iter().all(|address| address.to_string().contains(&address.value)));
    assert_eq!(inventory.without_addresses, ["b"]);
}
