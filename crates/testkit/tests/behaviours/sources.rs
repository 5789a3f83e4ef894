//! Finds the tests of the workspace: follows the `mod` lines from the root of each library and test
//! binary, as cargo does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Tests and scenarios of the workspace.
#[derive(Debug, Default)]
pub(crate) struct TestIndex {
    /// `crate::binary::module::name`; for unit tests, `crate::module::tests::name`.
    pub(crate) tests: BTreeSet<String>,
    /// Scenario files.
    pub(crate) scenarios: BTreeSet<String>,
}

impl TestIndex {
    /// Indexes all crates in a directory.
    pub(crate) fn build(crates: &Path) -> Self {
        let mut index = Self::default();
        for package in entries(crates).into_iter().filter(|path| path.is_dir()) {
            let name = stem(&package);
            index.follow(&package.join("src/lib.rs"), &name, &package.join("src"));
            for entry in entries(&package.join("tests")) {
                let (root, folder) = if entry.is_dir() {
                    (entry.join("main.rs"), entry.clone())
                } else {
                    (entry.clone(), package.join("tests"))
                };
                index.follow(&root, &format!("{name}::{}", stem(&entry)), &folder);
            }
        }
        let scenarios = entries(&crates.join("resolver/tests/scenarios")).into_iter();
        index.scenarios.extend(scenarios.map(|path| format!("{}.rpl", stem(&path))));
        index
    }

    /// Adds the tests of `file`, the module `path`, and of the modules it declares: files in
    /// `folder` unless they have a `#[path]`.
    fn follow(&mut self, file: &Path, path: &str, folder: &Path) {
        let Ok(text) = fs::read_to_string(file) else { return };
        self.tests.extend(tests_in(&text).into_iter().map(|test| format!("{path}::{test}")));
        let mut path_attribute = None;
        for line in text.lines() {
            if let Some(file_name) =
                line.strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]"))
            {
                path_attribute = Some(file.with_file_name(file_name));
                continue;
            }
            let explicit = path_attribute.take();
            let Some((_, module)) = line.strip_suffix(';').and_then(|line| line.rsplit_once("mod ")) else {
                continue;
            };
            let path = format!("{path}::{module}");
            let sibling = folder.join(module).with_extension("rs");
            match explicit {
                Some(file) => self.follow(&file, &path, &file.with_file_name("")),
                None if sibling.exists() => self.follow(&sibling, &path, &folder.join(module)),
                None => self.follow(&folder.join(module).join("mod.rs"), &path, &folder.join(module)),
            }
        }
    }
}

/// The tests of a source file that are not ignored, with their inline modules.
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

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}
