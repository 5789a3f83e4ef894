#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
//! `nodelocaldns check`, run as a user would.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A folder of files, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("nodelocaldns-check-{}", rand::random::<u64>()));
        std::fs::create_dir(&path).unwrap();
        files.iter().for_each(|(name, text)| std::fs::write(path.join(name), text).unwrap());
        Self(path)
    }

    /// Runs the check in the folder; returns the exit code, stdout and stderr.
    fn check(&self, args: &[&str], stdin: &str) -> (Option<i32>, String, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_nodelocaldns"))
            .arg("check")
            .args(args)
            .current_dir(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |octets| String::from_utf8(octets).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

const GOOD: &str = "cluster.local:53 . {\n bind 203.0.113.7\n cache 30\n forward . resolv 192.0.2.9 {\n  \
                    doh_method GET\n }\n}\n";
const BAD: &str = ". {\n forwrad . 192.0.2.1\n cache 0\n}\n";
const RESOLV: &str = "nameserver 192.0.2.1\n";

#[test]
fn a_valid_file_is_reported_with_warnings_listeners_and_upstreams() {
    let folder = Folder::new(&[("good", GOOD), ("resolv", RESOLV)]);
    let expected = "good: ok\n\
                    warning: good:5 - doh_method has no effect: HTTPS upstreams are not supported\n\
                    listener dns://203.0.113.7:53: cluster.local. .\n\
                    plugin/forward: upstreams of cluster.local. .: 192.0.2.1:53 192.0.2.9:53 (resolv)\n";
    for args in
        [&["-conf", "good"][..], &["--conf=good", "-o=text"], &["-localip", "203.0.113.7", "-conf=good"]]
    {
        assert_eq!(folder.check(args, ""), (Some(0), expected.to_owned(), String::new()), "{args:?}");
    }
}

#[test]
fn all_problems_of_all_files_are_reported() {
    let folder = Folder::new(&[("good", GOOD), ("bad", BAD), ("resolv", RESOLV)]);
    let (code, stdout, stderr) =
        folder.check(&["-conf", "bad", "-conf", "good", "-conf", "stdin"], ". {\n wibble\n}\n");
    assert_eq!((code, stderr.as_str()), (Some(1), ""), "{stdout}");
    let lines: Vec<&str> = stdout.lines().collect();
    let expected = [
        "bad: 2 problem(s)",
        "bad:2 - Error during parsing: Unknown directive 'forwrad'",
        "     forwrad . 192.0.2.1",
        "     ^ did you mean `forward`?",
        "plugin/cache: bad:3 - Error during parsing: cache TTL can not be zero or negative: 0",
    ];
    assert_eq!(lines.get(..5), Some(&expected[..]), "{stdout}");
    for line in
        ["good: ok", "stdin: 1 problem(s)", "stdin:2 - Error during parsing: Unknown directive 'wibble'"]
    {
        assert!(lines.contains(&line), "{line}: {stdout}");
    }
    let (code, stdout, _) = folder.check(&["-conf", "missing"], "");
    assert_eq!(code, Some(1));
    assert!(stdout.contains("does not exist"), "{stdout}");
}

#[test]
fn json_has_the_documented_members() {
    let folder = Folder::new(&[("good", GOOD), ("bad", ". {\n forwrad\n}\n"), ("resolv", RESOLV)]);
    let (code, stdout, _) = folder.check(&["-o", "json", "-conf", "good", "-conf", "bad"], "");
    assert_eq!(code, Some(1));
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let forward = serde_json::json!({
        "zones": ["cluster.local.", "."],
        "from": ".",
        "upstreams": ["192.0.2.1:53", "192.0.2.9:53"],
        "files": ["resolv"],
        "location": "good:1",
    });
    let good = serde_json::json!({
        "file": "good",
        "ok": true,
        "problems": [],
        "problems_omitted": 0,
        "warnings": ["good:5 - doh_method has no effect: HTTPS upstreams are not supported"],
        "listeners": [{
            "server": "dns://203.0.113.7:53",
            "addresses": ["203.0.113.7:53"],
            "zones": ["cluster.local.", "."],
            "location": "good:2",
        }],
        "forwards": [forward],
    });
    let bad = serde_json::json!({
        "file": "bad",
        "ok": false,
        "problems": [{
            "location": "bad:2",
            "column": 2,
            "message": "bad:2 - Error during parsing: Unknown directive 'forwrad'",
            "suggestion": "did you mean `forward`?",
        }],
        "problems_omitted": 0,
        "warnings": [],
        "listeners": [],
        "forwards": [],
    });
    assert_eq!(report, serde_json::json!({ "files": [good, bad] }));
}

#[test]
fn a_template_is_rendered_with_the_flags_of_the_daemon() {
    let template = ".:53 {\n bind __PILLAR__LOCAL__DNS__\n bind nodelocaldns\n}\n";
    let folder = Folder::new(&[("base", template)]);
    let (code, stdout, _) =
        folder.check(&["-basecorefile", "base", "-localip", "203.0.113.7,203.0.113.8"], "");
    assert_eq!(code, Some(0), "{stdout}");
    assert!(stdout.contains("listener dns://203.0.113.8:53: .\n"), "{stdout}");
}

#[test]
fn wrong_command_lines_exit_with_2_and_the_help_with_0() {
    let folder = Folder::new(&[]);
    for (args, part) in [
        (&["-o", "xml"][..], "neither text nor json"),
        (&["-wibble", "x"], "--wibble"),
        (&["-localip", "ten"], "ten"),
        (&["Corefile"], "Corefile"),
    ] {
        let (code, stdout, stderr) = folder.check(args, "");
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(stderr.contains(part), "{args:?}: {stderr}");
    }
    let (code, stdout, _) = folder.check(&["-help"], "");
    assert!(code == Some(0) && stdout.contains("nodelocaldns check"), "{stdout}");
}
