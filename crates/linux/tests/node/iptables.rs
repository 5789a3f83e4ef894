//! Rules of iptables: those of node-cache are removed, others and their counters stay.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use linux::iptables::{Backend, Iptables, IptablesError};

use crate::namespace::{in_namespace, skip, without_privilege};

const COMMENT: &str = "NodeLocal DNS Cache:";

/// A lock file that no program of the node knows.
struct Lock(PathBuf);

impl Lock {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.lock"));
        File::create(&path).unwrap();
        Self(path)
    }

    /// The output of a program; nothing when it is not installed.
    fn output_of(&self, command: &str) -> Option<String> {
        let mut words = command.split(' ');
        let mut program = Command::new(words.next().unwrap());
        // An underscore stands for a space in a comment.
        program.args(words.map(|word| word.replace('_', " "))).env("XTABLES_LOCKFILE", &self.0);
        let output = program.stdin(Stdio::null()).output().ok()?;
        assert!(output.status.success(), "{command}: {output:?}");
        Some(String::from_utf8(output.stdout).unwrap())
    }

    /// The rules with counters, without the comments that have the time.
    fn save(&self, program: Iptables) -> String {
        let saved = self.output_of(&format!("{program}-save -c")).unwrap();
        saved.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect()
    }

    /// The rules that node-cache prepends for an address.
    fn add_rules_of_node_cache(&self, program: Iptables, address: &str) {
        let (skip, allow) = ("NodeLocal_DNS_Cache:_skip_conntrack", "NodeLocal_DNS_Cache:_allow_DNS_traffic");
        for protocol in ["udp", "tcp"] {
            for (table, chain, rule, target, comment) in [
                ("raw", "PREROUTING", "-d {} --dport 53", "NOTRACK", skip),
                ("raw", "OUTPUT", "-s {} --sport 53", "NOTRACK", skip),
                ("raw", "OUTPUT", "-d {} --dport 53", "NOTRACK", skip),
                ("filter", "INPUT", "-d {} --dport 53", "ACCEPT", allow),
                ("filter", "OUTPUT", "-s {} --sport 53", "ACCEPT", allow),
            ] {
                let rule = rule.replace("{}", address);
                self.output_of(&format!(
                    "{program} -t {table} -I {chain} -p {protocol} {rule} -m comment --comment {comment} -j {target}"
                ));
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

/// Chains with jumps forwards and backwards, a goto, a rule without target, and counters.
const OTHER_RULES: [&str; 14] = [
    "-N FIRST",
    "-N SECOND",
    "-A INPUT -p tcp --dport 80 -j SECOND",
    "-A INPUT -p udp --dport 53 -m comment --comment about_NodeLocal_DNS_Cache: -j ACCEPT -c 3 300",
    "-A INPUT -m limit --limit 5/min -g FIRST",
    "-A INPUT -p icmp",
    "-A OUTPUT -p tcp -m multiport --dports 1,2,3 -j FIRST",
    "-A FIRST -p tcp --dport 8080 -j RETURN",
    "-A FIRST -p tcp -j DROP -c 7 700",
    "-A SECOND -j FIRST",
    "-A SECOND -p tcp --sport 9 -m comment --comment another_rule -j REJECT",
    "-P INPUT DROP",
    "-A FORWARD -i eth0 -j SECOND",
    "-t raw -A PREROUTING -p tcp --dport 99 -j NOTRACK",
];

/// An address of ours and one of a Service.
fn addresses(program: Iptables) -> [&'static str; 2] {
    match program.to_string().starts_with("ip6") {
        true => ["fd00:25::10", "fd00:96::a"],
        false => ["169.254.25.10", "10.96.0.10"],
    }
}

/// The programs of a back end that are installed and that the kernel has.
fn installed(backend: Backend, lock: &Lock) -> Vec<Iptables> {
    let programs = Iptables::ALL.into_iter().filter(|program| program.backend() == backend);
    let is_installed = |program: &Iptables| {
        let mut list = Command::new(program.to_string());
        let output = list.args(["-t", "raw", "-L"]).env("XTABLES_LOCKFILE", &lock.0).output();
        output.is_ok_and(|output| output.status.success())
    };
    programs.filter(is_installed).collect()
}

fn assert_only_rules_of_node_cache_are_removed(test: &str, backend: Backend) {
    let lock = Lock::new(test);
    let programs = installed(backend, &lock);
    if programs.is_empty() {
        return skip(test, "neither iptables nor ip6tables");
    }
    for program in programs {
        for rule in OTHER_RULES {
            let icmp = if program.to_string().starts_with("ip6") { "ipv6-icmp" } else { "icmp" };
            let rule = rule.replace("icmp", icmp);
            lock.output_of(&format!("{program} {rule}"));
        }
        let before = lock.save(program);
        for address in addresses(program) {
            lock.add_rules_of_node_cache(program, address);
        }
        // One in a chain of others, first and last.
        let ours = "-m comment --comment NodeLocal_DNS_Cache:_allow_DNS_traffic -j ACCEPT";
        lock.output_of(&format!("{program} -I FIRST {ours}"));
        lock.output_of(&format!("{program} -A SECOND {ours}"));
        let removed = program.remove_rules(COMMENT, &lock.0).unwrap();
        assert_eq!(
            removed.to_string(),
            "1 of filter FIRST, 4 of filter INPUT, 4 of filter OUTPUT, 1 of filter SECOND, \
             8 of raw OUTPUT, 4 of raw PREROUTING",
            "{program}"
        );
        assert_eq!(lock.save(program), before, "{program}");
        assert!(program.remove_rules(COMMENT, &lock.0).unwrap().is_empty(), "{program}");
        assert_eq!(lock.save(program), before, "{program}");
    }
}

#[test]
fn rules_of_node_cache_are_removed_from_nf_tables() {
    in_namespace(|| async {
        assert_only_rules_of_node_cache_are_removed(
            "rules_of_node_cache_are_removed_from_nf_tables",
            Backend::NfTables,
        );
    });
}

#[test]
fn rules_of_node_cache_are_removed_from_x_tables() {
    in_namespace(|| async {
        assert_only_rules_of_node_cache_are_removed(
            "rules_of_node_cache_are_removed_from_x_tables",
            Backend::Legacy,
        );
    });
}

#[test]
fn tables_that_iptables_nft_created_for_them_are_removed() {
    in_namespace(|| async {
        let lock = Lock::new("created_tables");
        let programs = installed(Backend::NfTables, &lock);
        if programs.is_empty() {
            return skip("tables_that_iptables_nft_created_for_them_are_removed", "no iptables-nft");
        }
        lock.output_of("nft flush ruleset");
        for program in programs {
            lock.add_rules_of_node_cache(program, addresses(program)[0]);
            assert!(lock.output_of("nft list tables").unwrap().contains("raw"));
            assert!(!program.remove_rules(COMMENT, &lock.0).unwrap().is_empty());
            assert_eq!(lock.output_of("nft list ruleset").unwrap(), "", "{program}");
        }
    });
}

#[test]
fn rules_of_x_tables_need_the_lock_of_the_node() {
    in_namespace(|| async {
        let lock = Lock::new("needs_lock");
        let Some(program) = installed(Backend::Legacy, &lock).pop() else {
            return skip("rules_of_x_tables_need_the_lock_of_the_node", "no iptables-legacy");
        };
        let absent = Path::new("/run/nodelocaldns-absent.lock");
        assert!(program.remove_rules(COMMENT, absent).unwrap().is_empty(), "there is nothing to remove");
        lock.add_rules_of_node_cache(program, addresses(program)[0]);
        let before = lock.save(program);
        let error = program.remove_rules(COMMENT, absent).unwrap_err();
        assert!(matches!(error, IptablesError::NotLocked(..)), "{error}");
        assert!(error.to_string().contains("mount it"), "{error}");
        assert_eq!(lock.save(program), before);
        // Another program holds it for a moment.
        let other = File::open(&lock.0).unwrap();
        other.lock().unwrap();
        let waiting = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| program.remove_rules(COMMENT, &lock.0));
            drop(other);
            waiting.join().unwrap()
        });
        assert!(!waiting.unwrap().is_empty());
    });
}

#[test]
fn the_rules_of_iptables_need_cap_net_admin() {
    without_privilege(|| async {
        let program = Iptables::ALL[0];
        let error = program.remove_rules(COMMENT, Path::new("/absent")).unwrap_err();
        assert!(matches!(error, IptablesError::NoPermission), "{error}");
    });
}
