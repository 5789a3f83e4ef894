//! A Corefile in the file system, read through `OsHost`.

use std::ffi::OsString;

use corefile::{Environment, load};
use daemon::flags;
use daemon::host::OsHost;

#[test]
fn imported_files_are_found_and_named_with_their_full_path() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../corefile/tests/corefiles");
    let corefile = format!("{directory}/imports.Corefile");
    let words = ["nodelocaldns", "-localip", "169.254.25.10", "-conf", &corefile];
    let flags = flags::parse(words.map(OsString::from)).unwrap();
    let error = load(&flags.options, &Environment::default(), &OsHost::default()).unwrap_err().to_string();
    let line = format!("{directory}/parts/b.part:2 - Error during parsing: Unknown directive 'wibble'");
    assert_eq!(error.lines().next(), Some(line.as_str()));
}
