//! Programs at links, attached with tc(8).

use linux::network_plugin::NetworkPlugin;

use crate::fixture::add_bridge;
use crate::namespace::{in_namespace, output_of, skip};

#[test]
fn calico_in_ebpf_mode_is_known_by_the_programs_at_its_links() {
    in_namespace(async || {
        for name in ["cali1", "cali2", "other"] {
            add_bridge(name).await;
        }
        let attach = |link| {
            output_of("tc", &["qdisc", "add", "dev", link, "clsact"])?;
            // A program that accepts each packet.
            let program = ["bpf", "direct-action", "bytecode", "1,6 0 0 0"];
            output_of("tc", &[&["filter", "add", "dev", link, "ingress"], &program[..]].concat())
        };
        if attach("other").is_none() {
            return skip("calico_in_ebpf_mode_is_known_by_the_programs_at_its_links", "no tc command");
        }
        assert_eq!(NetworkPlugin::find().await.unwrap(), Some(NetworkPlugin::Calico), "of another link");
        attach("cali2").unwrap();
        assert_eq!(NetworkPlugin::find().await.unwrap(), Some(NetworkPlugin::CalicoEbpf));
    });
}
