//! A Corefile of the collection, with the lines `#= WORD ARGUMENTS...` that say how it is run:
//!
//! | word | arguments |
//! | --- | --- |
//! | `conf` | none: the file is given to `-conf` as it is; otherwise it is a template |
//! | `localip` | addresses for `-localip`; the first is queried |
//! | `server` | further addresses to query, with or without port |
//! | `env` | an environment variable, `NAME=VALUE` |
//! | `metrics` | address of `/metrics`; otherwise 127.0.0.1:9253 |
//! | `http` | address and path of another page to compare |
//! | `peer` | the only peer: `coredns` for directives that node-cache lacks |
//! | `ask` | a name, `CH` for that class, and types that are asked besides the questions for all Corefiles |
//! | `kube-dns` | a key of the ConfigMap of kube-dns, and its value in JSON |
//! | `not-yet` | directives that the daemon does not support yet: the file must not load |

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use tools::question::Question;

/// Where node-cache writes the rendered template, and where kubespray mounts its Corefile.
const RENDERED: &str = "/etc/Corefile";
const MOUNTED: &str = "/etc/coredns/Corefile";

/// A Corefile and how it is run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fixture {
    /// The file name without its extension.
    pub(crate) name: String,
    /// The text as it is written.
    pub(crate) text: String,
    /// Whether it is given to `-conf`, not rendered from a template.
    pub(crate) mounted: bool,
    pub(crate) local_ips: Vec<IpAddr>,
    /// The addresses to query.
    pub(crate) servers: Vec<SocketAddr>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) metrics: Option<SocketAddr>,
    /// Address and path of HTTP pages.
    pub(crate) pages: Vec<(SocketAddr, String)>,
    /// The name of its only peer; otherwise both lines of node-cache.
    pub(crate) peer: Option<String>,
    /// Further questions.
    pub(crate) questions: Vec<Question>,
    /// Keys and values of the ConfigMap of kube-dns.
    pub(crate) kube_dns: Vec<(String, String)>,
    /// Directives that are not supported yet.
    pub(crate) not_yet: Vec<String>,
}

impl Fixture {
    /// All Corefiles of a directory in the order of their names.
    pub(crate) fn all(directory: &Path, only: &str) -> io::Result<Vec<Self>> {
        let mut fixtures = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            if path.extension().is_some_and(|extension| extension == "Corefile") && stem.contains(only) {
                let text = fs::read_to_string(&path)?;
                let fixture = Self::parse(stem, text);
                fixtures.extend(fixture.map_err(|line| io::Error::other(format!("{stem}: {line}")))?);
            }
        }
        fixtures.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(fixtures)
    }

    /// Reads the lines that start with `#=`; `None` for a file without `localip`, which is not run.
    fn parse(name: &str, text: String) -> Result<Option<Self>, String> {
        let mut fixture = Self { name: name.to_owned(), ..Self::default() };
        for line in text.lines().filter_map(|line| line.strip_prefix("#= ")) {
            let mut words = line.split_whitespace().map(str::to_owned);
            let word = words.next().unwrap_or_default();
            fixture.read(&word, words.collect()).ok_or_else(|| format!("invalid line '#= {line}'"))?;
        }
        let Some(first) = fixture.local_ips.first() else { return Ok(None) };
        fixture.servers.insert(0, (*first, 53).into());
        fixture.text = text;
        Ok(Some(fixture))
    }

    fn read(&mut self, word: &str, arguments: Vec<String>) -> Option<()> {
        let first = arguments.first().cloned().unwrap_or_default();
        match word {
            "conf" => self.mounted = true,
            "localip" => {
                for ip in &arguments {
                    self.local_ips.push(ip.parse().ok()?);
                }
            }
            "server" => {
                for server in &arguments {
                    let with_port = server.parse::<IpAddr>().map(|ip| (ip, 53).into());
                    self.servers.push(with_port.or_else(|_| server.parse()).ok()?);
                }
            }
            "env" => {
                let (name, value) = first.split_once('=')?;
                self.environment.push((name.to_owned(), value.to_owned()));
            }
            "metrics" => self.metrics = Some(first.parse().ok()?),
            "http" => self.pages.push((first.parse().ok()?, arguments.get(1)?.clone())),
            "peer" => self.peer = Some(first),
            "ask" => {
                let types = arguments.get(1..)?;
                let is_chaos = types.first().is_some_and(|word| word == "CH");
                for rtype in types.iter().skip(usize::from(is_chaos)) {
                    let question = Question::new(&first, rtype)?;
                    self.questions.push(if is_chaos { question.in_chaos() } else { question });
                }
            }
            "kube-dns" => self.kube_dns.push((first, arguments.get(1..)?.join(" "))),
            "not-yet" => self.not_yet = arguments,
            _ => return None,
        }
        Some(())
    }

    /// Where the effective Corefile is.
    pub(crate) fn path(&self) -> &'static str {
        if self.mounted { MOUNTED } else { RENDERED }
    }

    /// The addresses of `-localip`.
    pub(crate) fn local_ips(&self, separator: &str) -> String {
        self.local_ips.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(separator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_fixture_are_read() {
        let text = "# a comment\n#= conf\n#= localip 169.254.20.10 10.96.0.10\n#= server 10.96.0.10 [fd00::1]:1053\n\
                    #= env A=b=c\n#= ask www.example. A MX\n#= ask version.bind. CH TXT\n\
                    #= kube-dns stubDomains {\"a.test\": [\"10.0.0.1\"]}\n. {\n}\n";
        let fixture = Fixture::parse("x", text.to_owned()).unwrap().unwrap();
        assert_eq!(fixture.local_ips(","), "169.254.20.10,10.96.0.10");
        let servers =
            ["169.254.20.10:53", "10.96.0.10:53", "[fd00::1]:1053"].map(|addr| addr.parse().unwrap());
        assert_eq!(fixture.servers, servers);
        assert_eq!(fixture.environment, [("A".to_owned(), "b=c".to_owned())]);
        let [www, mail] = ["A", "MX"].map(|rtype| Question::new("www.example.", rtype).unwrap());
        let version = Question::new("version.bind.", "TXT").unwrap().in_chaos();
        assert_eq!(fixture.questions, [www, mail, version]);
        let stub_domains = ("stubDomains".to_owned(), r#"{"a.test": ["10.0.0.1"]}"#.to_owned());
        assert_eq!(fixture.kube_dns, [stub_domains]);
        assert_eq!(fixture.path(), "/etc/coredns/Corefile");
    }

    #[test]
    fn unknown_words_and_invalid_addresses_are_rejected() {
        assert!(Fixture::parse("x", "#= wibble\n".to_owned()).is_err());
        assert!(Fixture::parse("x", "#= localip 1.2.3\n".to_owned()).is_err());
        assert!(Fixture::parse("x", "#= ask a. WIBBLE\n".to_owned()).is_err());
        assert!(Fixture::parse("x", ". {\n}\n".to_owned()).unwrap().is_none());
    }
}
