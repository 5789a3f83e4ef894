//! Signs of network plugins and of kube-proxy on a node.

use linux::kube_proxy::{IPVS_LINK, KubeProxyMode};
use linux::network_plugin::NetworkPlugin;

use crate::fixture::{add_bridge, delete_link};
use crate::namespace::{in_namespace, output_of, skip, without_privilege};

#[test]
fn network_plugins_are_known_by_their_links() {
    in_namespace(async || {
        assert_eq!(NetworkPlugin::find().await.unwrap(), None);
        for (name, plugin) in [
            ("cali12ab", NetworkPlugin::Calico),
            ("bpfin.cali", NetworkPlugin::CalicoEbpf),
            ("cilium_net", NetworkPlugin::Cilium),
        ] {
            add_bridge(name).await;
            assert_eq!(NetworkPlugin::find().await.unwrap(), Some(plugin), "{name}");
        }
        delete_link("cilium_net").await;
        delete_link("bpfin.cali").await;
        assert_eq!(NetworkPlugin::find().await.unwrap(), Some(NetworkPlugin::Calico));
    });
}

#[test]
fn the_mode_of_kube_proxy_is_known_by_tables_chains_and_links() {
    in_namespace(async || {
        assert_eq!(KubeProxyMode::find().unwrap(), None);
        if output_of("nft", &["add", "table", "ip", "nat"]).is_none() {
            return skip("the_mode_of_kube_proxy_is_known_by_tables_chains_and_links", "no nft command");
        }
        output_of("nft", &["add", "chain", "ip", "nat", "KUBE-FIREWALL"]);
        assert_eq!(KubeProxyMode::find().unwrap(), None);
        output_of("nft", &["add", "chain", "ip", "nat", "KUBE-SERVICES"]);
        assert_eq!(KubeProxyMode::find().unwrap(), Some(KubeProxyMode::Iptables));
        output_of("nft", &["add", "table", "ip6", "kube-proxy"]);
        output_of("nft", &["add", "chain", "ip6", "kube-proxy", "services"]);
        assert_eq!(KubeProxyMode::find().unwrap(), Some(KubeProxyMode::Nftables));
        add_bridge(IPVS_LINK).await;
        assert_eq!(KubeProxyMode::find().unwrap(), Some(KubeProxyMode::Ipvs));
    });
}

#[test]
fn kube_proxy_is_not_visible_without_cap_net_admin() {
    without_privilege(async || {
        assert!(KubeProxyMode::find().unwrap_err().to_string().contains("CAP_NET_ADMIN"));
    });
}
