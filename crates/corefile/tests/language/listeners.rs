//! Listeners: which zones are served on which address.

use super::load::{COREFILE, first_error_line, load, served};

fn labels(text: &str) -> Vec<String> {
    served(&load(text).unwrap()).into_iter().map(|(label, _)| label).collect()
}

#[test]
fn each_address_and_port_has_one_listener() {
    assert_eq!(
        labels("a.test:53 b.test:54 {\n bind 127.0.0.1 ::1\n}\nc.test {\n bind 127.0.0.1\n}\n"),
        ["dns://127.0.0.1:53", "dns://[::1]:53", "dns://127.0.0.1:54", "dns://[::1]:54"]
    );
    let settings = load("a.test {\n bind 127.0.0.1\n}\nb.test {\n bind 127.0.0.1\n}\n").unwrap();
    assert_eq!(settings.listeners.len(), 1);
    let blocks: Vec<usize> = settings.listeners[0].zones.iter().map(|(_, block)| *block).collect();
    assert_eq!(blocks, [0, 1]);
    assert_eq!(settings.listeners[0].addresses, ["127.0.0.1:53".parse().unwrap()]);
}

#[test]
fn block_without_bind_listens_on_all_addresses_of_both_families() {
    let settings = load(".:5353 {\n}\n").unwrap();
    assert_eq!(settings.listeners[0].label, "dns://:5353");
    assert_eq!(
        settings.listeners[0].addresses,
        ["[::]:5353".parse().unwrap(), "0.0.0.0:5353".parse().unwrap()]
    );
}

#[test]
fn a_wildcard_address_stands_for_both_families() {
    for (bind, label) in [
        ("0.0.0.0", "dns://0.0.0.0:53"),
        ("::", "dns://[::]:53"),
        ("0.0.0.0 ::", "dns://0.0.0.0:53"),
        (":: 0.0.0.0", "dns://[::]:53"),
    ] {
        let settings = load(&format!(". {{\n bind {bind}\n}}\n")).unwrap();
        let [listener] = settings.listeners.as_slice() else { panic!("{bind}: {:?}", settings.listeners) };
        assert_eq!(listener.label, label);
        assert_eq!(listener.addresses, ["[::]:53".parse().unwrap(), "0.0.0.0:53".parse().unwrap()], "{bind}");
        assert_eq!(listener.zones.len(), 1, "{bind}");
    }
}

#[test]
fn blocks_on_the_same_wildcard_share_a_listener() {
    let settings =
        load("a.test {\n}\nb.test {\n bind 0.0.0.0\n}\nc.test {\n bind ::\n}\nd.test:54 {\n bind ::\n}\n")
            .unwrap();
    let zones: Vec<(&str, Vec<usize>)> = settings
        .listeners
        .iter()
        .map(|listener| (listener.label.as_str(), listener.zones.iter().map(|(_, block)| *block).collect()))
        .collect();
    assert_eq!(zones, [("dns://:53", vec![0, 1, 2]), ("dns://[::]:54", vec![3])]);
}

#[test]
fn listeners_and_endpoints_have_the_line_that_names_them() {
    let settings = load(
        "a.test {\n bind 127.0.0.1\n bind 127.0.0.2 ::1\n health 127.0.0.1:8080\n}\n\
         b.test {\n bind 127.0.0.1\n ready :8181\n prometheus :9253\n}\n.:54 {\n prometheus :9253\n}\n",
    )
    .unwrap();
    let lines = settings.listeners.iter().map(|listener| (&*listener.label, &*listener.location));
    let at = |line: u32| format!("{COREFILE}:{line}");
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            ("dns://127.0.0.1:53", &*at(2)),
            ("dns://127.0.0.2:53", &at(3)),
            ("dns://[::1]:53", &at(3)),
            ("dns://:54", &at(11)),
        ]
    );
    let endpoints = [("127.0.0.1:8080", at(4)), ("[::]:8181", at(8)), ("[::]:9253", at(9))];
    assert_eq!(
        settings.endpoint_locations.into_iter().collect::<Vec<_>>(),
        endpoints.map(|(address, location)| (address.parse().unwrap(), location))
    );
}

#[test]
fn zone_served_twice_on_an_address_is_rejected() {
    let at = |line: &str| format!("{COREFILE}:{line}");
    assert_eq!(
        first_error_line(".:5600 {\n bind 127.0.0.9\n}\n.:5600 {\n bind 127.0.0.9\n}\n"),
        at("4 - Error during parsing: cannot serve dns://.:5600 on 127.0.0.9 - it is already defined \
            (/etc/coredns/Corefile:1)")
    );
    assert_eq!(
        first_error_line("a.test A.TEST {\n}\n"),
        at("1 - Error during parsing: cannot serve dns://a.test.:53 - it is already defined \
            (/etc/coredns/Corefile:1)")
    );
    assert_eq!(
        first_error_line(".:5600 {\n}\n.:5600 {\n bind 127.0.0.9\n}\n"),
        at("3 - Error during parsing: cannot serve dns://.:5600 on 127.0.0.9 - zone overlap \
            listener capacity with \
            dns://.:5600 (/etc/coredns/Corefile:1): one has a bind and one has none")
    );
    assert!(first_error_line(".:5600 {\n bind 127.0.0.9\n}\n.:5600 {\n}\n").contains(
        "cannot serve dns://.:5600 - zone overlap listener capacity with dns://.:5600 on 127.0.0.9"
    ));
    load(". {\n bind 127.0.0.1\n}\n. {\n bind 127.0.0.2\n}\na.test {\n}\n.:54 {\n}\n").unwrap();
}
