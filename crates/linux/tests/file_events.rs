//! Events about files, with real files.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use linux::file_events::FileMonitor;

/// A directory that is removed when dropped.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left behind is in the target directory.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Watches a file, makes a change, and expects its events, which are queued at once.
fn expect_event(monitor: &FileMonitor, file: &Path, change: impl FnOnce()) {
    monitor.watch(&[file.to_owned()].into());
    assert!(!monitor.has_changed(), "nothing has changed yet");
    change();
    assert!(monitor.has_changed(), "the change was not noticed");
    assert!(!monitor.has_changed(), "each event counts once");
}

#[test]
fn files_written_replaced_and_removed_are_noticed() {
    let directory = Directory::new("events-file");
    let file = directory.path("Corefile");
    let monitor = FileMonitor::new().unwrap();
    expect_event(&monitor, &file, || fs::write(&file, "a").unwrap());
    expect_event(&monitor, &file, || fs::write(&file, "b").unwrap());
    fs::write(directory.path("new"), "c").unwrap();
    assert!(monitor.has_changed());
    expect_event(&monitor, &file, || fs::rename(directory.path("new"), &file).unwrap());
    expect_event(&monitor, &file, || fs::remove_file(&file).unwrap());
}

#[test]
fn a_swap_of_the_data_link_of_a_config_map_is_noticed() {
    let directory = Directory::new("events-config-map");
    for version in ["..1", "..2"] {
        fs::create_dir(directory.path(version)).unwrap();
        fs::write(directory.path(version).join("Corefile"), version).unwrap();
    }
    symlink("..1", directory.path("..data")).unwrap();
    symlink("..data/Corefile", directory.path("Corefile")).unwrap();
    symlink("..2", directory.path("..data_tmp")).unwrap();
    let monitor = FileMonitor::new().unwrap();
    let swap = || fs::rename(directory.path("..data_tmp"), directory.path("..data")).unwrap();
    expect_event(&monitor, &directory.path("Corefile"), swap);
    assert_eq!(fs::read_to_string(directory.path("Corefile")).unwrap(), "..2");
    let written = || fs::write(directory.path("..2").join("Corefile"), "in place").unwrap();
    expect_event(&monitor, &directory.path("Corefile"), written);
}

#[test]
fn a_file_whose_directory_does_not_exist_yet_is_noticed() {
    let directory = Directory::new("events-missing");
    let file = directory.path("a").join("b").join("stubDomains");
    let monitor = FileMonitor::new().unwrap();
    expect_event(&monitor, &file, || fs::create_dir(directory.path("a")).unwrap());
    expect_event(&monitor, &file, || fs::create_dir(directory.path("a").join("b")).unwrap());
    expect_event(&monitor, &file, || fs::write(&file, "{}").unwrap());
}

#[test]
fn files_no_longer_watched_cause_no_events() {
    let (old, new) = (Directory::new("events-old"), Directory::new("events-new"));
    let monitor = FileMonitor::new().unwrap();
    assert!(monitor.watch(&[old.path("file")].into()));
    assert!(monitor.watch(&[new.path("file")].into()));
    fs::write(old.path("file"), "a").unwrap();
    assert!(!monitor.has_changed());
    expect_event(&monitor, &new.path("file"), || fs::write(new.path("file"), "a").unwrap());
}

#[test]
fn directories_that_were_not_watched_before_are_reported() {
    let directory = Directory::new("events-first");
    let file = directory.path("a").join("Corefile");
    let monitor = FileMonitor::new().unwrap();
    let watch = || monitor.watch(&[file.clone()].into());
    assert_eq!([watch(), watch()], [true, false]);
    fs::create_dir(directory.path("a")).unwrap();
    assert_eq!([watch(), watch()], [true, false]);
    fs::rename(directory.path("a"), directory.path("b")).unwrap();
    fs::create_dir(directory.path("a")).unwrap();
    assert_eq!([watch(), watch()], [true, false], "another directory of the same name");
}
