//! A request to the control socket is rejected with a reason, or is the same after it is sent again.
#![no_main]

#[path = "../../src/control_socket/protocol.rs"]
mod protocol;

use libfuzzer_sys::fuzz_target;
use protocol::{CacheNames, MAX_REQUEST_LEN, Request};

fuzz_target!(|line: &[u8]| {
    match Request::parse(line) {
        Ok(request) => {
            let again = request.to_line();
            assert!(again.len() <= MAX_REQUEST_LEN, "{} octets", again.len());
            assert_eq!(again.find('\n'), Some(again.len() - 1), "one line");
            assert_eq!(Request::parse(again.as_bytes()), Ok(request.clone()));
            if let Request::CacheGet(CacheNames::Name(name)) = &request {
                let names = CacheNames::Zone(name.clone());
                assert!(names.include(name.as_wire()) && CacheNames::All.include(name.as_wire()));
            }
        }
        Err(reason) => assert!(!reason.is_empty()),
    }
});
