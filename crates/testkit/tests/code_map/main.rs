#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends where it fails")]
//! The structure that `crates/README.md` describes: import direction inside each crate, file sizes,
//! the index of terms, and the checks of a release build.

mod imports;
mod index;

use std::fs;
use std::path::{Path, PathBuf};

/// Lines above which a source file is split by subject.
const MAX_FILE_LINES: usize = 400;

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All `.rs` files below a directory, in the order of their paths.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let expand = |path: PathBuf| if path.is_dir() { sources(&path) } else { vec![path] };
    let files = paths.into_iter().flat_map(expand);
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

#[test]
fn no_source_file_is_longer_than_the_limit() {
    let root = crates();
    let all = sources(&root).into_iter().chain(sources(&root.join("../benches/src")));
    let long: Vec<String> = all
        .map(|path| (fs::read_to_string(&path).unwrap().lines().count(), path))
        .filter(|&(lines, _)| lines > MAX_FILE_LINES)
        .map(|(lines, path)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

/// A counter that is wrong after a panic was caught must not wrap.
#[test]
fn release_builds_check_for_arithmetic_overflow() {
    let manifest = fs::read_to_string(crates().join("../Cargo.toml")).unwrap();
    let profile = manifest.split("[profile.release]").nth(1).unwrap().split("\n[").next().unwrap();
    assert!(profile.lines().any(|line| line.starts_with("overflow-checks = true")), "{profile}");
}

#[test]
fn no_two_files_of_a_crate_import_each_other() {
    let mut roots: Vec<PathBuf> = fs::read_dir(crates())
        .unwrap()
        .map(|entry| entry.unwrap().path().join("src"))
        .filter(|path| path.is_dir())
        .collect();
    roots.push(crates().join("../benches/src"));
    for program in fs::read_dir(crates().join("tools/src/bin")).unwrap() {
        roots.push(program.unwrap().path());
    }
    let cycles: Vec<String> = roots.iter().flat_map(|root| imports::cycles(root)).collect();
    assert!(cycles.is_empty(), "{}", cycles.join("\n"));
}

#[test]
fn every_term_of_the_index_leads_to_its_file() {
    let readme = fs::read_to_string(crates().join("README.md")).unwrap();
    let rows = index::rows(&readme);
    assert!(rows.len() >= 30, "the index of crates/README.md has {} rows", rows.len());
    let titles = index::titles(&crates());
    let wrong: Vec<String> = rows.iter().filter_map(|row| index::fault(row, &titles)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
