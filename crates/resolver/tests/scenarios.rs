//! Runs the resolver's scenarios, the files of `scenarios/`, as one test each; `testkit::scenario`
//! documents the format.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use testkit::scenario::{Scenario, run};

fn main() -> io::Result<ExitCode> {
    let arguments = Arguments::from_args();
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios"))?;
    let mut trials: Vec<Trial> = files.iter().cloned().map(trial).collect();
    trials.push(Trial::test("titles_are_unique", move || titles_are_unique(&files)));
    Ok(libtest_mimic::run(&arguments, trials).exit_code())
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        files.push(entry?.path());
    }
    files.sort();
    Ok(files)
}

fn trial(file: PathBuf) -> Trial {
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Trial::test(name, move || Ok(run(&Scenario::load(&file)?)?))
}

fn titles_are_unique(files: &[PathBuf]) -> Result<(), Failed> {
    let mut titles = BTreeMap::new();
    for file in files {
        if let Some(other) = titles.insert(Scenario::load(file)?.title, file) {
            return Err(format!("{} and {} have the same title", file.display(), other.display()).into());
        }
    }
    Ok(())
}
