//! The tests there are, by reading the sources as cargo does: from the root of each test binary and library along
//! its `mod` lines.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Tests and scenarios of the project.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// `crate::binary::module::name`; for tests beside the code, `crate::module::tests::name`.
    pub(crate) tests: BTreeSet<String>,
    /// Scenarios that are played, with their ending.
    pub(crate) listed: BTreeSet<String>,
    /// Scenarios that are there.
    pub(crate) files: BTreeSet<String>,
}

impl Known {
    /// What is there in the crates of a directory.
    pub(crate) fn under(crates: &Path) -> Self {
        let mut known = Self::default();
        for room in entries(crates).into_iter().filter(|path| path.is_dir()) {
            let name = stem(&room);
            known.follow(&room.join("src/lib.rs"), &name, &room.join("src"));
            for entry in entries(&room.join("tests")) {
                let (root, folder) = if entry.is_dir() {
                    (entry.join("main.rs"), entry.clone())
                } else {
                    (entry.clone(), room.join("tests"))
                };
                known.follow(&root, &format!("{name}::{}", stem(&entry)), &folder);
            }
        }
        let resolver = crates.join("resolver/tests");
        known.listed.extend(listed_in(&fs::read_to_string(resolver.join("scenarios.rs")).unwrap()));
        let files = entries(&resolver.join("scenarios")).into_iter();
        known.files.extend(files.map(|path| format!("{}.rpl", stem(&path))));
        known
    }

    /// Takes the tests of `file`, the module `path`, and of the modules it declares, which are files in `folder`
    /// unless a `#[path]` says otherwise.
    fn follow(&mut self, file: &Path, path: &str, folder: &Path) {
        let Ok(text) = fs::read_to_string(file) else { return };
        self.tests.extend(tests_in(&text).into_iter().map(|test| format!("{path}::{test}")));
        let mut elsewhere = None;
        for line in text.lines() {
            if let Some(place) = line.strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]")) {
                elsewhere = Some(file.with_file_name(place));
                continue;
            }
            let place = elsewhere.take();
            let Some((_, module)) = line.strip_suffix(';').and_then(|line| line.rsplit_once("mod ")) else {
                continue;
            };
            let path = format!("{path}::{module}");
            let beside = folder.join(module).with_extension("rs");
            match place {
                Some(place) => self.follow(&place, &path, &place.with_file_name("")),
                None if beside.exists() => self.follow(&beside, &path, &folder.join(module)),
                None => self.follow(&folder.join(module).join("mod.rs"), &path, &folder.join(module)),
            }
        }
    }
}

/// The tests of a source file that are played, with the modules they stand in.
pub(crate) fn tests_in(text: &str) -> Vec<String> {
    let mut tests = Vec::new();
    let mut modules: Vec<(usize, &str)> = Vec::new();
    let (mut is_test, mut is_ignored) = (false, false);
    for line in text.lines() {
        let word = line.trim_start();
        let indent = line.len() - word.len();
        if let Some(module) = word.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(" {")) {
            modules.push((indent, module));
        }
        if word == "}" {
            modules.retain(|&(opened, _)| opened != indent);
        }
        is_test |= word == "#[test]" || word.starts_with("#[tokio::test");
        is_ignored |= word.starts_with("#[ignore");
        let Some((_, rest)) = word.split_once("fn ").filter(|_| is_test && !word.starts_with('#')) else {
            continue;
        };
        let name: String =
            rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
        if !name.is_empty() && !is_ignored {
            let path = modules.iter().map(|&(_, module)| format!("{module}::")).collect::<String>();
            tests.push(path + &name);
        }
        (is_test, is_ignored) = (false, false);
    }
    tests
}

/// The scenarios that a source file plays.
pub(crate) fn listed_in(text: &str) -> Vec<String> {
    let inside = text.lines().skip_while(|line| *line != "scenarios! {").skip(1);
    inside.take_while(|line| *line != "}").map(|line| format!("{}.rpl", line.trim())).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}
