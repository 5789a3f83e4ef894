//! Upstreams in effect, as log lines.

use std::collections::BTreeSet;

use corefile::settings::{Block, Forward, Settings};

/// A line for each `forward`: the zones of its server block, the names it is for, and its upstreams
/// with the files that list them.
pub(super) fn lines(settings: &Settings) -> Vec<String> {
    let forwards = settings
        .blocks
        .iter()
        .flat_map(|block| block.forwards.iter().map(move |forward| line(block, forward)));
    let mut seen = BTreeSet::new();
    forwards.filter(|line| seen.insert(line.clone())).collect()
}

fn line(block: &Block, forward: &Forward) -> String {
    let zones: Vec<String> = block.keys.iter().map(|key| key.zone.to_string()).collect();
    let upstreams = upstreams(forward);
    let mut line = format!("plugin/forward: upstreams of {}", zones.join(" "));
    let from = forward.options.from.to_string();
    // `forward .` is for all names of the block.
    if from != "." && zones != [from.as_str()] {
        line += &format!(" for {from}");
    }
    line += &format!(": {}", upstreams.join(" "));
    let files: Vec<String> = forward.files.iter().map(|path| path.display().to_string()).collect();
    if !files.is_empty() {
        line += &format!(" ({})", files.join(" "));
    }
    line
}

/// The upstreams of a `forward`, with `tls://` for DNS over TLS.
pub(super) fn upstreams(forward: &Forward) -> Vec<String> {
    let upstreams = forward.upstreams.iter().map(|&upstream| {
        let is_encrypted = forward.connection.tls.as_ref().is_some_and(|tls| tls.name(upstream).is_some());
        if is_encrypted { format!("tls://{upstream}") } else { upstream.to_string() }
    });
    upstreams.collect()
}

#[cfg(test)]
mod tests {
    use corefile::Environment;

    use super::*;
    use crate::flags;
    use crate::host::OsHost;

    #[test]
    fn each_forward_is_a_line_with_zones_upstreams_and_files() {
        let folder = std::env::temp_dir().join(format!("nodelocaldns-log-{}", rand::random::<u64>()));
        std::fs::create_dir(&folder).unwrap();
        let (corefile, list) = (folder.join("Corefile"), folder.join("resolv.conf"));
        std::fs::write(&list, "nameserver 192.0.2.1\nnameserver 192.0.2.2\n").unwrap();
        let text = format!(
            "cluster.local ip6.arpa {{\n forward . 10.233.0.3\n}}\n\
             test {{\n forward test 192.0.2.1\n forward a.test tls://192.0.2.53\n}}\n\
             . {{\n forward . {0} 192.0.2.9:5353\n}}\n.:54 {{\n forward . {0} 192.0.2.9:5353\n}}\n",
            list.display()
        );
        std::fs::write(&corefile, text).unwrap();
        let args = ["nodelocaldns", "-localip", "169.254.25.10", "-conf"].map(Into::into);
        let flags = flags::parse(args.into_iter().chain([corefile.into_os_string()])).unwrap();
        let settings = corefile::load(&flags.options, &Environment::default(), &OsHost::default()).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let expected = [
            "cluster.local. ip6.arpa.: 10.233.0.3:53".to_owned(),
            "test.: 192.0.2.1:53".to_owned(),
            "test. for a.test.: tls://192.0.2.53:853".to_owned(),
            format!(".: 192.0.2.1:53 192.0.2.2:53 192.0.2.9:5353 ({})", list.display()),
        ];
        assert_eq!(
            lines(&settings),
            expected.map(|upstreams| format!("plugin/forward: upstreams of {upstreams}"))
        );
    }
}
