//! The captured messages of `tests/packets`: a line with the origin, a line with the expected parse
//! result, hexadecimal octets.

use std::path::Path;

/// The captured messages: file name, expected parse result, octets.
pub(crate) fn packets() -> Vec<(String, String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packets");
    let mut packets = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut lines = text.lines();
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(lines.next().unwrap().starts_with("; "), "{file} does not state its origin");
        let expected = lines.next().and_then(|line| line.strip_prefix("; expect ")).unwrap();
        let digits: Vec<u8> = lines.flat_map(str::bytes).collect();
        let octets =
            digits.chunks(2).map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap());
        packets.push((file, expected.to_owned(), octets.collect()));
    }
    packets
}
