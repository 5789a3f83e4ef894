//! Start-up errors: one line on stderr, and the exit code.

use std::net::{SocketAddr, TcpListener, UdpSocket};

use crate::fixture::{DaemonCommand, READY, forward_corefile, loopback, upstream};

/// The Corefile is rejected at this line, with this part of the reason.
fn assert_rejected(corefile: &str, line: &str, part: &str) {
    let daemon = DaemonCommand::new(corefile).spawn();
    let file = daemon.file("Corefile").display().to_string();
    let end = daemon.wait_for_exit();
    assert_eq!(end.code, Some(1), "{corefile}: {end:?}");
    let first = &end.stderr[0];
    let at = first.find(&format!("{file}:{line} - ")).unwrap_or_else(|| panic!("no line number: {first}"));
    assert!(first[at..].contains(part), "{first}");
}

#[test]
fn invalid_corefile_is_reported_with_file_and_line() {
    assert_rejected(".:5300 {\n bind @\n wibble\n}", "3", "Error during parsing: Unknown directive 'wibble'");
    assert_rejected(
        ".:5300 {\n bind @\n cache {\n  foo\n }\n}",
        "4",
        "Wrong argument count or unexpected line ending",
    );
    assert_rejected(".:5300 {\n bind @\n forward . host.example\n}", "3", "not an IP address or file");
    assert_rejected(".:5300 {\n bind @\n}\n.:5300 {\n bind @\n}", "4", "it is already defined");
    assert_rejected(
        ".:5300 {\n bind @\n cache\n",
        "3",
        "Syntax error: Unexpected token 'cache', expecting '}'",
    );
}

#[test]
fn all_errors_of_a_corefile_are_printed() {
    let corefile = ".:5300 {\n bind @\n forwrad . 192.0.2.1\n cache {\n  prefetch no\n }\n}";
    let daemon = DaemonCommand::new(corefile).spawn();
    let file = daemon.file("Corefile").display().to_string();
    let end = daemon.wait_for_exit();
    assert_eq!(end.code, Some(1), "{end:?}");
    assert_eq!(
        end.stderr,
        [
            &format!("{file}:3 - Error during parsing: Unknown directive 'forwrad'"),
            "     forwrad . 192.0.2.1",
            "     ^ did you mean `forward`?",
            &format!("plugin/cache: {file}:5 - Error during parsing: 'no' is not a whole number"),
            "      prefetch no",
            "               ^",
        ]
    );
}

#[test]
fn missing_corefile_is_reported() {
    let upstream = upstream();
    let end = DaemonCommand::new(&forward_corefile(&upstream, "force_tcp"))
        .arg("-conf=/nowhere/Corefile")
        .spawn()
        .wait_for_exit();
    assert_eq!((end.code, end.stderr.len()), (Some(1), 1));
    assert!(end.stderr[0].contains("/nowhere/Corefile"), "{:?}", end.stderr);
}

#[test]
fn usage_error_exits_with_code_two() {
    for (args, part) in [
        (["-nosuchflag", "-quiet"], "nosuchflag"),
        (["-workers=0", "-quiet"], "workers"),
        (["-localip=ten", "-quiet"], "ten"),
        (["-setupinterface=perhaps", "-quiet"], "perhaps"),
    ] {
        let command = args.iter().fold(DaemonCommand::new(". {\n}"), |command, arg| command.arg(arg));
        let end = command.spawn().wait_for_exit();
        assert_eq!((end.code, end.stdout.len()), (Some(2), 0), "{args:?}");
        assert!(end.stderr.join(" ").contains(part), "{:?}", end.stderr);
    }
}

#[test]
fn help_and_version_exit_with_code_zero() {
    for (flag, part) in
        [("-help", "-localip"), ("-h", "-conf"), ("-version", "nodelocaldns"), ("-plugins", "dns.cache")]
    {
        let end = DaemonCommand::new(". {\n}").arg(flag).spawn().wait_for_exit();
        assert_eq!((end.code, end.stderr.len()), (Some(0), 0), "{flag}");
        assert!(end.stdout.join("\n").contains(part), "{flag}: {:?}", end.stdout);
    }
}

#[test]
fn the_readme_has_a_row_for_every_flag() {
    let readme = include_str!("../../../../README.md");
    let help = DaemonCommand::new(". {\n}").arg("-help").spawn().wait_for_exit();
    let flags: Vec<&str> = help
        .stdout
        .iter()
        .filter_map(|line| line.trim_start().strip_prefix("--"))
        .filter_map(|rest| rest.split(['[', ' ', ',']).next())
        .collect();
    assert!(flags.len() > 20, "{flags:?}");
    for flag in flags {
        let row = |line: &str| line.starts_with("| `-") && line.contains(&format!("`-{flag}`"));
        assert!(readme.lines().any(row), "no row for -{flag}");
    }
}

/// A socket that holds a port exclusively.
enum PortHolder {
    Udp(UdpSocket),
    Tcp(TcpListener),
}

impl PortHolder {
    fn addr(&self) -> SocketAddr {
        match self {
            Self::Udp(socket) => socket.local_addr().unwrap(),
            Self::Tcp(listener) => listener.local_addr().unwrap(),
        }
    }
}

#[test]
fn port_in_use_is_reported_in_one_line() {
    let upstream = upstream();
    for port_holder in [
        PortHolder::Udp(UdpSocket::bind(loopback()).unwrap()),
        PortHolder::Tcp(TcpListener::bind(loopback()).unwrap()),
    ] {
        let at = port_holder.addr();
        let corefile = format!(".:{} {{\n bind {}\n forward . {}\n}}", at.port(), at.ip(), upstream.addr());
        let end = DaemonCommand::new(&corefile).spawn().wait_for_exit();
        assert_eq!((end.code, end.stderr.len()), (Some(1), 1), "{end:?}");
        let line = &end.stderr[0];
        assert!(line.contains(&at.to_string()) && line.contains("address already in use"), "{line}");
        assert!(line.contains("ss -lntup"), "a remedy: {line}");
    }
}

#[test]
fn http_endpoint_in_use_is_reported_in_one_line() {
    let upstream = upstream();
    let port_holder = TcpListener::bind(loopback()).unwrap();
    let at = port_holder.local_addr().unwrap();
    let corefile = forward_corefile(&upstream, "force_tcp").replace(&format!("@:{READY}"), &at.to_string());
    let end = DaemonCommand::new(&corefile).spawn().wait_for_exit();
    assert_eq!((end.code, end.stderr.len()), (Some(1), 1), "{end:?}");
    assert!(end.stderr[0].contains(&format!("{at}: bind: address already in use")), "{:?}", end.stderr);
}
