//! Passing descriptors to a process at its limit on open files. The limit is per process, so this
//! program has one test.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use linux::scm_rights;
use linux::udp::UdpListener;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

fn open_descriptors() -> usize {
    // Includes the descriptor of the listing itself.
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn descriptors_beyond_the_limit_are_an_error_and_none_stays_open() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let listener = UdpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let before = open_descriptors();
    let mut descriptors = Vec::new();
    let mut exchange = |count| {
        scm_rights::send(ours.as_fd(), b"x", &vec![listener.as_fd(); count]).unwrap();
        scm_rights::receive(theirs.as_fd(), &mut [0; 16], &mut descriptors)
    };
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, u64::try_from(before).unwrap() + 2, hard).unwrap();
    for _ in 0..3 {
        let error = exchange(200).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        assert!(error.to_string().contains("limit of open files"), "{error}");
    }
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    assert_eq!(open_descriptors(), before);
    assert_eq!(exchange(200).unwrap(), 1);
    assert_eq!(descriptors.len(), 200);
    assert_eq!(open_descriptors(), before + 200);
    let address = listener.local_addr().unwrap();
    for descriptor in descriptors.drain(..) {
        UdpListener::inherit(descriptor, address).unwrap();
    }
    assert_eq!(open_descriptors(), before);
}
