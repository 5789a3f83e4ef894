//! Imports between the files of a crate: `use` declarations and paths, resolved to files by name. A
//! re-export (`pub use`) counts as the file that defines the name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::sources;

/// A module path below the crate root.
type Module = Vec<String>;

struct Source {
    module: Module,
    name: String,
    text: String,
}

/// One import of a file: the path as written, and whether it is a re-export.
struct Import {
    path: Vec<String>,
    exported: bool,
}

/// Import cycles: every pair of files below `root` that import each other, directly or through
/// others.
pub(super) fn cycles(root: &Path) -> Vec<String> {
    let files: BTreeMap<Module, Source> = sources(root)
        .iter()
        .filter_map(|path| source(root, path))
        .map(|file| (file.module.clone(), file))
        .collect();
    let exports = exports(&files);
    let mut edges: BTreeMap<&Module, BTreeSet<Module>> = BTreeMap::new();
    for (module, file) in &files {
        let targets = imports(&file.text)
            .into_iter()
            .filter(|import| !import.exported)
            .filter_map(|import| resolve(module, &import.path, &files, &exports))
            .filter(|target| target != module);
        edges.insert(module, targets.collect());
    }
    let reaches = |from: &Module, to: &Module| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(at) = next.pop() {
            for target in edges.get(at).into_iter().flatten() {
                if target == to {
                    return true;
                }
                if seen.insert(target) {
                    next.push(target);
                }
            }
        }
        false
    };
    let mut found = Vec::new();
    for (from, targets) in &edges {
        for to in targets.iter().filter(|to| reaches(to, from)) {
            found.push(format!("{}: {} -> {}", root.display(), files[*from].name, files[to].name));
        }
    }
    found
}

fn source(root: &Path, path: &Path) -> Option<Source> {
    let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
    let mut module: Module = name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if module.first().is_some_and(|first| first == "bin") || module.last().is_some_and(|last| last == "tests")
    {
        return None;
    }
    if ["mod", "lib", "main"].iter().any(|stem| module.last().is_some_and(|last| last == stem)) {
        module.pop();
    }
    let text = fs::read_to_string(path).unwrap();
    let shipped = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let code = shipped.lines().map(|line| line.split("//").next().unwrap_or_default());
    Some(Source { module, name, text: code.collect::<Vec<_>>().join("\n") })
}

/// The names that each module re-exports, with the path they come from.
fn exports(files: &BTreeMap<Module, Source>) -> BTreeMap<(Module, String), Vec<String>> {
    let mut exports = BTreeMap::new();
    for (module, file) in files {
        for import in imports(&file.text).into_iter().filter(|import| import.exported) {
            if let Some(name) = import.path.last() {
                exports.insert((module.clone(), name.clone()), import.path.clone());
            }
        }
    }
    exports
}

/// All imports of a file: its `use` declarations and the paths in its code that start at the crate.
fn imports(text: &str) -> Vec<Import> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("use ") {
        let line_start = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let before = text[line_start..at].trim();
        if !(before.is_empty() || before.starts_with("pub")) {
            continue;
        }
        let tree = text[at + 4..].split(';').next().unwrap_or_default();
        let exported = before.starts_with("pub");
        found.extend(expand(tree).into_iter().map(|path| Import { path, exported }));
    }
    for start in ["crate::", "super::"] {
        // A visibility, `pub(in crate::a)`, imports nothing.
        for (at, _) in text.match_indices(start).filter(|(at, _)| !text[..*at].ends_with("(in ")) {
            let path = text[at..].split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).next();
            let path = path.unwrap_or_default().split("::").filter(|part| !part.is_empty());
            found.push(Import { path: path.map(str::to_owned).collect(), exported: false });
        }
    }
    found.retain(|import| !import.path.is_empty());
    found
}

/// `a::{b, c::{d, self}}` as its paths; `x as y` imports `x`.
fn expand(tree: &str) -> Vec<Vec<String>> {
    let Some((head, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        let parts = path.split("::").map(str::trim).filter(|part| !["", "self", "*"].contains(part));
        return vec![parts.map(str::to_owned).collect()];
    };
    let prefix = expand(head).concat();
    let inner = rest.trim_end().strip_suffix('}').unwrap_or(rest);
    let mut depth = 0_usize;
    let branches = inner.split(|c: char| {
        depth = match c {
            '{' => depth + 1,
            '}' => depth.saturating_sub(1),
            _ => depth,
        };
        c == ',' && depth == 0
    });
    let branches = branches.filter(|branch| !branch.trim().is_empty());
    branches.flat_map(expand).map(|path| [prefix.clone(), path].concat()).collect()
}

/// The module whose file defines the item of a path; `None` for paths of other crates.
fn resolve(
    from: &Module,
    path: &[String],
    files: &BTreeMap<Module, Source>,
    exports: &BTreeMap<(Module, String), Vec<String>>,
) -> Option<Module> {
    let (mut at, mut parts) = (from.clone(), path);
    match path.first().map(String::as_str)? {
        "crate" => {
            at.clear();
            parts = &path[1..];
        }
        "super" => {
            let levels = path.iter().take_while(|part| *part == "super").count();
            at.truncate(from.len().checked_sub(levels)?);
            parts = &path[levels..];
        }
        child => {
            files.get(&[from.clone(), vec![child.to_owned()]].concat())?;
        }
    }
    while let Some((first, rest)) = parts.split_first() {
        let child = [at.clone(), vec![first.clone()]].concat();
        if files.contains_key(&child) {
            at = child;
            parts = rest;
            continue;
        }
        return match exports.get(&(at.clone(), first.clone())) {
            Some(origin) => resolve(&at, origin, files, exports).or(Some(at)),
            None => Some(at),
        };
    }
    Some(at)
}

#[test]
fn use_trees_are_expanded() {
    let tree = "a::{\n    b, c::{d, self}, E as F,\n}";
    let paths: Vec<String> = expand(tree).iter().map(|path| path.join("::")).collect();
    assert_eq!(paths, ["a::b", "a::c::d", "a::c", "a::E"]);
}
