//! Every Corefile of the collection in `tests/corefiles` loads. The lines that start with `#=` are
//! those of `scripts/side-by-side`, which runs the same files beside node-cache.

use std::fs;
use std::path::Path;

use super::load::{BASE, load_for};

/// Files that other tests load, and parts of them.
const NOT_RUN: [&str; 1] = ["imports"];
/// A CA certificate, which only `forward_connection` makes; here any file does.
const CA: &str = "/etc/coredns/ca.pem";

/// A Corefile with the values of its `#=` lines.
struct Corefile {
    name: String,
    text: String,
}

impl Corefile {
    fn all() -> Vec<Self> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corefiles");
        let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let corefiles =
            paths.filter(|path| path.extension().is_some_and(|extension| extension == "Corefile"));
        let read = |path: std::path::PathBuf| Self {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            text: fs::read_to_string(path).unwrap(),
        };
        corefiles.map(read).filter(|corefile| !NOT_RUN.contains(&corefile.name.as_str())).collect()
    }

    /// The arguments of each line with this word.
    fn values(&self, word: &str) -> Vec<&str> {
        let lines = self.text.lines().filter_map(|line| line.strip_prefix("#= ")?.strip_prefix(word));
        lines.flat_map(str::split_whitespace).collect()
    }

    /// The first line of the error, or nothing if it loads.
    fn error(&self) -> String {
        let local_ips = self.values("localip").join(",");
        let is_mounted = self.text.lines().any(|line| line == "#= conf");
        let (conf, path) = if is_mounted {
            ("/etc/coredns/Corefile", "/etc/coredns/Corefile")
        } else {
            ("/etc/Corefile", BASE)
        };
        let args = ["-localip", &local_ips, "-conf", conf, "-upstreamsvc", "kube-dns-upstream"];
        let mut files = etc();
        files.push((path.to_owned(), self.text.clone()));
        let kube_dns =
            self.text.lines().filter_map(|line| line.strip_prefix("#= kube-dns ")?.split_once(' '));
        files.extend(kube_dns.map(|(key, value)| (format!("/etc/kube-dns/{key}"), value.to_owned())));
        let files: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let mut environment = vec![("KUBE_DNS_UPSTREAM_SERVICE_HOST", "10.96.0.11")];
        environment.extend(self.values("env").into_iter().filter_map(|pair| pair.split_once('=')));
        match load_for(&args, &files, &environment) {
            Ok(_) => String::new(),
            Err(errors) => errors.to_string(),
        }
    }
}

/// The files that Corefiles refer to.
fn etc() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corefiles/etc");
    let mut files = vec![(CA.to_owned(), certificate())];
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let below = Path::new("/etc").join(path.strip_prefix(&root).unwrap());
                files.push((below.to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap()));
            }
        }
    }
    files
}

fn certificate() -> String {
    rcgen::generate_simple_self_signed(vec!["dns.resolver.test".to_owned()]).unwrap().cert.pem()
}

#[test]
fn every_corefile_of_a_deployment_loads() {
    let corefiles = Corefile::all();
    assert!(corefiles.len() >= 60, "{} Corefiles", corefiles.len());
    let supported = |corefile: &&Corefile| corefile.values("not-yet").is_empty();
    let errors = corefiles.iter().filter(supported).map(|corefile| (&corefile.name, corefile.error()));
    let refused: Vec<_> = errors.filter(|(_, error)| !error.is_empty()).collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn a_corefile_that_does_not_load_yet_names_the_directives() {
    for corefile in Corefile::all() {
        let error = corefile.error();
        for directive in corefile.values("not-yet") {
            let named = error.contains(&format!("directive '{directive}'"));
            assert!(named, "{}: '{directive}' is supported, or not the problem:\n{error}", corefile.name);
        }
    }
}
